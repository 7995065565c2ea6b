#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The installed tree serves programs outside of this one, by pkg-config and find_package, in C and
# C++, from either library, also after it was moved; and it names no path of the build.
set -uo pipefail
cd "${OURO_SOURCE:?}" || exit 1
[ "${OURO_SANITIZE:-none}" = none ] || exit 77

work=$(mktemp -d "${TMPDIR:-/tmp}/ouro-install-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
root=$work/second\ place # moved to, with a blank in its name
failed=0
fail()
{
    printf 'FAILED: %s\n' "$*"
    failed=1
}

# run WHAT COMMAND...: shows the command's output only if it fails.
run()
{
    local what=$1
    shift
    "$@" >"$work/log" 2>&1 && return 0
    cat "$work/log"
    fail "$what"
    return 1
}

cmake --install "${OURO_BUILD:?}" --prefix "$work/first" >"$work/log" 2>&1 ||
    { cat "$work/log"; fail "cmake --install"; exit 1; }
traces=$(find "$work/first" \( -name '*.pc' -o -name '*.cmake' \) -exec \
    grep -nF -e "$OURO_SOURCE" -e "$OURO_BUILD" -e "$work" -e "${HOME:-/nowhere}/" {} +)
[ -z "$traces" ] || fail "paths of the build are installed: $traces"
mv "$work/first" "$root"

cat >"$work/use.c" <<'EOF'
#include <ouro.h>
#include <stdio.h>

static int hello(void *arg)
{
    (void)arg;
    return ouro_sleep(OURO_NSEC_PER_MSEC);
}

/* Names that the library has inside: they are ours here. */
int ring_init(void);
int reap(void);
int ring_init(void)
{
    return 1;
}
int reap(void)
{
    return 2;
}

int main(void)
{
    struct ouro_options o = {};
    int value = -1;

    o.size = sizeof o;
    o.shards = 1;
    if (!OURO_VERSION_FITS() || ouro_run(&o, hello, NULL, &value) != 0 || value != 0) {
        fprintf(stderr, "ouro %s: %s, %d\n", ouro_version(), ouro_start_error(), value);
        return 1;
    }
    return ring_init() + reap() == 3 ? 0 : 1;
}
EOF
# The library has to find the program's C++ runtime: an exception is held across a wait.
cat >"$work/use.cpp" <<'EOF'
#include <exception>
#define main c_main
extern "C" {
#include "use.c"
}
#undef main

static int beside(void *arg)
{
    *static_cast<bool *>(arg) = std::current_exception() == nullptr;
    return 0;
}

static int catches(void *arg)
{
    bool none = false;

    (void)arg;
    try {
        throw 7;
    } catch (int n) {
        if (ouro_spawn(NULL, beside, &none, 0) != 0 || ouro_sleep(OURO_NSEC_PER_MSEC) != 0)
            return 1;
        return none && n == 7 ? 0 : 1;
    }
}

int main()
{
    struct ouro_options o = {};
    int value = -1;

    o.size = sizeof o;
    o.shards = 1;
    return c_main() || ouro_run(&o, catches, NULL, &value) != 0 || value != 0;
}
EOF
libdir=$(dirname "$(find "$root" -name libouro.a)")
export PKG_CONFIG_PATH=$libdir/pkgconfig

# Quoting is pkg-config's, so its words are a shell's.
by_pkg_config()
{
    local package=$1 program=$work/pc-$1 flags
    flags=$(pkg-config --cflags --libs "$package") || { fail "pkg-config $package"; return; }
    eval "words=($flags)"
    # shellcheck disable=SC2154
    run "$package: compiling" "${OURO_CC:-cc}" -std=gnu17 -Wall -Wextra -Werror -o "$program" \
        "$work/use.c" "${words[@]}" "-Wl,-rpath,$libdir" || return
    run "$package: running" "$program"
    if readelf -d "$program" | grep -q 'NEEDED.*libouro' && [ "$package" = ouro-static ]; then
        fail "ouro-static links the shared library"
    fi
}
by_pkg_config ouro
by_pkg_config ouro-static

version=$(pkg-config --modversion ouro)
cat >"$work/CMakeLists.txt" <<EOF
cmake_minimum_required(VERSION 3.25)
project(use C CXX)
set(CMAKE_CXX_STANDARD 17)
find_package(ouro $version REQUIRED)
add_executable(c-static use.c)
add_executable(c-shared use.c)
add_executable(cxx-static use.cpp)
add_executable(cxx-shared use.cpp)
target_link_libraries(c-static PRIVATE ouro::ouro)
target_link_libraries(cxx-static PRIVATE ouro::ouro)
target_link_libraries(c-shared PRIVATE ouro::shared)
target_link_libraries(cxx-shared PRIVATE ouro::shared)
EOF
if run "find_package" cmake -S "$work" -B "$work/build" -DCMAKE_PREFIX_PATH="$root" \
    -DCMAKE_C_COMPILER="${OURO_CC:-cc}" -DCMAKE_CXX_COMPILER="${OURO_CXX:-c++}" &&
    run "find_package: building" cmake --build "$work/build"; then
    for program in c-static c-shared cxx-static cxx-shared; do
        run "find_package: $program" "$work/build/$program"
    done
fi
# Another minor version is another interface, before 1.0.
sed -i "s/find_package(ouro $version/find_package(ouro 0.0.1/" "$work/CMakeLists.txt"
if [[ $version == 0.* ]] && cmake -S "$work" -B "$work/other" -DCMAKE_PREFIX_PATH="$root" \
    >/dev/null 2>&1; then
    fail "find_package accepts version 0.0.1"
fi
exit "$failed"
