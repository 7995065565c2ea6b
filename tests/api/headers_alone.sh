#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each public header compiles alone, and twice, as C and as C++ of every kind that programs are
# written in, without a conversion that a strict program would be warned of; it sees no other header
# of ours.
set -uo pipefail
cd "${OURO_SOURCE:?}" || exit 1

# No -Wshadow in C++: a function may have its struct's name, as in struct stat.
warnings=(-Wall -Wextra -Werror -Wpointer-arith -Wvla -Wwrite-strings -Wundef -Wformat=2
    -Wconversion -Wsign-conversion)
failed=0
compile()
{
    local language=$1 header=$2 standard=$3 compiler=$4
    shift 4
    if ! printf '#include <%s>\n#include <%s>\n' "$header" "$header" |
        "$compiler" -x "$language" "-std=$standard" "${warnings[@]}" "$@" -Iinclude \
            -fsyntax-only -; then
        echo "FAILED: <$header> does not compile alone as $standard"
        failed=1
    fi
}

while IFS= read -r header; do
    for standard in c11 gnu17; do
        compile c "$header" "$standard" "${OURO_CC:-cc}" -Wshadow -Wstrict-prototypes \
            -Wmissing-prototypes
    done
    for standard in c++11 gnu++17; do
        compile c++ "$header" "$standard" "${OURO_CXX:-c++}"
    done
done < <(cd include && find . -name '*.h' -printf '%P\n' | sort)
exit "$failed"
