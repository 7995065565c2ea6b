#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# ouro-probe: its verdicts and exit codes, in text and JSON, where the kernel grants everything and
# where a filter takes away io_uring, or a part of it.
set -uo pipefail

probe=$OURO_BIN/ouro-probe
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

bad()
{
    printf 'FAILED: %s\n' "$*"
    failed=1
}

# run STATUS COMMAND...: its output goes to $dir/out and $dir/err.
run()
{
    local expected=$1 status
    shift
    timeout 20 "$@" >"$dir/out" 2>"$dir/err"
    status=$?
    [ "$status" -eq "$expected" ] || bad "$*: exit status $status, not $expected"
}

says() { grep -qE -- "$1" "$dir/out" || { bad "not in the output: $1"; cat "$dir/out"; }; }
is_exactly() { [ "$(cat "$1")" = "$2" ] || { bad "$1 is not: $2"; cat "$1"; }; }

# json EXPRESSION: true of the object d.
json()
{
    python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
def find(kind, name): return next(f for f in d[kind] if f["name"] == name)
sys.exit(0 if eval(sys.argv[2]) else 1)' "$dir/out" "$1" 2>"$dir/why" || { bad "not true: $1"; cat "$dir/out" "$dir/why"; }
}

"${OURO_CC:-cc}" -O1 -Wall -Wextra -Werror -D_GNU_SOURCE -o "$dir/deny" "$(dirname "$0")/deny.c" || exit 1

deny=$dir/deny
"$deny" setup 1 true
[ $? -ne 77 ] || exit 77

# The command line.
run 2 "$probe" --verbose
is_exactly "$dir/err" "ouro-probe: unrecognized option '--verbose'
Try \`ouro-probe --help' or \`ouro-probe --usage' for more information."
run 2 "$probe" now
is_exactly "$dir/err" "ouro-probe: 'now' is one argument too many
Try \`ouro-probe --help' or \`ouro-probe --usage' for more information."
run 0 "$probe" --help
says 'Exit status: 0 when Ouro can run here'

# As it is here: the tests that follow need a machine that runs Ouro at all.
"$probe" >/dev/null || { cat "$dir/out"; echo "io_uring is not usable here"; exit 77; }
run 0 "$probe"
is_exactly "$dir/err" ''
says "^Ouro [0-9]+\.[0-9]+\.[0-9]+ on Linux $(uname -r) "
says ', built with liburing 2\.[0-9]+$'
says '^verdict: (floor|good|best)$'
says '^  granted .*DEFER_TASKRUN'
says '^  locked memory \(ulimit -l\) '
says '^  kernel\.io_uring_disabled '
says '^huge pages$'

run 0 "$probe" --json
is_exactly "$dir/err" ''
json 'd["usable"] is True and d["verdict"] in ("floor", "good", "best") and d["error"] == 0'
json 'd["kernel"] == "'"$(uname -r)"'" and d["why"] == ""'
json 'find("flags", "DEFER_TASKRUN") == {"name": "DEFER_TASKRUN", "asked": True, "granted": True, "needed_for": "floor"}'
json 'find("opcodes", "SEND_ZC")["granted"] and [f["name"] for f in d["opcodes"]].index("SEND_ZC") == 47'
json 'find("services", "provided buffer rings")["granted"]'
json 'all(f["granted"] or f["why"] for k in ("flags", "features", "opcodes", "services") for f in d[k])'
json 'd["limits"]["nofile"]["soft"] == '"$(ulimit -Sn | sed s/unlimited/None/)"
json 'd["limits"]["iowq_bounded"] > 0'
best=$(grep -c '"verdict": "best"' "$dir/out")

# A filter that forbids io_uring, and one that hides it.
run 1 "$deny" setup 1 "$probe"
says '^verdict: io_uring is not usable here$'
if [ "$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null || echo 0)" -eq 0 ]; then
    says 'seccomp filter or security module \(EPERM\);'
fi
says '^limits$'
run 1 "$deny" setup 1 "$probe" --json
json 'd["usable"] is False and d["verdict"] == "unusable" and d["error"] == -1'
json '"allow io_uring_setup" in d["why"] and d["flags"] == [] and d["services"] == []'
run 1 "$deny" setup 38 "$probe"
says 'no io_uring, or a seccomp filter hides it'
for call in enter register; do
    run 1 "$deny" "$call" 1 "$probe"
    says '^ +io_uring is half forbidden here: io_uring_setup is allowed, '
done

# Parts that are refused lower the verdict, and are named. 22 is EINVAL; the numbers of the
# registrations are those of io_uring_register(2).
run 1 "$deny" register:22 22 "$probe"
says 'lacks provided buffer rings;'
says '^  lacks     provided buffer rings: unknown to this kernel \(EINVAL\)$'
run 0 "$deny" register:30 22 "$probe" --json
json 'd["verdict"] == "floor" and not find("services", "cloned buffers")["granted"]'
run 0 "$deny" register:30 1 "$probe"
says '^  +for good it lacks: .*cloned buffers'
says '^  lacks     cloned buffers: needs a privilege that this process has not \(EPERM\)$'
run 0 "$deny" register:13 12 "$probe"
says '^  lacks     direct descriptors: no memory that may be locked; raise the memlock limit'
says '^  lacks     direct sockets: there are no direct descriptors$'
run 0 "$deny" register:20 22 "$probe" --json
json 'not find("services", "registered ring descriptor")["granted"]'
if [ "$best" -eq 1 ]; then
    run 0 "$deny" register:33 22 "$probe" --json
    json 'd["verdict"] == "good" and not find("services", "ring resize")["granted"]'
    run 0 "$deny" register:34 22 "$probe" --json
    json 'd["verdict"] == "good" and not find("services", "registered waits")["granted"]'
fi
exit "$failed"
