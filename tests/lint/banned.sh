#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Functions without bounds, with hidden state, or that hold up a whole shard.
. "$(dirname "$0")/lib.sh"

mapfile -t sources < <(files 'src/*.c' 'src/*.h' 'include/*.h' 'tools/*.c' 'tools/*.h' \
    'examples/*.c')
forbid 'banned function' \
    '(?<![\w.>])(strcpy|strncpy|stpcpy|strcat|strncat|sprintf|vsprintf|gets|system|popen|sleep|usleep|alloca|__builtin_alloca|strtok|tmpnam|tempnam|mktemp|atoi|atol|atoll|atof|rand|srand|random|srandom|drand48|localtime|gmtime|ctime|asctime|inet_ntoa|gethostbyname|gethostbyaddr|signal|vfork|setjmp|longjmp|_?_?sigsetjmp|siglongjmp)\s*\(' \
    "${sources[@]}"
exit "$failed"
