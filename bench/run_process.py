# SPDX-License-Identifier: MIT
"""Processes of a benchmark: started pinned, watched with a time limit, and always ended."""

import atexit
import ctypes
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_running = []


class Failed(Exception):
    """A subject could not be started or did not do its work; the message says why."""


def _prepare(cpu, began):
    def prepare():
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        began[:] = struct.pack("q", time.monotonic_ns())
    return prepare


class Process:
    """
    A process in a group of its own, pinned unless cpu is None. Its standard output is kept for
    whoever asks. began_ns: when it was about to be executed (CLOCK_MONOTONIC).
    """

    def __init__(self, command, cpu):
        self.command = command
        began = mmap.mmap(-1, 8)  # shared with the child
        try:
            self.popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                          stdin=subprocess.DEVNULL, start_new_session=True,
                                          preexec_fn=_prepare(cpu, began))
        except OSError as error:
            raise Failed(f"{command[0]}: {error.strerror}") from error
        self.began_ns = struct.unpack("q", began[:])[0]
        _running.append(self)

    @property
    def pid(self):
        return self.popen.pid

    def fail(self, why):
        _, errors = self.stop()
        raise Failed(f"{' '.join(self.command)}: {why}\n{errors.strip()}".rstrip())

    def line(self, seconds):
        """The next line of output."""
        deadline, text = time.monotonic() + seconds, b""
        descriptor = self.popen.stdout.fileno()
        while not text.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                self.fail("nothing printed in time")
            byte = os.read(descriptor, 1)
            if not byte:
                self.fail("ended early")
            text += byte
        return text.decode()

    def finish(self, seconds):
        """Waits for the end; returns (status, output, errors)."""
        try:
            out, errors = self.popen.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.fail(f"did not end within {seconds:.0f} s")
        _running.remove(self)
        return self.popen.returncode, out.decode(), errors.decode()

    def stop(self):
        """Ends the process politely, then not politely; returns (output, errors)."""
        out, errors = b"", b""
        for number, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, 3)):
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                pass
            try:
                out, errors = self.popen.communicate(timeout=patience)
                break
            except subprocess.TimeoutExpired:
                continue
        try:
            os.killpg(self.pid, signal.SIGKILL)  # children that outlived it
        except (ProcessLookupError, PermissionError):
            pass
        if self in _running:
            _running.remove(self)
        return out.decode(errors="replace"), errors.decode(errors="replace")


def _stop_all():
    for process in list(_running):
        process.stop()


atexit.register(_stop_all)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(process, port, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.popen.poll() is not None:
            process.fail("ended early")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    process.fail(f"does not listen on port {port}")


def start_server(command, cpu):
    """
    Starts a server and returns (process, port). A command with {port} gets a free port and is
    waited for by connecting; one without chooses its own and prints "listening on ADDRESS:PORT".
    """
    if any("{port}" in word for word in command):
        port = free_port()
        process = Process([word.replace("{port}", str(port)) for word in command], cpu)
        wait_for_port(process, port)
        return process, port
    process = Process(command, cpu)
    for _ in range(20):
        line = process.line(10)
        if line.startswith("listening on "):
            return process, int(line.rsplit(":", 1)[1])
    return process.fail("did not say where it listens")


def family(pid):
    """The process and all that descend from it."""
    pids = [pid]
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
            for child in children.read().split():
                pids += family(int(child))
    except OSError:
        pass
    return pids


def cpu_seconds(pid):
    """User and system time of a process and its descendants, by their CPU clocks."""
    return sum(time.clock_gettime(~one << 3 | 2) for one in family(pid))
