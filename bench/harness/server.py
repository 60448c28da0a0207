"""Servers under load: each on one CPU (or anywhere), the load generator on another, the server's CPU time by its own clock."""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from .process import Failed, environment, output, parse

CPUCLOCK_SCHED = 2
TEXT = "hello from leat\\n"  # as nginx writes it; the other two servers answer the same 16 bytes


def cpus():
    """(CPU of the server, CPU of the load)."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server process for the length of a with-block. Its end is part of the measurement: one that crashes has no figures."""

    def __init__(self, make_command, procs, pinned):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.command = [str(part) for part in make_command(self.address)]
        self.procs = procs
        self.cpu = cpus()[0] if pinned else None
        self.child = None
        self.printed = tempfile.TemporaryFile("w+")  # files: a pipe that nobody reads would stop the server
        self.complaints = tempfile.TemporaryFile("w+")

    def __enter__(self):
        pin = (lambda: os.sched_setaffinity(0, {self.cpu})) if self.cpu is not None else None
        try:
            self.child = subprocess.Popen(self.command, env=environment(self.procs), preexec_fn=pin,
                                          stdout=self.printed, stderr=self.complaints)
            self.wait_ready()
        except OSError as error:
            raise Failed(str(error)) from None
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind, *rest):
        status = self.stop()
        if kind is None and status not in (0, -signal.SIGTERM):
            raise Failed(f"the server ended with {status}: {self.said(self.complaints)}")

    def wait_ready(self):
        until = time.monotonic() + 10
        while time.monotonic() < until:
            if self.child.poll() is not None:
                raise Failed(f"the server ended at once with {self.child.returncode}: {self.said(self.complaints)}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise Failed("the server did not listen within 10 s")

    def stop(self):
        """Its exit status; 'no answer to SIGTERM' when it had to be killed."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            return "no answer to SIGTERM"

    @staticmethod
    def said(file):
        file.seek(0)
        return file.read().strip()

    def lines(self):
        """The figures that it printed at its end."""
        return parse(self.said(self.printed))

    def pids(self):
        """Who does the work: the process, or its children where it only watches them."""
        path = f"/proc/{self.child.pid}/task/{self.child.pid}/children"
        children = [int(pid) for pid in Path(path).read_text().split()]
        return [self.child.pid] + children

    def cpu_s(self):
        try:
            return sum(time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED) for pid in self.pids())
        except OSError:
            raise Failed("the server's process is gone") from None


def echo(make_command, load, connections, quick):
    """Our own closed loop against an echo server on one CPU."""
    server = Server(make_command, procs=1, pinned=True)
    with server:
        pids = [part for pid in server.pids() for part in ("--pid", pid)]
        found = parse(output([load, "--server", server.address, "--connections", connections, "--cpu", cpus()[1],
                              "--warm-up", 0.3 if quick else 0.7, "--duration", 1 if quick else 3, *pids]))
    return found + server.lines()


def microseconds(text):
    """'1.23ms' of wrk."""
    match = re.fullmatch(r"([0-9.]+)(us|ms|s|m)", text)
    if not match:
        raise Failed(f"wrk printed a time that is none: {text}")
    return float(match[1]) * {"us": 1, "ms": 1e3, "s": 1e6, "m": 60e6}[match[2]]


def parse_wrk(text):
    if "Non-2xx" in text or "Socket errors" in text:
        raise Failed("wrk saw errors:\n" + text)
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", text)
    total = re.search(r"(\d+) requests in", text)
    p50 = re.search(r"^\s+50%\s+(\S+)", text, re.MULTILINE)
    p99 = re.search(r"^\s+99%\s+(\S+)", text, re.MULTILINE)
    if not (rate and total and p50 and p99) or int(total[1]) == 0:
        raise Failed("wrk's figures cannot be read:\n" + text)
    return float(rate[1]), int(total[1]), microseconds(p50[1]), microseconds(p99[1])


def wrk(address, seconds, pinned, connections):
    threads = 1 if pinned else len(os.sched_getaffinity(0))
    prefix = ["taskset", "-c", cpus()[1]] if pinned else []
    return output([*prefix, "wrk", "-t", threads, "-c", connections, "-d", f"{seconds}s", "--latency", f"http://{address}/"])


def check_text(address):
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"GET / gave {error!r}") from None
    finally:
        connection.close()
    if answer.status != 200 or not body:
        raise Failed(f"GET / gave {answer.status} and {len(body)} bytes")


def http_load(make_command, procs, pinned, quick, connections=100):
    """wrk against an HTTP server."""
    with Server(make_command, procs, pinned) as server:
        check_text(server.address)
        wrk(server.address, 1, pinned, connections)
        cpu = server.cpu_s()
        rate, total, p50, p99 = parse_wrk(wrk(server.address, 2 if quick else 5, pinned, connections))
        cpu = server.cpu_s() - cpu
    return [("requests", rate, "1/s"), ("p50", p50, "us"), ("p99", p99, "us"), ("cpu", cpu / total * 1e6, "us")]


NGINX = """
{user}
worker_processes {workers};
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type text/plain;
    server {{
        listen {address};
        location / {{ return 200 "{text}"; }}
    }}
}}
"""


def nginx_load(procs, pinned, quick):
    """nginx with a configuration of its own, a worker per processor."""
    folder = tempfile.mkdtemp(prefix="leat-bench-nginx-")

    def command(address):
        user = "user root;" if os.geteuid() == 0 else ""
        config = Path(folder) / "nginx.conf"
        config.write_text(NGINX.format(user=user, workers=procs, folder=folder, address=address, text=TEXT))
        return ["nginx", "-p", folder, "-c", config, "-e", f"{folder}/error.log", "-g", "daemon off;"]

    try:
        return http_load(command, procs, pinned, quick)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
