# SPDX-License-Identifier: MIT
"""
TCP proxies: HTTP requests through one pinned proxy thread to an origin on another CPU.

    wrk (client CPU) -> proxy (server CPU) -> nginx as the origin (client CPU)

Each proxy is configured as its manual advises for this job: one worker, no logging, TCP_NODELAY.
"""

import os
import re
import shutil
import tempfile

from run_pairs import compare_all
from run_process import Failed, Process, cpu_seconds, free_port, start_server, wait_for_port

PARAMETERS = ["64x1024", "1000x1024"]
PAIRS = [("ouro-proxy", "nginx"), ("ouro-proxy", "haproxy"), ("haproxy", "nginx"),
         ("ouro-proxy", "uring-relay"), ("uring-relay", "nginx")]
BUILT = ("ouro-proxy", "uring-relay")
STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"

NGINX = """
{modules}
user root;
worker_processes 1;
worker_cpu_affinity {mask};
worker_rlimit_nofile 20000;
daemon off;
pid {directory}/{name}.pid;
error_log stderr crit;
events {{ use epoll; worker_connections 8192; multi_accept on; accept_mutex off; }}
{body}
"""

ORIGIN = """
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    tcp_nodelay on;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port} reuseport backlog=4096;
        location / {{ default_type text/plain; return 200 "{text}"; }}
    }}
}}
"""

STREAM = """
stream {{
    access_log off;
    tcp_nodelay on;
    proxy_buffer_size {buffer};
    server {{
        listen 127.0.0.1:{port} reuseport backlog=4096;
        proxy_pass 127.0.0.1:{origin};
    }}
}}
"""

HAPROXY = """
global
    nbthread 1
    maxconn 8192
    cpu-map 1/1 {cpu}
    tune.bufsize {buffer}
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
    maxconn 8192
frontend in
    bind 127.0.0.1:{port} backlog 4096
    default_backend out
backend out
    server origin 127.0.0.1:{origin}
"""


class Proxy:
    def __init__(self, options, find, directory):
        self.options = options
        self.find = find
        self.directory = directory
        self.origin = free_port()
        body = ORIGIN.format(directory=directory, port=self.origin, text="x" * 1024)
        self.origin_process = self.nginx("origin", body, self.origin, options.client_cpu, "")

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def nginx(self, name, body, port, cpu, modules):
        text = NGINX.format(modules=modules, mask=bin(1 << cpu)[2:], directory=self.directory,
                            name=name, body=body)
        path = self.write(f"{name}.conf", text)
        process = Process([shutil.which("nginx"), "-p", self.directory, "-e", "stderr", "-c", path],
                          cpu)
        wait_for_port(process, port)
        return process

    def start(self, subject):
        cpu, port = self.options.server_cpu, free_port()
        if subject == "nginx":
            body = STREAM.format(buffer=self.options.nginx_buffer, port=port, origin=self.origin)
            module = f"load_module {STREAM_MODULE};" if os.path.exists(STREAM_MODULE) else ""
            return self.nginx(subject, body, port, cpu, module), port
        if subject == "haproxy":
            text = HAPROXY.format(cpu=cpu, port=port, origin=self.origin,
                                  buffer=self.options.haproxy_buffer)
            process = Process([shutil.which("haproxy"), "-db", "-q", "-f",
                               self.write("haproxy.cfg", text)], cpu)
            wait_for_port(process, port)
            return process, port
        if subject in dict(self.options.subject):
            command = dict(self.options.subject)[subject].split()
        elif subject == "uring-relay":
            command = [self.find(subject), "--backend-port", "{origin}", "--cpus", str(cpu)]
        else:
            command = [self.find("ouro-proxy"), "--listen", "127.0.0.1:0",
                       "--backend", "127.0.0.1:{origin}", "--cpus", str(cpu)]
        return start_server([word.replace("{origin}", str(self.origin)) for word in command], cpu)

    def available(self, subject):
        if subject in dict(self.options.subject):
            return True
        return bool(self.find(subject) if subject in BUILT else shutil.which(subject))

    def wrk(self, port, connections, seconds):
        command = [shutil.which("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
                   "--timeout", "5s", f"http://127.0.0.1:{port}/"]
        status, out, errors = Process(command, self.options.client_cpu).finish(seconds + 20)
        requests = re.search(r"(\d+) requests in", out)
        if status or not requests or int(requests[1]) == 0:
            raise Failed(f"{' '.join(command)}: {errors.strip() or out.strip()}")
        wrong = re.search(r"(Socket errors.*|Non-2xx.*)", out)
        if wrong:
            raise Failed(f"{' '.join(command)}: {wrong[1]}")
        return int(requests[1]), out

    def measure(self, subject, parameter):
        connections = int(parameter.split("x")[0])
        seconds = max(1, round(self.options.seconds))
        process, port = self.start(subject)
        try:
            self.wrk(port, connections, 1)
            before = cpu_seconds(process.pid)
            requests, out = self.wrk(port, connections, seconds)
            spent = cpu_seconds(process.pid) - before
        finally:
            process.stop()
        return {"requests": requests, "requests_per_second": requests / seconds,
                "server_load": spent / seconds, "cpu_per_request": spent * 1e6 / requests,
                "requests_per_cpu_second": requests / spent,
                "latency_p50": _latency(out, 50), "latency_p99": _latency(out, 99)}


def _latency(text, percent):
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s)$", text, re.MULTILINE)
    return float(found[1]) * {"us": 1, "ms": 1e3, "s": 1e6}[found[2]] if found else 0.0


def run(options, report, find):
    for program in ("nginx", "wrk"):
        if not shutil.which(program):
            raise Failed(f"{program} is not installed: run tools/setup --bench")
    with tempfile.TemporaryDirectory(prefix="bench-proxy-") as directory:
        proxy = Proxy(options, find, directory)
        try:
            return compare_all(report, "proxy", proxy.measure, options.pair or PAIRS,
                               options.parameter or PARAMETERS, options, proxy.available)
        finally:
            proxy.origin_process.stop()
