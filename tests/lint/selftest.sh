#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The lint tests find what they say they do: each is shown a small tree in which something is wrong,
# and has to name it, and the same tree without it.
set -uo pipefail
cd "${OURO_SOURCE:-$(dirname "${BASH_SOURCE[0]}")/../..}" || exit 1
lint=$PWD/tests/lint
work=$(mktemp -d "${TMPDIR:-/tmp}/ouro-lint-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
spdx='/* SPDX-License-Identifier: MIT */'

tree() { rm -rf "$work/tree"; mkdir -p "$work/tree"; }

# put FILE: its text on stdin.
put() { mkdir -p "$work/tree/$(dirname "$1")" && cat >"$work/tree/$1"; }

run()
{
    said=$(OURO_SOURCE=$work/tree OURO_BUILD=$work/tree/b OURO_SANITIZE=none bash "$lint/$1.sh" 2>&1)
}

passes()
{
    run "$1"
    case $? in
    0 | 77) ;;
    *) printf 'FAILED: %s finds something where nothing is:\n%s\n' "$1" "$said"; failed=1 ;;
    esac
}

# catches LINT REGEX
catches()
{
    run "$1"
    case $? in
    0) printf 'FAILED: %s does not find: %s\n' "$1" "$2"; failed=1 ;;
    77) ;;
    *) grep -qE -- "$2" <<<"$said" || {
        printf 'FAILED: %s says something else than %s:\n%s\n' "$1" "$2" "$said"
        failed=1
    } ;;
    esac
}

# snippet LINT REGEX FILE BAD GOOD: one file, with a bad line, and with a good one instead.
snippet()
{
    tree
    printf '%s\n%b\n' "$spdx" "$4" | put "$3"
    catches "$1" "$2"
    printf '%s\n%b\n' "$spdx" "$5" | put "$3"
    passes "$1"
}

for call in 'strcpy(a, b)' 'sprintf(a, "x")' 'alloca(3)' 'atoi("1")' 'rand()' 'strcat(a, b)' 'gets(a)' \
    'usleep(1)' 'system("x")' 'strtok(a, b)' 'localtime(&t)' 'longjmp(b, 1)'; do
    snippet banned "src/base/x.c:2: ${call%%(*}" src/base/x.c "int f(void) { $call; }" \
        "int f(void) { s.$call; my_$call; } /* $call */ char t[] = \"${call//\"/}\";"
done

for call in 'read(0, a, 1)' 'recv(0, a, 1, 0)' 'accept(0, a, b)' 'poll(p, 1, -1)' 'nanosleep(&t, 0)' \
    'fopen("x", "r")' 'getaddrinfo(a, b, c, d)' 'pthread_mutex_lock(&m)' 'select(1, a, b, c, d)'; do
    for file in tools/x.c examples/x.c; do
        snippet blocking "$file:4: f\\(\\) calls ${call%%(*}" "$file" \
            "int f(void)\n{\n    $call;\n}" "int f(void)\n{\n    ouro_$call; /* $call */\n}"
    done
done
snippet blocking 'no more; take it off' examples/client.c 'int talk(void)\n{\n}' \
    'int talk(void)\n{\n    fwrite(a, 1, 1, f);\n}'

snippet format 'src/base/x.c: 1 places' src/base/x.c 'int  x;' 'int x;'
tree
printf '%s\n' "$spdx" | put src/x.c
passes spdx
echo 'int x;' | put src/x.c
catches spdx 'src/x.c: no SPDX'

snippet layers 'lies above it' src/base/x.c '#include "shard/op.h"' '#include "base/check.h"'
snippet layers 'belongs to src/ring alone' src/io/x.c '#include <liburing.h>' '#include <errno.h>'
snippet layers 'belongs to src/topo alone' src/ring/x.c '#include <hwloc.h>' '#include <liburing.h>'
tree
echo '#include <errno.h>' | put src/new/x.c
catches layers 'in no known layer'
tree
echo "$spdx" | put src/shard/op.h
for file in tools/x.c examples/x.c tests/stress/x.c; do
    echo '#include "ouro/net.h"' | put "$file"
    passes layers
    echo '#include "shard/op.h"' | put "$file"
    catches layers "$file: \"shard/op.h\" is not a public header"
    rm "$work/tree/$file"
