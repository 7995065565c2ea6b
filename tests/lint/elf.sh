#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What is linked has no memory that is both written and executed, no executable stack, and no code
# that is patched when it is loaded; no object asks for such a stack by saying nothing.
. "$(dirname "$0")/lib.sh"

build=${OURO_BUILD:-build/test}
command -v readelf >/dev/null && [ -d "$build/lib" ] && [ "${OURO_SANITIZE:-none}" = none ] ||
    exit 77

# Programs and the shared library.
while IFS= read -r object; do
    headers=$(readelf -lW "$object" 2>/dev/null) || continue # a script, say
    grep -q 'GNU_STACK' <<<"$headers" || finding "$object: says nothing of its stack"
    grep -E 'GNU_STACK.* RWE ' <<<"$headers" >/dev/null && finding "$object: executable stack"
    grep -E '^ +LOAD .* RWE ' <<<"$headers" >/dev/null && finding "$object: memory to write and execute"
    readelf -dW "$object" | grep -q TEXTREL && finding "$object: text relocations"
done < <(find "$build/lib" "$build/bin" -type f \( -name '*.so*' -o -perm -u+x \) 2>/dev/null)

# The archive: each object has the section that says "not executable".
for archive in "$build"/lib/*.a; do
    [ -f "$archive" ] || continue
    readelf -SW "$archive" | awk '
        /^File: / {name = $2; stack[name] = 0}
        /\.note\.GNU-stack/ {stack[name] = 1; if ($0 ~ /  X  /) bad[name] = 1}
        END {for (n in stack) if (!stack[n] || n in bad) {print n ": executable stack"; failed = 1}
             exit failed}' || failed=1
done

# [CTX-7] Where all else asks for a shadow stack, the object with a context's start keeps it away.
if [ -f src/shard/context_start.S ] && command -v gcc >/dev/null &&
    [ "$(gcc -dumpmachine)" = x86_64-linux-gnu ]; then
    object=$(mktemp "${TMPDIR:-/tmp}/ouro-elf-XXXXXX") || exit 1
    gcc -fcf-protection=full -Isrc -Iinclude -c -o "$object" src/shard/context_start.S ||
        finding "src/shard/context_start.S does not assemble"
    properties=$(readelf -n "$object" | grep 'x86 feature:')
    [[ $properties == *IBT* && $properties != *SHSTK* ]] ||
        finding "src/shard/context_start.S: properties are:$properties"
    rm -f "$object"
fi
exit "$failed"
