# SPDX-License-Identifier: MIT
"""From exec to the first connection that was accepted and answered; from SIGTERM to the end."""

import os
import signal
import socket
import sys
import time

from run_process import Failed, start_server
from run_report import median_interval, table

SHARDS = [1, 64]
PATIENCE = 30
SUBJECTS = [("static", "ouro-echo"), ("shared", "bench-echo-shared")]


def once(program, shards):
    """(seconds to the first answer, seconds to stop)"""
    server, port = start_server([program, "--listen", "127.0.0.1:0", "--oversubscribe",
                                 "--shards", str(shards)], None)
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as peer:
        peer.sendall(b"x")
        if peer.recv(1) != b"x":
            server.fail("did not answer")
        start = time.monotonic_ns() - server.began_ns
    begin = time.monotonic_ns()
    os.kill(server.pid, signal.SIGTERM)
    status, _, errors = server.finish(PATIENCE)
    stop = time.monotonic_ns() - begin
    if status:
        raise Failed(f"{program}: status {status}: {errors.strip()}")
    return start / 1e9, stop / 1e9


def measure(report, name, program, shards, rounds):
    rows, times = [], [once(program, shards) for _ in range(rounds)]
    for metric, values in zip(("start", "stop"), zip(*times)):
        middle, low, high = median_interval([1e3 * one for one in values])
        report.add(bench="start", subject=name, parameter=f"{shards} shards", metric=metric,
                   unit="ms", value=middle, low=low, high=high, rounds=rounds)
        rows += [f"{middle:.1f}", f"{low:.1f}..{high:.1f}"]
    return [name, shards] + rows


def run(options, report, find):
    rows, failures = [], 0
    for shards in SHARDS:
        for name, spelled in SUBJECTS:
            if options.only and not options.only.search(f"start/{shards}/{name}"):
                continue
            program = find(spelled)
            if not program:
                print(f"start/{shards}/{name}: left out, not built", file=sys.stderr)
                continue
            print(f"start/{shards}/{name}", file=sys.stderr, flush=True)
            try:
                rows.append(measure(report, name, program, shards, options.rounds))
            except Failed as error:
                failures += 1
                print(f"  failed: {error}", file=sys.stderr)
    if rows:
        print("\nstart: exec to the first answer; stop: SIGTERM to the end")
        table(["ouro-echo", "shards", "start ms", "95 %", "stop ms", "95 %"], rows)
    return failures
