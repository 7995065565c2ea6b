#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# ouro-echo in every mode, on one shard and on two: sends back what it gets, prints counters on SIGUSR1, and ends
# with 0 on SIGTERM and SIGINT, also with connections open.
set -uo pipefail

dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
failed=0

bad()
{
    printf 'FAILED: %s\n' "$*"
    failed=1
}

# until_so COMMAND...: repeats it until it succeeds, at most 20 s.
until_so()
{
    local end=$((SECONDS + 20))
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || { bad "not within 20 s: $*"; return 1; }
        sleep 0.02
    done
}

"$OURO_BIN/ouro-probe" >/dev/null || exit 77
head -c 300000 /dev/urandom >"$dir/data"

start()
{
    : >"$dir/out"
    "$OURO_BIN/ouro-echo" "$@" >"$dir/out" 2>"$dir/err" &
    pid=$!
    until_so grep -q '^listening on ' "$dir/out" || { cat "$dir/err"; exit 1; }
    port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$dir/out")
}

# stop SIGNAL: the exit status is 0, and nothing was complained about.
stop()
{
    local status
    kill "-$1" "$pid"
    wait "$pid"
    status=$?
    pid=
    [ "$status" -eq 0 ] || bad "exit status $status after SIG$1"
    [ ! -s "$dir/err" ] || { bad "it complained:"; cat "$dir/err"; }
}

# A line, and then more than fits into all buffers at once.
exchange()
{
    local host=$1 line
    exec 3<>"/dev/tcp/$host/$port" || { bad "cannot connect to $host"; return; }
    printf 'hello\n' >&3
    read -r -t 20 line <&3
    [ "$line" = hello ] || bad "the line came back as '$line'"
    cat "$dir/data" >&3 &
    timeout 20 head -c 300000 <&3 | cmp - "$dir/data" || bad "the data came back changed"
    wait "$!"
    exec 3>&-
}

shards_of() { [ "$(grep -c '^shard [0-9]*: ' "$dir/out")" -eq "$1" ]; }

for mode in fiber multishot stackless; do
    for shards in 1 2; do
        cpus=(--shards "$shards")
        [ "$(nproc)" -ge "$shards" ] || continue
        start --listen 127.0.0.1:0 --mode "$mode" "${cpus[@]}"
        for _ in 1 2 3; do exchange 127.0.0.1; done
        kill -USR1 "$pid"
        until_so shards_of "$shards"
        grep -q 'accepts=[1-9]' "$dir/out" || { bad "no accepts were counted"; cat "$dir/out"; }
        stop TERM
    done
    start --listen 127.0.0.1:0 --mode "$mode"
    exec 4<>"/dev/tcp/127.0.0.1/$port" # stays open
    exchange 127.0.0.1
    stop INT
    read -r -t 20 -n 1 _ <&4 && bad "a connection outlived its service"
    exec 4>&-
done

if [ -s /proc/net/if_inet6 ]; then
    start --listen '[::1]:0'
    exchange ::1
    stop TERM
fi
start --listen "unix:$dir/socket"
[ -S "$dir/socket" ] || bad "there is no socket file"
stop TERM
[ ! -e "$dir/socket" ] || bad "the socket file was left"
start --listen 127.0.0.1:0 --metrics
exchange 127.0.0.1
stop TERM
grep -q '^{' "$dir/out" || { bad "no totals were printed"; cat "$dir/out"; }
exit "$failed"
