#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tracked C files are as clang-format 14 would write them. Other versions differ: skipped there.
. "$(dirname "$0")/lib.sh"

formatter=$(command -v clang-format-14 || command -v clang-format) || exit 77
"$formatter" --version | grep -q 'version 14\.' || exit 77
mapfile -t sources < <(files '*.c' '*.cpp' '*.h')
[ "${#sources[@]}" -eq 0 ] || "$formatter" --dry-run -Werror "${sources[@]}" 2>&1 |
    { grep 'error:' || :; } | cut -d: -f1 | sort | uniq -c |
    awk '{print $2 ": " $1 " places to format"; bad = 1} END {exit bad}' || failed=1
exit "$failed"
