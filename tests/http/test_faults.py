"""Clients that misbehave, and a system that runs short: the deadlines hold, and the others are served."""
import os
import select
import shutil
import socket
import tempfile
import time
import unittest

from support import HELLO, PATIENCE, SCALE, SERVER, Client, Program, ServerTest, get

TIMEOUT = 0.6 * SCALE


class Deadlines(ServerTest):
    # a body as large as one likes: a fast machine brings a flood to the usual limit first
    options = ["--read-timeout", str(TIMEOUT), "--max-body", str(1 << 40)]

    @classmethod
    def more_options(cls):
        cls.folder = tempfile.mkdtemp(prefix="leat-http-")
        with open(os.path.join(cls.folder, "large.bin"), "wb") as out:
            out.truncate(64 << 20)
        return ["--root", cls.folder]

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)
        super().tearDownClass()

    def assert_timed_out(self, client, since):
        self.assertEqual(client.read().status, 408)
        took = time.monotonic() - since
        self.assertGreater(took, TIMEOUT * 0.9)
        self.assertLess(took, PATIENCE)
        self.assertTrue(client.ended())

    def test_silence_within_a_request(self):
        for data in (b"G", get()[:-2], get("/", "Content-Length: 5") + b"123",
                     get("/", "Transfer-Encoding: chunked") + b"5\r\nab"):
            since = time.monotonic()
            client = self.connect()
            client.send(data)
            self.assert_timed_out(client, since)

    def test_silence_from_the_start(self):
        since = time.monotonic()
        self.assert_timed_out(self.connect(), since)

    def test_a_byte_now_and_then_buys_no_time(self):
        since = time.monotonic()
        client = self.connect()
        for byte in get("/", "X: " + "x" * 1000):
            client.send_what_goes(bytes([byte]))
            if select.select([client.socket], [], [], 0.05)[0]:
                break
        self.assert_timed_out(client, since)

    def test_empty_lines_buy_no_time(self):
        since = time.monotonic()
        client = self.connect()
        while not select.select([client.socket], [], [], 0.05)[0]:
            client.send_what_goes(b"\r\n")
            self.assertLess(time.monotonic() - since, PATIENCE)
        self.assertEqual(client.read().status, 408)

    def test_a_flood_buys_no_time(self):
        since = time.monotonic()
        client = self.connect()
        client.send(get("/", "Transfer-Encoding: chunked"))
        flood = b"1;%s\r\nx\r\n" % (b"y" * 1000) * 60
        while not select.select([client.socket], [], [], 0)[0]:
            client.send_what_goes(flood)
            self.assertLess(time.monotonic() - since, PATIENCE)
        self.assert_timed_out(client, since)

    def test_an_idle_connection_ends_without_a_word(self):
        client = self.connect()
        since = time.monotonic()   # before the answer: its time begins with that, however late we get to see it
        self.assertEqual(client.ask(get()).status, 200)
        self.assertTrue(client.ended())
        self.assertGreater(time.monotonic() - since, TIMEOUT * 0.9)

    def test_each_request_has_its_own_time(self):
        for _ in range(20):   # a busy machine may let us sleep for longer than that
            if self.asks_now_and_then(self.connect()):
                return
        self.fail("no six requests in a row came in time")

    def asks_now_and_then(self, client):
        """False: some came so late that the server may have had enough."""
        last = time.monotonic()
        for _ in range(6):
            time.sleep(TIMEOUT * 0.4)
            now = time.monotonic()
            try:
                self.assertEqual(client.ask(get()).status, 200)
            except (AssertionError, OSError):
                if time.monotonic() - last > TIMEOUT * 0.8:
                    return False
                raise
            last = now
        return True

    def test_many_slow_ones_harm_nobody(self):
        slow = [self.connect() for _ in range(200)]
        for client in slow:
            client.send(get()[:20])
        since = time.monotonic()
        self.assert_serves()
        self.assertLess(time.monotonic() - since, PATIENCE / 2)
        for client in slow:
            self.assertEqual(client.read().status, 408)

    def test_a_peer_that_never_reads_a_file(self):
        client = self.connect(receive_buffer=4096)
        client.send(get("/large.bin"))
        self.assertTrue(select.select([client.socket], [], [], PATIENCE)[0])
        self.assert_serves()
        self.assert_quiet()

    def test_a_peer_that_asks_and_never_reads(self):
        client = self.connect(receive_buffer=4096)
        client.socket.settimeout(TIMEOUT * 0.4)
        try:
            for _ in range(2000):
                client.send(get() * 500)
        except OSError:
            pass
        self.assert_serves()
        self.assert_quiet()


