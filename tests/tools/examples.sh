#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every example runs and does what it says.
set -uo pipefail

bin=$OURO_BIN
[ -x "$bin/example-echo" ] || { echo "the examples were not built"; exit 77; }
directory=$(mktemp -d)
echo_pid=
trap '[ -z "$echo_pid" ] || kill "$echo_pid" 2>/dev/null; rm -rf "$directory"' EXIT
failed=0

fail() {
    echo "FAILED: $*"
    failed=1
}

# Both styles beat ten times, side by side.
timeout 20 "$bin/example-beat" >"$directory/beat" || fail "example-beat: status $?"
for style in fiber stackless; do
    [ "$(grep -c "^$style " "$directory/beat")" = 10 ] || fail "example-beat: not 10 beats of the $style"
done

timeout 20 "$bin/example-timers" >"$directory/timers" || fail "example-timers: status $?"
grep -qx 'waiting 10 ms for a minute to pass: timed out' "$directory/timers" || fail 'no time-out'
grep -qx 'the first of two: number 2' "$directory/timers" || fail 'not the faster of two timers'
[ "$(grep -c '^tick ' "$directory/timers")" = 5 ] || fail 'not 5 ticks'

# Sizes around a chunk, and none.
for bytes in 0 1 262143 262144 262145 3000000; do
    head -c "$bytes" /dev/urandom >"$directory/from"
    timeout 20 "$bin/example-file_copy" "$directory/from" "$directory/to" || fail "copy of $bytes: status $?"
    cmp "$directory/from" "$directory/to" || fail "the copy of $bytes bytes differs"
done
timeout 20 "$bin/example-file_copy" "$directory/none" "$directory/to" 2>"$directory/said" && fail 'copied nothing'
grep -qE '^example-file_copy: .*No such file or directory$' "$directory/said" || fail 'no word of the missing file'

# A client through the echo server, which ends by SIGTERM with status 0.
"$bin/example-echo" 127.0.0.1:0 >"$directory/echo" &
echo_pid=$!
for _ in $(seq 200); do
    grep -q 'listening on ' "$directory/echo" && break
    kill -0 "$echo_pid" 2>/dev/null || break
    sleep 0.05
done
address=$(sed -n 's/^listening on //p' "$directory/echo")
[ -n "$address" ] || fail 'example-echo does not listen'
said=$(timeout 20 "$bin/example-client" "$address" 'round and round') || fail "example-client: status $?"
[ "$said" = 'round and round' ] || fail "example-echo answered '$said'"
kill -TERM "$echo_pid"
wait "$echo_pid" || fail "example-echo: status $?"
echo_pid=
timeout 20 "$bin/example-client" "$address" x 2>"$directory/said" && fail 'connected to nobody'
grep -qx "example-client: $address: Connection refused" "$directory/said" || fail 'no word of the refusal'
timeout 20 "$bin/example-client" nonsense x 2>/dev/null && fail 'took nonsense for an address'

# A datagram through the UDP echo, which ends the same way.
"$bin/example-udp_echo" 127.0.0.1:0 >"$directory/udp" &
echo_pid=$!
for _ in $(seq 200); do
    grep -q 'listening on ' "$directory/udp" && break
    kill -0 "$echo_pid" 2>/dev/null || break
    sleep 0.05
done
port=$(sed -n 's/^listening on 127.0.0.1://p' "$directory/udp")
[ -n "$port" ] || fail 'example-udp_echo does not listen'
if [ -n "$port" ] && exec 3<>"/dev/udp/127.0.0.1/$port"; then
    printf 'there and back\n' >&3
    said=$(timeout 20 dd bs=2048 count=1 <&3 2>/dev/null) # read takes bytes, and each of them a datagram
    [ "$said" = 'there and back' ] || fail "example-udp_echo answered '$said'"
    exec 3>&-
fi
kill -TERM "$echo_pid"
wait "$echo_pid" || fail "example-udp_echo: status $?"
echo_pid=

exit "$failed"
