#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# ouro-echo: wrong command lines are refused with exactly one reason and start nothing; a port that is taken
# is said.
set -uo pipefail

echo=$OURO_BIN/ouro-echo
dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
failed=0

bad()
{
    printf 'FAILED: %s\n' "$*"
    failed=1
}

run()
{
    local expected=$1 status
    shift
    timeout -k 5 30 "$echo" "$@" >"$dir/out" 2>"$dir/err"
    status=$?
    [ "$status" -eq "$expected" ] || { bad "$*: exit status $status, not $expected"; cat "$dir/err"; }
}

hint="Try \`ouro-echo --help' or \`ouro-echo --usage' for more information."
usage()
{
    local message=$1
    shift
    run 2 "$@"
    [ "$(cat "$dir/err")" = "ouro-echo: $message
$hint" ] || { bad "$*: not the message: $message"; cat "$dir/err"; }
    [ -s "$dir/out" ] && bad "$*: it says something on stdout"
}

usage "--listen: is missing; an address such as 127.0.0.1:7000"
usage "--mode: 'thread' is not fiber, multishot or stackless" --listen 127.0.0.1:0 --mode thread
usage "--shards: '0' is not a number between 1 and 256" --listen 127.0.0.1:0 --shards 0
usage "--shards: 'x' is not a number between 1 and 256" --listen 127.0.0.1:0 --shards x
usage "--buffer: '16385' is not a number between 1 and 16384" --listen 127.0.0.1:0 --buffer 16385
usage "unrecognized option '--moed'" --moed fiber
run 2 --listen 127.0.0.1:99999
grep -q '^ouro-echo: --listen: .*99999' "$dir/err" || { bad "the port is not named"; cat "$dir/err"; }
run 2 --listen example.org:80
grep -q '^ouro-echo: --listen: ' "$dir/err" || bad "a host name is not refused"
run 2 --listen 127.0.0.1:0 --cpus 0-
grep -q '^ouro-echo: --cpus: ' "$dir/err" || bad "a bad list of CPUs is not refused"
run 0 --help
for word in --listen --shards --cpus --mode fiber multishot stackless; do
    grep -q -- "$word" "$dir/out" || bad "--help does not mention $word"
done
run 0 --version

"$OURO_BIN/ouro-probe" >/dev/null || exit "$((failed ? 1 : 77))"

# A port that another process has, and an address that is not ours.
"$echo" --listen 127.0.0.1:0 --shards 1 >"$dir/first" 2>&1 &
pid=$!
for _ in $(seq 400); do
    [ -s "$dir/first" ] && break
    sleep 0.05
done
port=$(sed -n 's/^listening on 127\.0\.0\.1:\([0-9]*\)$/\1/p' "$dir/first")
[ -n "$port" ] || { bad "it does not say where it listens"; cat "$dir/first"; }
run 1 --listen "127.0.0.1:$port"
[ "$(cat "$dir/err")" = "ouro-echo: cannot listen on 127.0.0.1:$port: Address already in use" ] ||
    { bad "a taken port"; cat "$dir/err"; }
run 1 --listen 192.0.2.1:0
[ "$(cat "$dir/err")" = "ouro-echo: cannot listen on 192.0.2.1:0: Cannot assign requested address" ] ||
    { bad "an address of others"; cat "$dir/err"; }
kill -TERM "$pid"
wait "$pid"
status=$?
pid=
[ "$status" -eq 0 ] || bad "exit status $status after SIGTERM"
exit "$failed"
