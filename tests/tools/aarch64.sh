#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# AArch64: every file of the library compiles without a warning, the ABI is the listed one, and the
# unit tests that need no ring pass under an emulator, which knows no io_uring: the context switch
# first of all. Skipped without cross compiler and emulator: tools/setup --ci.
set -uo pipefail
cd "${OURO_SOURCE:?}" || exit 1

cc=aarch64-linux-gnu-gcc
emulator=$(command -v qemu-aarch64 || command -v qemu-aarch64-static)
command -v "$cc" >/dev/null && [ -n "$emulator" ] || exit 77
[ "${OURO_SANITIZE:-none}" = none ] || exit 77

# Not those that measure or limit memory or ask for guards: those are the emulator's there.
tests=(context_switch context_unwind lane stack_high_water wheel wheel_levels
    wheel_model wheel_wakes addr_value addr_parse addr_hash parse_values parse_cpulist version)
work=$(mktemp -d "${TMPDIR:-/tmp}/ouro-aarch64-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

# Headers without code in them (liburing, hwloc, libnuma) are the same for both machines; this
# machine's own come after the other's.
host=$(gcc -print-multiarch)
flags=(-std=gnu17 -D_GNU_SOURCE=1 -DOURO_BUILDING=1 -DOURO_CHECKED=1 -O2 -fPIC -fvisibility=hidden
    -ftls-model=initial-exec -fasynchronous-unwind-tables -fstack-clash-protection
    -Wall -Wextra -Wshadow -Wvla -Wundef -Werror -Iinclude -Isrc
    -isystem .deps/liburing/include -idirafter /usr/include -idirafter "/usr/include/$host")

# each COMMAND: runs it with every line of standard input, two at a time.
each()
{
    xargs -P 2 -I{} bash -c "$1" _ {}
}
export cc work emulator
export flags_text="${flags[*]}"

find src -name '*.c' -o -name '*.S' | sort |
    each '$cc $flags_text -c "$1" -o "$work/${1//\//_}.o" || exit 255' ||
    { echo "FAILED: compiling the library for AArch64"; exit 1; }
tools/abi --cc "$cc" || exit 1

aarch64-linux-gnu-ar rcs "$work/library.a" "$work"/src_*.o || exit 1
printf '%s\n' "${tests[@]}" | each '
    $cc $flags_text -DOURO_SOURCE_DIR=\"$PWD\" -Itests/cross -Itests "tests/unit/test_$1.c" \
        "$work/library.a" -lm -pthread -o "$work/$1" || exit 255
    timeout 100 "$emulator" -L /usr/aarch64-linux-gnu "$work/$1" >"$work/$1.log" 2>&1 && exit
    cat "$work/$1.log"
    echo "FAILED on AArch64: unit/$1"
    exit 255' || exit 1
exit 0
