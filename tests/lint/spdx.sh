#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each source file names its licence within its first three lines.
. "$(dirname "$0")/lib.sh"

while IFS= read -r file; do
    head -n 3 "$file" | grep -q 'SPDX-License-Identifier: MIT' || finding "$file: no SPDX line"
done < <(files '*.c' '*.h' '*.S' '*.sh' '*.cmake' 'CMakeLists.txt' '*/CMakeLists.txt')
exit "$failed"
