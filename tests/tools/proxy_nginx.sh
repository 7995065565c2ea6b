#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# ouro-proxy between wrk with 1000 connections and nginx: no failed request, and neither memory nor
# descriptors grow. OURO_SECONDS says for how long (3): 60 for a real one.
set -uo pipefail

for program in nginx wrk curl; do
    command -v $program >/dev/null || { echo "no $program here"; exit 77; }
done
seconds=${OURO_SECONDS:-3}
directory=$(mktemp -d)
started=()
# Only what was started here, by number.
cleanup() {
    for pid in "${started[@]}"; do
        kill "$pid" 2>/dev/null && wait "$pid"
    done
    rm -rf "$directory"
}
trap cleanup EXIT

fail() {
    echo "FAILED: $1"
    exit 1
}

# wait_for COMMAND...: at most 10 s.
wait_for() {
    for _ in $(seq 200); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    fail "in time: $*"
}

socket=$directory/origin
cat >"$directory/nginx.conf" <<END
worker_processes 1;
worker_rlimit_nofile 8192;
daemon off;
pid $directory/nginx.pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_body_temp_path $directory/body;
    proxy_temp_path $directory/proxy;
    fastcgi_temp_path $directory/fastcgi;
    uwsgi_temp_path $directory/uwsgi;
    scgi_temp_path $directory/scgi;
    server {
        listen unix:$socket backlog=4096;
        location / { default_type text/plain; return 200 "$(printf 'x%.0s' $(seq 1024))"; }
    }
}
END
nginx -c "$directory/nginx.conf" 2>"$directory/nginx.errors" &
started+=($!)
wait_for test -S "$socket"
"$OURO_BIN/ouro-proxy" --listen 127.0.0.1:0 --backend "unix:$socket" >"$directory/said" \
    2>"$directory/complaints" &
proxy=$!
started+=("$proxy")
wait_for grep -q listening "$directory/said"
address=$(sed -n 's/^listening on //p' "$directory/said")
wait_for curl -sf -o /dev/null "http://$address/"

memory() {
    sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$proxy/status"
}

# load SECONDS: wrk, which must not report an error.
load() {
    wrk -t1 -c1000 -d"${1}s" --timeout 10s "http://$address/" >"$directory/wrk" ||
        fail "wrk did not end well"
    cat "$directory/wrk"
    ! grep -E 'Socket errors|Non-2xx' "$directory/wrk" || fail "requests failed"
    grep -qE '[1-9][0-9]* requests in' "$directory/wrk" || fail "no request was answered"
}

descriptors() {
    find "/proc/$proxy/fd" -mindepth 1 | wc -l
}

# Connections of the last load are reset one after the other, by way of a descriptor each.
no_more_descriptors_than() {
    [ "$(descriptors)" -le "$1" ]
}

descriptors_before=$(descriptors)
load 1
load 1 # pools grow to what is needed
memory_before=$(memory)
load "$seconds"
wait_for no_more_descriptors_than "$descriptors_before"
memory_after=$(memory)
echo "memory $memory_before -> $memory_after KiB, descriptors $descriptors_before -> $(descriptors)"
# A page for each connection may be touched late; a sanitizer keeps what was freed for a while.
[ "${OURO_SANITIZE:-none}" != none ] || [ "$memory_after" -le $((memory_before + 5120)) ] ||
    fail "memory grew"

kill -TERM "$proxy"
wait "$proxy" || fail "the proxy did not end well"
started=("${started[0]}")
grep -q ', 0 were reset' "$directory/said" || fail "connections were left over"
[ ! -s "$directory/complaints" ] || { cat "$directory/complaints"; fail "it complained"; }
