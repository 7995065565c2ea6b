#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# docs/LIMITS.md is whole and true: every bound of src/base/limits.h and of the options' rules is
# in it; every counter and test that it names exists, and the test looks at one of the counters.
. "$(dirname "$0")/lib.sh"
page=docs/LIMITS.md

while read -r name; do
    grep -q "\`$name\`" "$page" || finding "$page: $name of src/base/limits.h is missing"
done < <(sed -nE 's/^#define ([A-Z_]+) +[^ ].*/\1/p' src/base/limits.h)

while read -r name; do
    grep -q "\`o\.$name\`" "$page" || finding "$page: options.$name is missing"
done < <(sed -nE 's/^ *\{FIELD\((\w+)\).*/\1/p' src/options.c | grep -v _deadline_ns)

counters=$(sed -nE 's/^ +X\((\w+),.*/\1/p' include/ouro/runtime.h)
while IFS='|' read -r _ bound _ _ _ counter test _; do
    test=$(tr -d '` ' <<<"$test")
    [[ $test == *.c ]] || continue
    [ -f "tests/$test" ] || { finding "$page:$bound: there is no tests/$test"; continue; }
    seen=0 named=0
    for c in $(grep -oE '`[a-z_]+`' <<<"$counter" | tr -d '`'); do
        named=1
        grep -qx "$c" <<<"$counters" || finding "$page:$bound: there is no counter $c"
        # A unit test sees the module's own counter: without the module's name.
        [[ $test != unit/* ]] || c=${c##*_}
        ! grep -q "$c" "tests/$test" || seen=1
    done
    [ "$named" = "$seen" ] || finding "$page:$bound: tests/$test looks at none of its counters"
done < <(grep '^| ' "$page")
exit "$failed"
