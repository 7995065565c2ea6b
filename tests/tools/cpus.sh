#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --cpus on every tool: each form starts the shards that ouro-probe --topology announces, on those CPUs; what
# is no such form is refused; and a cgroup's quota makes fewer shards, with a notice.
set -uo pipefail

dir=$(mktemp -d)
pid=
group=
cleanup()
{
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null
    [ -z "$pid" ] || wait "$pid" 2>/dev/null
    [ -z "$group" ] || rmdir "$group"
    rm -rf "$dir"
}
trap cleanup EXIT
failed=0

bad()
{
    printf 'FAILED: %s\n' "$*"
    failed=1
}

proxy=("$OURO_BIN/ouro-proxy" --listen 127.0.0.1:0 --backend 127.0.0.1:1)
echo=("$OURO_BIN/ouro-echo" --listen 127.0.0.1:0)
demo=("$OURO_BIN/ouro-demo" --port 0 --once --seconds 1 --connections 4)
probe=("$OURO_BIN/ouro-probe" --topology)

# Wrong forms, the same on each.
refused()
{
    local tool=$1 text=$2 message=$3 status
    shift 3
    timeout 20 "$@" --cpus "$text" >"$dir/out" 2>"$dir/err"
    status=$?
    [ "$status" -eq 2 ] && grep -qxF -- "$tool: --cpus: $message" "$dir/err" ||
        { bad "$tool --cpus $text: status $status"; cat "$dir/err"; }
}

all_refuse()
{
    refused ouro-echo "$1" "$2" "${echo[@]}"
    refused ouro-proxy "$1" "$2" "${proxy[@]}"
    refused ouro-demo "$1" "$2" "${demo[@]}"
    refused ouro-probe "$1" "$2" "${probe[@]}"
}

all_refuse nearby "'nearby' is not a list of CPUs such as 0-3,8, nor all, cores, spread, compact, node:N or near:DEVICE"
all_refuse spread:0 "'spread:0' has a number of CPUs outside of 1 to 1024"
all_refuse node: "'node:' needs a node's number after the colon"
all_refuse near: "'near:' needs a device after the colon, such as eth0"
all_refuse 0,0 "'0,0' names CPU 0 twice"

"$OURO_BIN/ouro-probe" >/dev/null || exit "$((failed ? 1 : 77))"

# start COMMAND...: in the background, until it listens.
start()
{
    "$@" >"$dir/out" 2>"$dir/err" &
    pid=$!
    for _ in $(seq 600); do
        grep -q '^listening on ' "$dir/out" && return
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    bad "$*: does not listen"
    cat "$dir/err"
}

stop()
{
    kill -TERM "$pid"
    wait "$pid" || bad "exit status $? after SIGTERM"
    pid=
}

# The CPUs of the shards' threads, by shard.
running_on()
{
    local task name
    for task in "/proc/$pid/task/"*; do
        name=$(cat "$task/comm")
        [[ $name == ouro-[0-9]* ]] || continue
        echo "${name#ouro-} $(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "$task/status")"
    done | sort -n | awk '{ printf "%s%s", (NR > 1 ? " " : ""), $2 }'
}

announced()
{
    timeout 20 "${probe[@]}" "$@" | awk '/^[0-9]+ shards? on CPUs? / { on = 1; sub(/^.* CPUs? /, "") }
        on { $1 = $1; printf "%s%s", (n++ ? " " : ""), $0 }'
}

first=$(taskset -pc $$ | sed -E 's/.*: ([0-9]+).*/\1/')
forms=("--cpus all" "--cpus cores" "--cpus spread" "--cpus compact" "--cpus spread:1" "--cpus node:0"
    "--cpus $first" "--cpus compact --shards 1" "--cpus cores:1 --shards 3 --oversubscribe")
device=$(timeout 20 "${probe[@]}" | awk '/^devices/ { getline; print $1 }')
[ -z "$device" ] || forms+=("--cpus near:$device" "--cpus near:/dev/$device")
for tool in echo proxy; do
    declare -n command=$tool
    for form in "${forms[@]}"; do
        read -ra words <<<"$form"
        want=$(announced "${words[@]}")
        [ -n "$want" ] || { bad "$form: ouro-probe announces nothing"; continue; }
        start "${command[@]}" "${words[@]}"
        got=$(running_on)
        [ "$got" = "$want" ] || bad "ouro-$tool $form: runs on '$got', not '$want'"
        stop
    done
done

timeout 60 "${demo[@]}" --cpus spread:1 >"$dir/out" 2>"$dir/err" || { bad "ouro-demo"; cat "$dir/out" "$dir/err"; }
grep -q ', 1 shard for each of the three, on the same 1 CPU:$' "$dir/out" || { bad "ouro-demo: not one"; cat "$dir/out"; }

# A quota, where this process may set one and there is more than one CPU.
make_group()
{
    local base
    for base in /sys/fs/cgroup/cpu /sys/fs/cgroup; do
        group=$base/ouro-test-$$
        mkdir "$group" 2>/dev/null || continue
        if [ -f "$group/cgroup.procs" ] && { echo 100000 2>/dev/null >"$group/cpu.cfs_quota_us" || echo "100000 100000" 2>/dev/null >"$group/cpu.max"; }; then
            return 0
        fi
        rmdir "$group"
    done
    group=
    return 1
}

if [ "$(nproc)" -gt 1 ] && make_group; then
    in_group=(bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group")
    start "${in_group[@]}" "${echo[@]}"
    [ "$(running_on)" = "$first" ] || bad "a quota of one CPU: runs on '$(running_on)'"
    grep -qE "^ouro: a cgroup's quota grants the time of 1\.000 CPUs: 1 shard, though there are $(nproc) CPUs" "$dir/err" ||
        { bad "no notice"; cat "$dir/err"; }
    stop
    start "${in_group[@]}" "${echo[@]}" --shards 2
    [ "$(running_on | wc -w)" -eq 2 ] || bad "--shards 2 within a quota: '$(running_on)'"
    [ ! -s "$dir/err" ] || { bad "a notice for nothing"; cat "$dir/err"; }
    stop
else
    echo "no cgroup can be made here: quotas are not tried"
fi
exit "$failed"
