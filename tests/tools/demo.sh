#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# ouro-demo: a second of load ends with every request answered; it serves on until a signal, and leaves
# no process behind, however it ends; wrong command lines and a taken port are said exactly.
set -uo pipefail

demo=$OURO_BIN/ouro-demo
dir=$(mktemp -d)
pids=()
trap 'for p in "${pids[@]}"; do kill -9 "$p" 2>/dev/null; done; rm -rf "$dir"' EXIT
failed=0

bad()
{
    printf 'FAILED: %s\n' "$*"
    failed=1
}

is_exactly() { [ "$(cat "$1")" = "$2" ] || { bad "$1 is not: $2"; cat "$1"; }; }
says() { grep -qE -- "$1" "$dir/out" || { bad "not in the output: $1"; cat "$dir/out" "$dir/err"; }; }

run()
{
    local expected=$1 status
    shift
    timeout -k 5 50 "$demo" "$@" >"$dir/out" 2>"$dir/err"
    status=$?
    [ "$status" -eq "$expected" ] || { bad "$*: exit status $status, not $expected"; cat "$dir/err"; }
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

# Command lines. Nothing is started by a wrong one.
hint="Try \`ouro-demo --help' or \`ouro-demo --usage' for more information."
usage()
{
    local message=$1
    shift
    run 2 "$@"
    is_exactly "$dir/err" "ouro-demo: $message
$hint"
    is_exactly "$dir/out" ''
}
usage "--seconds: '0' is not a number between 1 and 86400" --seconds 0
usage "--seconds: 'x' is not a number between 1 and 86400" --seconds x
usage "--connections: '10001' is not a number between 1 and 10000" --connections 10001
usage "--port: '65536' is not a number between 0 and 65535" --port 65536
usage "'now' is one argument too many" now
usage "unrecognized option '--twice'" --twice
run 0 --help
says '^  -c, --connections=N '

# Where io_uring is forbidden: one sentence, no process left waiting.
"${OURO_CC:-cc}" -D_GNU_SOURCE -o "$dir/deny" "$(dirname "$0")/deny.c" || exit 1
"$dir/deny" setup 38 timeout 20 "$demo" --once >"$dir/out" 2>"$dir/err"
status=$?
[ "$status" -eq 77 ] || [ "$status" -eq 1 ] || bad "without io_uring: exit status $status"
[ "$status" -eq 77 ] || grep -q '^ouro-demo: cannot start: .*this kernel has no io_uring' "$dir/err" ||
    { bad 'without io_uring: the message'; cat "$dir/err"; }

# The load: one line a second where there is no terminal, the summary, and the end.
run 0 --once --seconds 1 --connections 16 --port 0
is_exactly "$dir/err" ''
says '^Ouro [0-9.]+, [0-9]+ shards? for each of the three, on the same [0-9]+ CPUs?:$'
says '^  16 clients  -->  ouro-proxy on 127\.0\.0\.1:[0-9]+  -->  origin on 127\.0\.0\.1:[0-9]+$'
says '^[0-9.]+ s of load over 16 connections, through the proxy:$'
says '^  requests      [1-9][0-9]*, [1-9][0-9]*/s, 0 errors$'
says '^  latency       p50 [0-9.]+ ms, p90 [0-9.]+ ms, p99 [0-9.]+ ms, p99\.9 [0-9.]+ ms, longest [0-9.]+ ms$'
says "^  proxy's CPU   [0-9.]+ us per request, [0-9]+ % of one CPU$"
! grep -q $'\r\|still serving' "$dir/out" || bad 'a carriage return, or more after --once'

# As many connections as there are shards, and fewer.
run 0 --once --seconds 1 --connections 1 --port 0
says ', 0 errors$'

# Serving on: what curl gets, and the end by each signal. The demo's threads have names of their own,
# so its children are found by their parent.
proxy_of() { grep -ls "^PPid:[[:space:]]*$1\$" /proc/[0-9]*/status | sed -E 's|/proc/([0-9]+)/.*|\1|'; }
serving() { grep -q '^Ctrl-C ends it\.$' "$dir/out"; }
gone() { ! kill -0 "$1" 2>/dev/null; }
start()
{
    : >"$dir/out"
    "$demo" --seconds 1 --connections 4 --port "$1" >"$dir/out" 2>"$dir/err" &
    demo_pid=$!
    pids=("$demo_pid")
    until_so serving || return 1
    proxy_pid=$(proxy_of "$demo_pid")
    pids+=("$proxy_pid")
    url=$(sed -n 's/^  curl //p' "$dir/out")
    port=${url##*:}
    port=${port%/}
}

if start 0; then
    curl -sS -m 10 -o "$dir/page" -D "$dir/head" "$url" || bad 'curl'
    [ "$(wc -c <"$dir/page")" -eq 1024 ] || bad 'the page has not 1024 bytes'
    head -n 1 "$dir/page" | grep -qx 'Hello from Ouro.' || bad 'the page does not greet'
    head -n 1 "$dir/head" | grep -q '^HTTP/1.1 200 OK' || bad 'not 200'
    [ "$(curl -sS -m 10 -I "$url" | tr -d '\r' | sed -n 's/^Content-Length: //p')" = 1024 ] || bad 'HEAD'
    [ "$(curl -sS -m 10 -X DELETE -o /dev/null -w '%{http_code}' "$url")" = 405 ] || bad 'DELETE'
    [ "$(curl -sS -m 10 -d x -o /dev/null -w '%{http_code}' "$url")" = 400 ] || bad 'a body'
    [ "$(curl -sS -m 10 -H "X: $(head -c 9000 /dev/zero | tr '\0' x)" -o /dev/null -w '%{http_code}' \
        "$url")" = 431 ] || bad 'a long head'
    [ "$(curl -sS -m 10 "$url" "$url" | wc -c)" -eq 2048 ] || bad 'two on one connection'

    # Somebody else cannot have the port.
    run_out=$dir/second
    timeout 20 "$demo" --once --seconds 1 --port "$port" >"$run_out" 2>"$run_out.err"
    [ $? -eq 1 ] || bad 'a taken port: exit status'
    is_exactly "$run_out.err" "ouro-proxy: cannot listen on 127.0.0.1:$port: Address already in use
ouro-demo: ouro-proxy ended with exit status 1 before it listened"

    kill -INT "$demo_pid"
    wait "$demo_pid"
    [ $? -eq 0 ] || bad 'SIGINT: exit status'
    until_so gone "$proxy_pid"
    is_exactly "$dir/err" ''
fi

if start 0; then
    kill -KILL "$proxy_pid"
    wait "$demo_pid"
    [ $? -eq 1 ] || bad 'without its proxy: exit status'
    is_exactly "$dir/err" 'ouro-demo: ouro-proxy ended with signal 9 while it served'
fi

if start 0; then
    kill -KILL "$demo_pid"
    wait "$demo_pid" 2>/dev/null
    until_so gone "$proxy_pid"
fi
pids=()
exit "$failed"
