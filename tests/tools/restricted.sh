#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The tests of sockets, files, timers and stops on rings that are restricted to what the runtime
# uses: nothing that it uses is missing from the list.
set -uo pipefail
failed=0 n=0
export OURO_RESTRICT_RING=1

for test in "$OURO_BUILD"/tests/kernel/test_*; do
    name=$(basename "$test")
    case $name in
    test_raw_* | test_mesh_* | test_task_* | test_scope_* | test_*million) continue ;;
    esac
    [ -x "$test" ] && [ -f "$test" ] || continue
    status=0
    { timeout -k 5 60 "$test" >/dev/null 2>"$OURO_BUILD/restricted.err"; } 2>/dev/null || status=$?
    n=$((n + 1))
    [ "$status" = 0 ] || [ "$status" = 77 ] && continue
    printf 'FAILED: %s on a restricted ring: status %s\n' "$name" "$status"
    tail -n 5 "$OURO_BUILD/restricted.err"
    failed=1
done
printf '%d tests on restricted rings\n' "$n"
[ "$n" -gt 20 ] || failed=1
exit "$failed"
