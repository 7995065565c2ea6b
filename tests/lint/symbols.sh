#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The shared library exports ouro_* and nothing else; what a header declares OURO_API is there.
. "$(dirname "$0")/lib.sh"

library=${OURO_BUILD:-build/test}/lib/libouro.so
[ -f "$library" ] && [ "${OURO_SANITIZE:-none}" = none ] || exit 77
exported=$(nm -D --defined-only "$library" | awk '$2 != "A" {print $3}' | sed 's/@.*//' | sort -u)

foreign=$(grep -v '^ouro_' <<<"$exported" | paste -sd' ')
[ -z "$foreign" ] || finding "exported, but not ours to export: $foreign"

mapfile -t headers < <(files 'include/*.h')
declared=$(perl -0777 -ne 's{/\*.*?\*/}{}gs; s{^\s*#.*?(?<!\\)$}{}gms;
    print "$1\n" while /\bOURO_API\b[^;{}]*?\b(ouro_\w+)\s*\(/gs' "${headers[@]}" </dev/null | sort -u)
missing=$(comm -13 <(printf '%s\n' "$exported") <(printf '%s\n' "$declared") | paste -sd' ')
[ -z "${missing// /}" ] || finding "declared OURO_API, but not in the library: $missing"
exit "$failed"