done
echo "$spdx" | put src/io/x.h
snippet layers 'is for tests/support' tests/unit/x.c '#include <liburing.h>' '#include <errno.h>'
snippet layers 'belongs to src/topo alone' tests/kernel/x.c '#include <numa.h>' '#include <errno.h>'

snippet seams 'talks to the kernel about rings' src/ring/x.c 'int f(void) { io_uring_submit(r); }' \
    'int f(void) { io_uring_prep_nop(r); }'
snippet seams 'spells memory orders' src/base/x.c 'int f(void) { atomic_load(&x); }' \
    'int f(void) { load_relaxed(&x); }'

# limits: the page, with one thing at a time taken out of what it describes.
limits_tree()
{
    tree
    echo '#define MOST 4' | put src/base/limits.h
    echo '    {FIELD(buffers), 1},' | put src/options.c
    echo '    X(buffers_dry, "x")' | put include/ouro/runtime.h
    echo 'assert(c.buffers_dry);' | put tests/kernel/test_dry.c
    printf '| %s |\n' 'a | 1 | 2 | `MOST` `o.buffers` | `buffers_dry` | `kernel/test_dry.c`' |
        put docs/LIMITS.md
}
limits_tree
passes limits
echo '#define MORE 4' | put src/base/limits.h
catches limits 'MORE of src/base/limits.h is missing'
limits_tree
echo '    {FIELD(stacks), 1},' | put src/options.c
catches limits 'options.stacks is missing'
limits_tree
rm "$work/tree/tests/kernel/test_dry.c"
catches limits 'there is no tests/kernel/test_dry.c'
limits_tree
echo 'assert(1);' | put tests/kernel/test_dry.c
catches limits 'looks at none of its counters'
limits_tree
echo 'X(other, "x")' | put include/ouro/runtime.h
catches limits 'there is no counter buffers_dry'

# invariants: one, asserted and shown; then each without the other.
invariants_tree()
{
    tree
    printf '/* Invariants\n *   [X-1] it holds.\n * Shown by tests alone:\n *   [X-2] it does. */\n' |
        put src/base/x.h
    printf 'void f(void)\n{\n    check(x == 1); /* [X-1] */\n}\n' | put src/base/x.c
    printf '/* [X-1], [X-2] */\n' | put tests/unit/test_x.c
}
invariants_tree
passes invariants
printf '/* [X-1] is broken here. */\n' | put src/base/x.c
catches invariants '\[X-1\].*no assertion'
invariants_tree
printf '/* [X-1] */\n' | put tests/unit/test_x.c
catches invariants '\[X-2\].*no test'
invariants_tree
printf '/* [X-1], [X-2], [X-3] */\n' | put tests/unit/test_x.c
catches invariants '\[X-3\].*no header'
invariants_tree
printf '/* Invariants\n *   [X-1] again. */\n' | put src/base/y.h
catches invariants '\[X-1\].*twice'

# symbols, elf: libraries of one function.
command -v gcc >/dev/null || exit "$failed"
libraries()
{
    tree
    mkdir -p "$work/tree/b/lib" "$work/tree/b/bin"
    echo 'OURO_API int ouro_f(void);' | put include/ouro/x.h
    (cd "$work/tree" && echo "$1" >x.c && gcc -fPIC -c x.c -o x.o && shift &&
        gcc -shared "$@" -o b/lib/libouro.so x.o 2>/dev/null && ar rc b/lib/libouro.a x.o && rm x.c)
}
libraries 'int ouro_f(void) { return 1; }'
passes symbols
passes elf
libraries 'int ouro_f(void) { return 1; } int g(void) { return 1; }'
catches symbols 'not ours to show: g'
libraries 'int ouro_g(void) { return 1; }'
catches symbols 'declared OURO_API, but not in the library: ouro_f'
libraries 'int ouro_f(void) { return 1; }' -z execstack
catches elf 'libouro.so: executable stack'
libraries 'int ouro_f(void) { return 1; }' -nostdlib -Wl,--omagic
catches elf 'memory to write and execute'
libraries '__asm__(".text; .quad ouro_x"); int ouro_f(void) { return 1; }' -nostdlib -Wl,-z,notext
catches elf 'text relocations'
libraries '__asm__(".section .note.GNU-stack,\"x\",@progbits"); int ouro_f(void) { return 1; }'
catches elf 'libouro.a.*: executable stack'
exit "$failed"
