#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# ouro-probe --topology: the drawing of this machine and of described ones, with shards on it; and what it
# refuses.
set -uo pipefail

probe=$OURO_BIN/ouro-probe
machines=${OURO_SOURCE:-$(dirname "$0")/../..}/tests/unit/topology
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

bad()
{
    printf 'FAILED: %s\n' "$*"
    failed=1
}

# run STATUS ARGUMENTS...: output goes to $dir/out and $dir/err.
run()
{
    local expected=$1 status
    shift
    timeout 20 "$probe" "$@" >"$dir/out" 2>"$dir/err"
    status=$?
    [ "$status" -eq "$expected" ] || { bad "$*: exit status $status, not $expected"; cat "$dir/err"; }
}

is_exactly() { [ "$(cat "$1")" = "$2" ] || { bad "$1 is not: $2"; cat "$1"; }; }
says() { grep -qxF -- "$1" "$dir/out" || { bad "not a line of it: $1"; cat "$dir/out"; }; }

# The whole drawing of a machine that has everything.
run 0 --topology="$machines/hole.xml" --cpus spread --shards 7
is_exactly "$dir/err" ''
is_exactly "$dir/out" '2 packages, 2 NUMA nodes, 2 L3 groups, 7 cores, 14 CPUs, of which this process may run on 11
[0 1=3] is a core: its CPUs 0 and 1, and shard 3 on the latter; (1) may not be used

package 0
  node 0, memory 14.9 GiB
    L3 0 [(0) 1=0] [2=2 3=6] [4=4 5]

package 1
  node 1, memory 14.9 GiB
    L3 1 [8=1 9] [10=3 11] [12=5 13] [(14) (15)]

distances      0    1
  node 0      10   21
  node 1      21   10

devices
  nvme0n1        near CPUs 0-5
  eth0           near CPUs 8-15
  vda            near all CPUs

7 shards on CPUs 1 8 2 10 4 12 3'

run 0 --topology="$machines/hybrid.xml" --cpus cores:6
says '    L3 0 [0=0 1] [2=1 3] [4=2 5] [6=3 7]'
says '    slower cores [8=4] [10=5] [12] [14]'
says '6 shards on CPUs 0 2 4 6 8 10'

# A large one, by description.
run 0 --topology='package:2 numa:4 l3:4 core:4 pu:2(indexes=2*128:128*1)' --cpus spread:16
says '2 packages, 8 NUMA nodes, 32 L3 groups, 128 cores, 256 CPUs'
says '    L3 31 [124 252] [125 253] [126 254] [127 255]'
says '16 shards on CPUs 0 64 16 80 32 96 48 112 4 68 20 84 36 100 52 116'
awk 'length > 99 { exit 1 }' "$dir/out" || bad "a line is too long"

# More shards than CPUs: the first one on each CPU is shown.
run 0 --topology='core:2 pu:1' --shards 5 --oversubscribe
says '    L3 0 [0=0] [1=1]'
says '5 shards on CPUs 0 1 0 1 0'
run 0 --topology='pu:1'
says '1 package, 1 NUMA node, 1 L3 group, 1 core, 1 CPU'
says '1 shard on CPU 0'

# This machine.
run 0 --topology
is_exactly "$dir/err" ''
grep -qE '^[0-9]+ packages?, [0-9]+ NUMA nodes?, .* CPUs?' "$dir/out" || { bad 'no head'; cat "$dir/out"; }
grep -qE '^[0-9]+ shards? on CPUs? [0-9 ]+$' "$dir/out" || { bad 'no shards'; cat "$dir/out"; }
first=$(taskset -pc $$ | sed -E 's/.*: ([0-9]+).*/\1/')
timeout 20 taskset -c "$first" "$probe" --topology >"$dir/out"
grep -qx "1 shard on CPU $first" "$dir/out" || { bad "it may run on CPU $first alone"; cat "$dir/out"; }

# What cannot be placed is said after the drawing; what cannot be read, instead of it.
run 1 --topology="$machines/hole.xml" --cpus node:2
is_exactly "$dir/err" "ouro-probe: options.cpus = 'node:2': there is no NUMA node 2; the last of 2 is node 1"
says '    L3 0 [(0) 1] [2 3] [4 5]'
run 1 --topology='core:2 pu:1' --shards 3
is_exactly "$dir/err" "ouro-probe: options.shards = 3, but there are only 2 CPUs to run on; set options.oversubscribe to let them share"
run 1 --topology=junk
is_exactly "$dir/err" "ouro-probe: cannot read the description 'junk': Invalid argument"
is_exactly "$dir/out" ''
run 1 --topology="$dir/none.xml"
is_exactly "$dir/err" "ouro-probe: cannot read the XML file '$dir/none.xml': No such file or directory"

# The command line.
hint="Try \`ouro-probe --help' or \`ouro-probe --usage' for more information."
run 2 --cpus spread
is_exactly "$dir/err" "ouro-probe: --shards, --cpus and --oversubscribe go with --topology
$hint"
run 2 --json --topology
is_exactly "$dir/err" "ouro-probe: --json and --topology do not go together
$hint"
run 2 --topology --cpus spread:0
is_exactly "$dir/err" "ouro-probe: --cpus: 'spread:0' has a number of CPUs outside of 1 to 1024
$hint"
run 0 --help
grep -q -- '--topology\[=MACHINE\]' "$dir/out" || { bad 'not in --help'; cat "$dir/out"; }
exit "$failed"
