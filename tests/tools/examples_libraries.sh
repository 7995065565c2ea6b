#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The examples that drive another library: libcurl fetches from a server on the loopback, c-ares asks
# one that loses every first question, and a stop reaches both while they wait.
set -uo pipefail

bin=$OURO_BIN
[ -x "$bin/example-http_fetch" ] && [ -x "$bin/example-resolve" ] ||
    { echo "built without libcurl or c-ares"; exit 77; }
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
directory=$(mktemp -d)
servers=()
trap '[ "${#servers[@]}" -eq 0 ] || kill "${servers[@]}" 2>/dev/null; rm -rf "$directory"' EXIT
failed=0

fail() {
    echo "FAILED: $*"
    failed=1
}

# await FILE PATTERN: until a line of it matches.
await() {
    for _ in $(seq 400); do
        grep -q "$2" "$1" 2>/dev/null && return
        sleep 0.05
    done
    fail "no '$2' in: $(cat "$1")"
}

# --- libcurl: sizes below and above what it reads at a time, and a socket that says nothing
mkdir "$directory/www"
for bytes in 0 1 100 70000 5000000; do
    head -c "$bytes" /dev/urandom >"$directory/www/$bytes"
done
cat >"$directory/web.py" <<'PY'
import functools, http.server, socket, sys
silent = socket.create_server(("127.0.0.1", 0))
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print("ports", server.server_port, silent.getsockname()[1], flush=True)
server.serve_forever()
PY
python3 "$directory/web.py" "$directory/www" >"$directory/http" 2>/dev/null &
servers+=($!)
await "$directory/http" '^ports'
read -r _ port silent <"$directory/http"

urls=() expected=()
for _ in 1 2 3; do
    for bytes in 0 1 100 70000 5000000; do
        urls+=("http://127.0.0.1:$port/$bytes")
        expected+=("200 $bytes http://127.0.0.1:$port/$bytes")
    done
done
timeout 60 "$bin/example-http_fetch" "${urls[@]}" >"$directory/fetched" || fail "http_fetch: status $?"
diff <(sort "$directory/fetched") <(printf '%s\n' "${expected[@]}" | sort) || fail 'not what was asked for'

timeout 20 "$bin/example-http_fetch" "http://127.0.0.1:$port/none" >"$directory/fetched" && fail 'fetched what is not there'
grep -q '^404 ' "$directory/fetched" || fail 'no 404'
timeout 20 "$bin/example-http_fetch" http://127.0.0.1:1/ 2>"$directory/said" && fail 'fetched from nobody'
grep -q '^example-http_fetch: http://127.0.0.1:1/: .*connect' "$directory/said" || fail 'no word of the refusal'

# --- c-ares: a responder for *.test by UDP, and for long.test by TCP after that
cat >"$directory/dns.py" <<'PY'
import socket, struct, threading
known = {b"\x03one\x04test\x00": ["192.0.2.1"], b"\x03two\x04test\x00": ["192.0.2.2", "192.0.2.3"],
         b"\x04long\x04test\x00": ["192.0.2.%d" % i for i in range(1, 101)]}
seen = set()

def answer(query, short):
    end = query.index(b"\x00", 12) + 1
    name, (kind,) = query[12:end].lower(), struct.unpack(">H", query[end:end + 2])
    addresses = known.get(name, []) if kind == 1 else []
    cut = short and len(addresses) > 10
    flags = 0x8180 | (0x0200 if cut else 0) | (0 if name in known else 3)
    records = [] if cut else addresses
    body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(a) for a in records)
    return query[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0) + query[12:end + 4] + body

def stream(conn):
    file = conn.makefile("rwb")
    while head := file.read(2):
        reply = answer(file.read(struct.unpack(">H", head)[0]), False)
        file.write(struct.pack(">H", len(reply)) + reply)
        file.flush()

def serve(tcp):
    while True:
        threading.Thread(target=stream, args=(tcp.accept()[0],), daemon=True).start()

while True: # the same port in both
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    try:
        tcp = socket.create_server(udp.getsockname())
        break
    except OSError:
        udp.close()
silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
silent.bind(("127.0.0.1", 0))
threading.Thread(target=serve, args=(tcp,), daemon=True).start()
print("ports", udp.getsockname()[1], silent.getsockname()[1], flush=True)
while True:
    query, peer = udp.recvfrom(4096)
    if query[12:] in seen:
        udp.sendto(answer(query, True), peer)
    seen.add(query[12:])
PY
python3 "$directory/dns.py" >"$directory/dns" &
servers+=($!)
await "$directory/dns" '^ports'
read -r _ port mute <"$directory/dns"

timeout 30 "$bin/example-resolve" --server "127.0.0.1:$port" two.test one.test >"$directory/names" ||
    fail "resolve: status $?"
diff "$directory/names" - <<'NAMES' || fail 'not the addresses'
two.test 192.0.2.2
two.test 192.0.2.3
one.test 192.0.2.1
NAMES
timeout 30 "$bin/example-resolve" --server "127.0.0.1:$port" long.test >"$directory/names" || fail "by TCP: status $?"
[ "$(grep -c '^long.test 192.0.2.' "$directory/names")" = 100 ] || fail 'not 100 addresses by TCP'
timeout 30 "$bin/example-resolve" --server "127.0.0.1:$port" none.test one.test \
    >"$directory/names" 2>"$directory/said" && fail 'resolved what is not there'
grep -qx 'one.test 192.0.2.1' "$directory/names" || fail 'one name failed, and with it another'
grep -qi '^example-resolve: none.test: .*not found' "$directory/said" || fail 'no word of the missing name'
timeout 30 "$bin/example-resolve" localhost | grep -qx 'localhost 127.0.0.1' || fail 'not in the hosts file'

# --- a stop while they wait for an answer that does not come
stop() {
    local pid status

    "$@" 2>"$directory/said" &
    pid=$!
    for _ in $(seq 200); do # until its socket is there
        [ -n "$(find "/proc/$pid/fd" -lname 'socket:*' 2>/dev/null)" ] && break
        sleep 0.05
    done
    kill -TERM "$pid"
    timeout 20 tail --pid="$pid" -f /dev/null || fail "$1 does not stop"
    wait "$pid"
    status=$?
    [ "$status" = 1 ] || fail "$1: status $status at a stop: $(cat "$directory/said")"
    grep -q '^ouro:' "$directory/said" && fail "$1 left something: $(cat "$directory/said")"
}
stop "$bin/example-http_fetch" "http://127.0.0.1:$silent/"
stop "$bin/example-resolve" --server "127.0.0.1:$mute" one.test

exit "$failed"
