#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every function of the public headers stands, once, in the table of what it does off its shard.
set -uo pipefail
cd "${OURO_SOURCE:-$(dirname "${BASH_SOURCE[0]}")/../..}" || exit 1

table=tests/kernel/owner_only.inc
public=$(perl -0ne 's{/\*.*?\*/}{}gs;
                    print "$1\n" while /\bOURO_API\b[^;{]*?\b(ouro_\w+)\s*\(/g' \
    include/ouro/*.h | sort)
listed=$(grep -oP '^(START|CALL|RESULT|GUARD|STRICT|ANYWHERE)\(\Kouro_\w+' "$table" | sort)

[ "$(wc -l <<<"$public")" -gt 100 ] || { echo "cannot read the headers"; exit 1; }
difference=$(diff <(uniq <<<"$public") <(printf '%s\n' "$listed")) && exit 0
echo "the public headers (<) and $table (>) differ:"
grep '^[<>]' <<<"$difference"
exit 1
