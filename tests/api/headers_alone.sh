#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each public header compiles alone, and twice, as C and as C++, seeing no other header of ours.
set -uo pipefail
cd "${OURO_SOURCE:?}" || exit 1

# No -Wshadow in C++: a function may have its struct's name, as in struct stat.
warnings=(-Wall -Wextra -Werror -Wpointer-arith -Wvla -Wwrite-strings -Wundef -Wformat=2)
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
    compile c "$header" gnu17 "${OURO_CC:-cc}" -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    compile c++ "$header" gnu++17 "${OURO_CXX:-c++}"
done < <(cd include && find . -name '*.h' -printf '%P\n' | sort)
exit "$failed"