class Storms(ServerTest):
    options = ["--read-timeout", str(PATIENCE)]   # no deadline is looked at here

    @classmethod
    def more_options(cls):
        cls.folder = tempfile.mkdtemp(prefix="leat-http-")
        with open(os.path.join(cls.folder, "large.bin"), "wb") as out:
            out.truncate(10 << 20)
        return ["--root", cls.folder]

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)
        super().tearDownClass()

    def test_500_connections_at_once(self):
        clients = [self.connect() for _ in range(500)]
        for _ in range(3):
            for client in clients:
                client.send(get())
            for client in clients:
                self.assertEqual(client.read().body, HELLO)

    def test_burst_of_connects(self):
        poll = select.poll()
        waiting = {}
        for _ in range(1000):
            s = socket.socket()
            self.addCleanup(s.close)
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", self.server.port))
            waiting[s.fileno()] = s
            poll.register(s, select.POLLOUT)
        until = time.monotonic() + PATIENCE
        while waiting and time.monotonic() < until:
            for number, events in poll.poll(1000):
                s = waiting[number]
                if events & select.POLLIN:
                    self.assertTrue(s.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n"))
                    poll.unregister(s)
                    del waiting[number]
                else:
                    self.assertEqual(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)
                    s.send(get())
                    poll.modify(s, select.POLLIN)
        self.assertEqual(len(waiting), 0)

    def test_resets(self):
        for data, wait in ((b"", False), (b"", True), (get()[:10], True), (get() * 100, False), (get("/large.bin"), True),
                           (get("/", "Content-Length: 100000") + b"x" * 50000, True)):
            for _ in range(20):
                client = Client(self.server.port, receive_buffer=4096)
                client.send(data)
                if wait:
                    time.sleep(0.002)
                client.reset()
        self.assert_serves()
        self.assert_quiet()

    def test_connect_and_leave(self):
        for _ in range(300):
            Client(self.server.port).socket.close()
        self.assert_serves()
        self.assert_quiet()


class Shortage(unittest.TestCase):
    """Goal: out of descriptors, the server neither ends nor spins, says so, and serves again when there are some."""

    def test_out_of_descriptors(self):
        server = Program([SERVER, "--listen", "127.0.0.1:0", "--read-timeout", "30"], files=64)
        try:
            self.run_out(server)
        finally:
            status = server.stop()
        self.assertEqual(status, 0, server.log)

    def run_out(self, server):
        clients = [Client(server.port) for _ in range(100)]
        for client in clients:
            client.send(get())
        until = time.monotonic() + PATIENCE
        while "Too many open files" not in server.stderr():
            self.assertLess(time.monotonic(), until, server.log)
            time.sleep(0.05)
        cpu, since = server.cpu_seconds(), time.monotonic()
        time.sleep(0.5)
        used = server.cpu_seconds() - cpu
        self.assertLess(used, (time.monotonic() - since) / 2)
        self.assertLess(server.stderr().count("\n"), 10)

        until = time.monotonic() + PATIENCE
        answered = []
        while len(answered) <= 20:
            self.assertLess(time.monotonic(), until, server.log)
            answered = [client for client in clients if select.select([client.socket], [], [], 0.01)[0]]
        self.assertLess(len(answered), 64)
        for client in answered:
            self.assertEqual(client.read().status, 200)
            client.socket.close()
        for client in clients:
            if client not in answered:
                self.assertEqual(client.read().status, 200)
                client.socket.close()
        with Client(server.port) as client:
            self.assertEqual(client.ask(get()).status, 200)
