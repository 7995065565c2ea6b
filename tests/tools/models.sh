#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Checks the models of the lock-free parts by exhaustion (spin), and that each of them finds the
# faults that it has a switch for.
set -uo pipefail
command -v spin >/dev/null && command -v "${OURO_CC:-cc}" >/dev/null || {
    echo "spin is missing: tools/setup --ci installs it"
    exit 77
}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

# check MODEL BROKEN: the verdict, "errors: N", or what went wrong.
check()
{
    (cd "$dir" && rm -f pan* && spin -DBROKEN="$2" -a "$OURO_SOURCE/tests/models/$1" >spin.out 2>&1 &&
        "${OURO_CC:-cc}" -O2 -w -DSAFETY -DVECTORSZ=2048 -o pan pan.c >>spin.out 2>&1 &&
        timeout 50 ./pan -m1000000 >pan.out 2>&1)
    grep -o 'errors: [0-9]*' "$dir/pan.out" 2>/dev/null || tail -n 3 "$dir/spin.out"
}

# holds MODEL FAULT...: by itself, and with none of the faults.
holds()
{
    local model=$1 verdict
    verdict=$(check "$model" 0)
    printf '%s: %s, %s\n' "$model" "$verdict" "$(grep -o '[0-9.e+]* states, stored' "$dir/pan.out")"
    [ "$verdict" = "errors: 0" ] && ! grep -q 'max search depth too small' "$dir/pan.out" || failed=1
    shift
    for fault in "$@"; do
        verdict=$(check "$model" "$fault")
        [ "$verdict" = "errors: 1" ] || { printf '%s with fault %s: %s\n' "$model" "$fault" "$verdict"; failed=1; }
    done
}

holds sleep.pml 1 2
holds lane.pml 1 2 3
exit "$failed"
