"""What the tests of the HTTP server share: a server process, and a client on a raw socket.

HTTP_TEST_SERVER, HTTP_TEST_ECHO and HTTP_TEST_PROXY name the programs. HTTP_TEST_SCALE multiplies the spans that a slow build may need longer for.
"""
import ctypes
import os
import resource
import select
import signal
import socket
import subprocess
import time
import unittest

SERVER = os.environ.get("HTTP_TEST_SERVER", "http_server")
ECHO = os.environ.get("HTTP_TEST_ECHO", "echo")
PROXY = os.environ.get("HTTP_TEST_PROXY", "proxy")
SCALE = float(os.environ.get("HTTP_TEST_SCALE", "1"))
PATIENCE = 30 * SCALE   # far beyond what anything here takes: only a hang reaches it

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)

HELLO = b"hello from leat\n"


def get(path="/", *headers):
    lines = ["GET %s HTTP/1.1" % path, "Host: test"] + list(headers)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Program:
    """A server under test, listening on a free port of 127.0.0.1."""

    def __init__(self, command, files=None):
        def limit():
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)   # a test run that is stopped leaves nothing behind
            if files is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=limit)
        self.log = b""
        self.port = 0
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline().decode() if ready else ""
        if not line.startswith("listening on "):
            self.process.kill()
            raise AssertionError("no server: %r %r" % (line, self.process.communicate()))
        self.port = int(line.replace(":", " ").split()[-1])
        os.set_blocking(self.process.stderr.fileno(), False)

    def stderr(self):
        self.log += self.process.stderr.read() or b""
        return self.log.decode(errors="replace")

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, patience=PATIENCE):
        """The exit status; None: it did not end."""
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            return None
        return self.process.returncode

    def stop(self):
        """The exit status after SIGTERM; never leaves the process behind."""
        if self.process.poll() is None:
            self.signal()
        status = self.wait()
        if status is None:
            self.process.kill()
            self.process.wait()
        self.stderr()
        self.process.stdout.close()
        self.process.stderr.close()
        return status

    def sockets(self):
        """How many sockets the process has open."""
        count = 0
        folder = "/proc/%d/fd" % self.process.pid
        for name in os.listdir(folder):
            try:
                count += os.readlink(os.path.join(folder, name)).startswith("socket:")
            except OSError:
                pass
        return count

    def connections(self):
        """How many connections it has, accepted or not, and how many bytes of them it has not read yet."""
        count = unread = 0
        with open("/proc/net/tcp") as table:
            for line in table.readlines()[1:]:
                fields = line.split()
                if int(fields[1].split(":")[1], 16) == self.port and fields[3] == "01":   # established
                    count += 1
                    unread += int(fields[4].split(":")[1], 16)
        return count, unread

    def cpu_seconds(self):
        with open("/proc/%d/stat" % self.process.pid) as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body


class Client:
    """One connection, which reads exactly the answers that it is told to."""

    def __init__(self, port, receive_buffer=None, patience=PATIENCE):
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(patience)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def send_what_goes(self, data):
        """As send(), but the server may have had enough of it."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def more(self):
        data = self.socket.recv(1 << 16)
        self.rest += data
        return len(data) > 0

    def read_head(self):
        while b"\r\n\r\n" not in self.rest:
            if not self.more():
                raise AssertionError("end of file in place of an answer, after %r" % self.rest[:200])
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        version, status, _ = lines[0].split(" ", 2)
        if version != "HTTP/1.1":
            raise AssertionError("not an answer: %r" % lines[0])
        headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            if name.lower() in headers:
                raise AssertionError("twice: %r" % name)
            headers[name.lower()] = value.strip()
        return int(status), headers

    def read(self, head=False):
        """The next answer. head: it belongs to a HEAD request."""
        status, headers = self.read_head()
        length = 0 if head or status == 100 else int(headers["content-length"])
        while len(self.rest) < length:
            if not self.more():
                raise AssertionError("end of file %d bytes into a body of %d" % (len(self.rest), length))
        body, self.rest = self.rest[:length], self.rest[length:]
        return Answer(status, headers, body)

    def ask(self, data, head=False):
        self.send(data)
        return self.read(head)

    def ended(self):
        """Does the server close, without another byte? Waits for it."""
        try:
            return self.rest == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def reset(self):
        """Close by RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


class ServerTest(unittest.TestCase):
    """Tests against one server, started with `options`; it must be alive after each, and end well after the last."""

    options = []
    server = None

    @classmethod
    def more_options(cls):
        return []

    @classmethod
    def setUpClass(cls):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        cls.server = Program([SERVER, "--listen", "127.0.0.1:0"] + cls.options + cls.more_options())
        cls.quiet = cls.server.sockets()

    @classmethod
    def tearDownClass(cls):
        status = cls.server.stop()
        if status != 0:
            raise AssertionError("the server ended with %s:\n%s" % (status, cls.server.log.decode(errors="replace")))

    def tearDown(self):
        self.assertIsNone(self.server.process.poll(), "the server is gone:\n" + self.server.stderr())

    def connect(self, **options):
        client = Client(self.server.port, **options)
        self.addCleanup(client.socket.close)
        return client

    def assert_serves(self):
        with Client(self.server.port) as client:
            self.assertEqual(client.ask(get()).status, 200)

    def assert_quiet(self):
        """The server gives every connection up, whatever the client does."""
        self.wait_for(lambda: self.server.sockets() <= self.quiet, "all connections are closed")

    def wait_for(self, condition, what, patience=PATIENCE):
        until = time.monotonic() + patience
        while not condition():
            if time.monotonic() > until:
                self.fail("not within %.1f s: %s\n%s" % (patience, what, self.server.stderr()))
            time.sleep(0.02)
