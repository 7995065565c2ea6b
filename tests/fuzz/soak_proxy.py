#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""soak_proxy.py BIN SECONDS: ouro-proxy between hostile clients and two echoes, one of which is
killed and started again. It must go on serving, end cleanly, and keep neither memory nor
descriptors. Run by tools/soak. OURO_SEED repeats what the clients choose, not when."""

import asyncio
import logging
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import time

CLIENTS = 48
LIMIT_S = 30  # of one exchange that has to come to an end
GROWTH = 1.25  # of the memory, from a fifth of the time on
GROWTH_KIB = 16 * 1024  # and what a sanitizer's own may take besides
served = {"whole": 0, "cut": 0, "hostile": 0, "restarts": 0}


def fail(text):
    raise SystemExit(f"soak_proxy: FAILED: {text}")


def last_lines(child):
    child.log.seek(0)
    return "".join(child.log.readlines()[-60:])


class Child:
    """A program of BIN that says where it listens. Its stderr is kept."""

    def __init__(self, binary, *words):
        self.log = open(os.path.join(sys.argv[3], f"{os.path.basename(binary)}.{id(self)}"), "w+")
        self.process = subprocess.Popen([binary, *words], stdout=subprocess.PIPE, stderr=self.log,
                                        text=True)
        line = self.process.stdout.readline()
        found = re.search(r":(\d+)\s*$", line)
        if not found:
            self.process.wait()
            fail(f"{binary} says '{line.strip()}'\n{last_lines(self)}")
        self.port = int(found.group(1))

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return f"nothing in 60 s after signal {number}"

    def memory_kib(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


# --- clients ------------------------------------------------------------------------------------


async def connect(port):
    return await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), LIMIT_S)


def reset(writer):
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def exchange(port, data):
    """Sends, half-closes, and returns all that comes back."""
    reader, writer = await connect(port)
    try:
        writer.write(data)
        writer.write_eof()
        return await asyncio.wait_for(reader.read(-1), LIMIT_S)
    finally:
        writer.transport.abort()


async def good(port, r):
    data = r.randbytes(r.choice([1, 100, 5000, 200000]))
    back = await exchange(port, data)
    if back != data and data[:len(back)] != back:
        fail("a byte came back that was not sent there")
    served["whole" if back == data else "cut"] += 1


async def slow_reader(port, r):
    reader, writer = await connect(port)
    writer.write(r.randbytes(1 << 20))
    for _ in range(r.randrange(40)):
        await asyncio.wait_for(reader.read(1000), LIMIT_S)
        await asyncio.sleep(0.05)
    reset(writer)


async def slow_writer(port, r):
    _, writer = await connect(port)
    for _ in range(r.randrange(40)):
        writer.write(b"x")
        await asyncio.sleep(0.05)
    writer.transport.abort()


async def silent(port, r):
    _, writer = await connect(port)
    await asyncio.sleep(r.random() * 4)
    reset(writer) if r.random() < 0.5 else writer.transport.abort()


async def resetting(port, r):
    _, writer = await connect(port)
    writer.write(r.randbytes(r.randrange(100000)))
    await asyncio.sleep(r.random() * 0.01)
    reset(writer)


async def flood(port, r):
    socks = []
    for _ in range(r.randrange(200)):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", port))
        socks.append(s)
    await asyncio.sleep(r.random() * 0.2)
    for s in socks:
        s.close()


async def garbage(port, r):
    _, writer = await connect(port)
    writer.write(r.randbytes(r.randrange(3000)))
    writer.transport.abort()


async def burst(port, r):
    """As much as there is room for, and not a byte of it is taken back."""
    _, writer = await connect(port)
    end = time.monotonic() + r.random() * 3
    writer.transport.set_write_buffer_limits(high=65536)
    block = bytes(262144)
    while time.monotonic() < end and not writer.transport.is_closing():
        writer.write(block)
        try:
            await asyncio.wait_for(writer.drain(), 0.5)
        except asyncio.TimeoutError:
            pass
        if writer.transport.get_write_buffer_size() > 4 << 20:
            await asyncio.sleep(0.1)
    reset(writer)


async def early_end(port, r):
    reader, writer = await connect(port)
    writer.write_eof()
    await asyncio.wait_for(reader.read(-1), LIMIT_S)
    writer.transport.abort()


HOSTILE = [slow_reader, slow_writer, silent, resetting, flood, garbage, burst, early_end]


async def client(port, seed, end):
    r = random.Random(seed)
    while time.monotonic() < end:
        what = good if r.random() < 0.4 else r.choice(HOSTILE)
        try:
            await what(port, r)
        except (ConnectionError, asyncio.IncompleteReadError):
            served["cut"] += what is good
        except asyncio.TimeoutError:
            fail(f"{what.__name__} got no answer in {LIMIT_S} s")
        served["hostile"] += what is not good


# --- the scene ----------------------------------------------------------------------------------


async def kill_and_restart(backends, binary, seed, end):
    r = random.Random(seed)
    while time.monotonic() < end - 3:
        await asyncio.sleep(1 + r.random() * 3)
        backends[1].end(signal.SIGKILL)
        await asyncio.sleep(r.random())
        backends[1] = Child(binary, "--listen", f"127.0.0.1:{backends[1].port}", "--shards", "1")
        served["restarts"] += 1


async def sample(proxy, memory, end):
    while time.monotonic() < end:
        if proxy.process.poll() is not None:
            fail(f"the proxy ended with {proxy.process.returncode}\n{last_lines(proxy)}")
        memory.append(proxy.memory_kib())
        await asyncio.sleep(0.5)


async def live(proxy, backends, echo, seconds, seed):
    memory, end = [], time.monotonic() + seconds
    await asyncio.gather(
        sample(proxy, memory, end), kill_and_restart(backends, echo, seed - 1, end),
        *(client(proxy.port, seed + i, end) for i in range(CLIENTS)))
    return memory


def check_memory(memory):
    n = len(memory)
    early, late = sorted(memory[n // 5:n * 3 // 10 + 1]), sorted(memory[n * 9 // 10:])
    early, late = early[len(early) // 2], late[len(late) // 2]
    print(f"soak_proxy: memory {early} KiB at a fifth of the time, {late} KiB at the end")
    if late > early * GROWTH + GROWTH_KIB:
        fail("the memory of the proxy grows")


def check_descriptors(proxy, before):
    end = time.monotonic() + LIMIT_S
    while proxy.descriptors() != before and time.monotonic() < end:
        time.sleep(0.1)
    if proxy.descriptors() != before:
        fail(f"the proxy has {proxy.descriptors()} descriptors, it had {before}")


async def check_serving(port):
    await asyncio.sleep(2)  # a backend that was down is tried again
    for i in range(50):
        data = bytes([i]) * 70000
        if await exchange(port, data) != data:
            fail("the proxy does not serve at the end")


def check_end(child, what):
    status = child.end()
    text = last_lines(child)
    if status != 0 or "Sanitizer" in text or "runtime error" in text:
        fail(f"{what} ended with {status}\n{text}")


def main():
    binary, seconds = sys.argv[1], float(sys.argv[2])
    seed = int(os.environ.get("OURO_SEED", time.time_ns() // 1000000))
    echo, children = os.path.join(binary, "ouro-echo"), []
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # it counts sends after a reset
    print(f"soak_proxy: OURO_SEED={seed}", flush=True)
    try:
        backends = [Child(echo, "--listen", "127.0.0.1:0", "--shards", "1") for _ in range(2)]
        proxy = Child(os.path.join(binary, "ouro-proxy"), "--listen", "127.0.0.1:0",
                      "--connect-timeout", "2s", "--idle-timeout", "10s",
                      *(w for b in backends for w in ("--backend", f"127.0.0.1:{b.port}")))
        children = [proxy]
        asyncio.run(check_serving(proxy.port))
        before = proxy.descriptors()
        memory = asyncio.run(live(proxy, backends, echo, seconds, seed))
        asyncio.run(check_serving(proxy.port))
        check_descriptors(proxy, before)
        check_memory(memory)
        check_end(proxy, "the proxy")
        for b in backends:
            check_end(b, "a backend")
    finally:
        for child in [*children, *backends]:
            if child.process.poll() is None:
                child.end(signal.SIGKILL)
    print(f"soak_proxy: {served}")
    if served["whole"] == 0 or served["hostile"] == 0:
        fail("nothing was served")


main()
