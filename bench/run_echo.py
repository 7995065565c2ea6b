# SPDX-License-Identifier: MIT
"""The echo servers: ours in its modes, bare io_uring, epoll."""

import os
import signal

from run_pairs import compare_all
from run_process import Failed, Process, start_server
from run_report import metrics

PARAMETERS = ["1x64", "64x64", "1000x64", "64x16384"]

# Receive buffers of the bare loop by the bytes of a request: the best found, see README.md.
MULTISHOT = {64: ["--buffer", "2048", "--buffers", "256"],
             16384: ["--buffer", "16384", "--buffers", "256"]}
ONESHOT = {64: ["--buffer", "2048"], 16384: ["--buffer", "16384"]}

PAIRS = [
    ("uring", "epoll"),
    ("uring-oneshot", "uring"),
    ("ouro-fiber", "uring-oneshot"),
    ("ouro-fiber", "uring"),
    ("ouro-fiber", "epoll"),
    ("ouro-multishot", "uring"),
    ("ouro-multishot", "epoll"),
    ("ouro-stackless", "uring"),
    ("ouro-stackless", "epoll"),
]


def _nearest(choices, size):
    return choices[min(choices, key=lambda one: abs(one - size))]


class Echo:
    def __init__(self, options, find):
        self.options = options
        self.find = find
        self.extra = dict(options.subject)

    def command(self, subject, size):
        cpu = str(self.options.server_cpu)
        if subject in self.extra:
            return self.extra[subject].split()
        if subject.startswith("ouro-"):
            program = self.find("ouro-echo")
            return program and [program, "--listen", "127.0.0.1:0", "--cpus", cpu,
                                "--mode", subject[len("ouro-"):], "--metrics",
                                "--buffer", str(min(size, 16384))]
        program = self.find("bench-epoll-echo" if subject == "epoll" else "bench-uring-echo")
        command = program and [program, "--cpus", cpu]
        if command and subject == "uring":
            command += ["--recv", "multishot"] + _nearest(MULTISHOT, size)
        elif command and subject == "uring-oneshot":
            command += ["--recv", "oneshot"] + _nearest(ONESHOT, size)
        return command

    def available(self, subject):
        command = self.command(subject, 64)
        return bool(command) and (subject in self.extra or os.access(command[0], os.X_OK))

    def load(self, server, port, connections, size):
        options = self.options
        command = [self.find("bench-load"), "--connect", f"127.0.0.1:{port}",
                   "--cpus", str(options.client_cpu), "--pid", str(server.pid),
                   "--connections", str(connections), "--bytes", str(size),
                   "--seconds", str(options.seconds), "--warm-up", str(options.warm_up)]
        client = Process(command, options.client_cpu)
        status, out, errors = client.finish(options.seconds + options.warm_up + 15)
        if status:
            raise Failed(f"{' '.join(command)}: status {status}: {errors.strip()}")
        return metrics(out)

    def measure(self, subject, parameter):
        connections, size = map(int, parameter.split("x"))
        server, port = start_server(self.command(subject, size), self.options.server_cpu)
        try:
            found = self.load(server, port, connections, size)
        finally:
            if server.popen.poll() is None:
                os.kill(server.pid, signal.SIGTERM)
            out, _ = server.stop()
        total = metrics(out)
        if total.get("requests") and "system_calls" in total:
            found["system_calls_per_request"] = total["system_calls"] / total["requests"]
        return found


def run(options, report, find):
    if not find("bench-load"):
        raise Failed("bench-load is not built")
    echo = Echo(options, find)
    return compare_all(report, "echo", echo.measure, options.pair or PAIRS,
                       options.parameter or PARAMETERS, options, echo.available)
