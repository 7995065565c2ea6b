#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Functions without bounds, with hidden state, or that hold up a whole shard.
. "$(dirname "$0")/lib.sh"

mapfile -t sources < <(files 'src/*.c' 'src/*.h' 'include/*.h' 'tools/*.c' 'tools/*.h' \
    'examples/*.c')
forbid 'banned function' \
    '(?<![\w.>])(strcpy|strncpy|strcat|strncat|sprintf|vsprintf|gets|system|popen|usleep|alloca|__builtin_alloca|strtok|tmpnam|mktemp|atoi|atol|atoll|setjmp|longjmp)\s*\(' \
    "${sources[@]}"
exit "$failed"
