#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Both libraries show ouro_* and nothing else, and both the same; what a header declares OURO_API is
# there.
. "$(dirname "$0")/lib.sh"

libraries=${OURO_BUILD:-build/test}/lib
[ -f "$libraries/libouro.so" ] && [ -f "$libraries/libouro.a" ] &&
    [ "${OURO_SANITIZE:-none}" = none ] || exit 77

exported=$(nm -D --defined-only "$libraries/libouro.so" |
    awk '$2 != "A" {print $3}' | sed 's/@.*//' | sort -u)
archived=$(nm -g --defined-only "$libraries/libouro.a" | awk 'NF == 3 {print $3}' | sort -u)

for library in so:"$exported" a:"$archived"; do
    foreign=$(grep -v '^ouro_' <<<"${library#*:}" | paste -sd' ')
    [ -z "$foreign" ] || finding "visible in libouro.${library%%:*}, but not ours to show: $foreign"
done
differ=$(comm -3 <(printf '%s\n' "$exported") <(printf '%s\n' "$archived") | tr -d '\t' | paste -sd' ')
[ -z "$differ" ] || finding "in only one of libouro.so and libouro.a: $differ"

mapfile -t headers < <(files 'include/*.h')
declared=$(perl -0777 -ne 's{/\*.*?\*/}{}gs; s{^\s*#.*?(?<!\\)$}{}gms;
    print "$1\n" while /\bOURO_API\b[^;{}]*?\b(ouro_\w+)\s*\(/gs' "${headers[@]}" </dev/null | sort -u)
missing=$(comm -13 <(printf '%s\n' "$exported") <(printf '%s\n' "$declared") | paste -sd' ')
[ -z "${missing// /}" ] || finding "declared OURO_API, but not in the library: $missing"
exit "$failed"
