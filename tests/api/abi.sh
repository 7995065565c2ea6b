#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The ABI is what abi/ouro.abi lists, and a change of it does not go unnoticed.
set -uo pipefail
cd "${OURO_SOURCE:?}" || exit 1
command -v gcc >/dev/null && command -v readelf >/dev/null || exit 77

work=$(mktemp -d "${TMPDIR:-/tmp}/ouro-abi-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
library=()
[ "${OURO_SANITIZE:-none}" != none ] || library=(--library "${OURO_BUILD:?}/lib/libouro.so")
tools/abi "${library[@]}" || failed=1

# noticed WHAT HEADER SED-COMMAND REGEX: the change must be reported by a line like that.
noticed()
{
    rm -rf "$work/include"
    cp -r include "$work/include"
    sed -i "$3" "$work/include/ouro/$2"
    if tools/abi --include "$work/include" >"$work/said" 2>&1; then
        echo "FAILED: not noticed: $1"
        failed=1
    elif ! grep -qE -- "$4" "$work/said"; then
        cat "$work/said"
        echo "FAILED: noticed, but not as it should be: $1"
        failed=1
    fi
}
noticed "a struct that grew" future.h '/^struct ouro_future {/a char grown[8];' \
    '^\+struct ouro_future: 24 bytes'
noticed "fields that changed places" future.h 's/^    int32_t result; .*/    uint8_t state;/;
    s/^    uint8_t state;  .*/    int32_t result;/' '^\+    [0-9]+ result: int32_t'
noticed "a parameter of another type" task.h 's/int ouro_fiber_cancel(ouro_fiber fiber)/int ouro_fiber_cancel(long fiber)/' \
    '^\+int ouro_fiber_cancel\(long'
noticed "a constant of another value" task.h 's/OURO_END_ABORTED = 2/OURO_END_ABORTED = 3/' \
    '^\+    OURO_END_ABORTED = 3'
noticed "another version" base.h 's/define OURO_VERSION_MINOR .*/define OURO_VERSION_MINOR 99/' \
    '^\+libouro.so.0.99'
exit "$failed"
