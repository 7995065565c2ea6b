#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The command line of ouro-proxy: every wrong value has its sentence and exit status 2; what fails at
# run time has one sentence and exit status 1; --help says what the limits are counted by.
set -uo pipefail

proxy=$OURO_BIN/ouro-proxy
failed=0
listen="--listen 127.0.0.1:0"
backend="--backend 127.0.0.1:1"
hint="Try \`ouro-proxy --help' or \`ouro-proxy --usage' for more information."

fail() {
    echo "FAILED: $1"
    failed=1
}

# expect STATUS MESSAGE OPTION...: nothing on stdout, exactly the message on stderr.
expect() {
    local status=$1 message=$2 said
    shift 2
    said=$(timeout 20 "$proxy" "$@" 2>&1)
    [ $? -eq "$status" ] || fail "$*: the exit status is not $status"
    [ "$said" = "$message" ] || fail "$*: it said"$'\n'"$said"$'\n'"instead of"$'\n'"$message"
}

# usage MESSAGE OPTION...
usage() {
    local message="ouro-proxy: $1"$'\n'"$hint"
    shift
    expect 2 "$message" "$@"
}

# shellcheck disable=SC2086 # the words of $listen and $backend are options
{
    usage "--listen: is missing; an address such as 127.0.0.1:8080" $backend
    usage "--backend: is missing; an address such as 127.0.0.1:80" $listen
    usage "--listen: missing ':' and port in 'nowhere'" --listen nowhere $backend
    usage "--backend: missing ':' and port in 'nowhere'" --backend nowhere $listen
    usage "--backend: '127.0.0.1:0': nobody listens on port 0" $listen --backend 127.0.0.1:0
    usage "--balance: 'fair' is not round-robin, least-connections or source-hash" \
        $listen $backend --balance fair
    for option in --connect-timeout --idle-timeout --drain-timeout; do
        usage "$option: '5' needs a unit: ns, us, ms, s, m or h" $listen $backend $option 5
    done
    usage "--connect-timeout: 0 would refuse every client" $listen $backend --connect-timeout 0
    usage "--max-connections: '0' is not a number between 1 and 100000000" \
        $listen $backend --max-connections 0
    usage "--max-connections: 'many' is not a number between 1 and 100000000" \
        $listen $backend --max-connections many
    usage "--shards: '0' is not a number between 1 and 256" $listen $backend --shards 0
    usage "--cpus: 'x' is not a list of CPUs such as 0-3,8, nor all, cores, spread, compact, node:N or near:DEVICE" $listen $backend --cpus x
    usage "Too many arguments" $listen $backend more
    usage "unrecognized option '--backends'" $listen --backends 127.0.0.1:1
    usage "--max-per-source: '0' is not a number between 1 and 1000000" \
        $listen $backend --max-per-source 0
    usage "--max-rate: '-1' is not a number between 1 and 10000000" \
        $listen $backend --max-rate -1
    expect 1 "ouro-proxy: --user: find user: no-such-user: No such file or directory" \
        $listen $backend --user no-such-user
    [ "$(nproc)" -lt 2 ] || expect 1 "ouro-proxy: --max-connections: 1 is less than one for each of 2 shards" \
        $listen $backend --max-connections 1 --shards 2
}

help=$("$proxy" --help)
[ $? -eq 0 ] || fail "--help: the exit status is not 0"
for word in --listen --backend --balance --connect-timeout --idle-timeout --drain-timeout \
    --max-connections --max-per-source --max-rate --user --shards --cpus "divided" "100 ms" SIGUSR1 SIGTERM; do
    grep -qe "$word" <<<"$help" || fail "--help does not mention $word"
done
"$proxy" --version | grep -qE '^ouro-proxy [0-9]+\.[0-9]+\.[0-9]+$' || fail "--version"

# A port that is taken: the address, and why; the listener before it is given up again.
busy=$(mktemp)
"$proxy" $listen $backend --shards 1 >"$busy" &
pid=$!
for _ in $(seq 200); do
    [ -s "$busy" ] && break
    sleep 0.05
done
taken=$(sed -n 's/^listening on //p' "$busy")
expect 1 "ouro-proxy: cannot listen on $taken: Address already in use" \
    $listen --listen "$taken" $backend
expect 1 "ouro-proxy: cannot listen on 192.0.2.1:1: Cannot assign requested address" \
    --listen 192.0.2.1:1 $backend
kill "$pid"
wait "$pid" || fail "the proxy in between did not end well"
rm -f "$busy"
exit "$failed"
