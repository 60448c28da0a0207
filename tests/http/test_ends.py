"""Starting and ending: options, signals, and what becomes of connections then. The echo server and the proxy too."""
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from support import ECHO, HELLO, PATIENCE, PROXY, SERVER, Client, Program, get


class Ends(unittest.TestCase):
    def start(self, *options):
        server = Program([SERVER, "--listen", "127.0.0.1:0"] + list(options))
        self.addCleanup(server.stop)
        return server

    def connect(self, server, **options):
        client = Client(server.port, **options)
        self.addCleanup(client.socket.close)
        return client

    def wait_for(self, condition, what):
        until = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), until, what)
            time.sleep(0.02)

    def wait_until_read(self, server, clients):
        """All of them are accepted, and what they have sent is read: from now on the server is in the middle of their requests."""
        self.wait_for(lambda: server.connections() == (clients, 0), "everything is read")
        time.sleep(1.5)   # and looked at

    def refuses(self, server):
        try:
            Client(server.port).socket.close()
        except (ConnectionRefusedError, ConnectionResetError):   # reset: it was on its way as the listener closed
            return True
        return False

    def assert_ends(self, server, patience=PATIENCE):
        self.assertEqual(server.wait(patience), 0, server.stderr())

    def test_signals_end_it(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.start()
            self.connect(server).ask(get())
            server.signal(number)
            self.assert_ends(server)

    def test_idle_connections_do_not_delay_the_end(self):
        server = self.start("--grace", "60", "--read-timeout", "60")
        clients = [self.connect(server) for _ in range(50)]
        for client in clients[:25]:
            client.ask(get())
        server.signal()
        for client in clients:
            self.assertTrue(client.ended())
        self.assert_ends(server)

    def test_running_requests_are_finished(self):
        with tempfile.TemporaryDirectory(prefix="leat-http-") as root:
            data = os.urandom(1 << 20) * 10
            with open(os.path.join(root, "large.bin"), "wb") as out:
                out.write(data)
            server = self.start("--root", root, "--grace", "30")
            half, body, download = self.connect(server), self.connect(server), self.connect(server, receive_buffer=65536)
            half.send(get()[:20])
            body.send(get("/", "Content-Length: 10") + b"12345")
            download.send(get("/large.bin"))
            status, headers = download.read_head()
            self.wait_until_read(server, 3)
            server.signal()
            self.wait_for(lambda: self.refuses(server), "no further connection is taken")
            server.signal()   # once more does no harm

            answer = half.ask(get()[20:])
            self.assertEqual((answer.status, answer.body, answer.headers["connection"]), (200, HELLO, "close"))
            self.assertTrue(half.ended())
            answer = body.ask(b"67890")
            self.assertEqual((answer.status, answer.headers["connection"]), (200, "close"))
            self.assertTrue(body.ended())
            self.assertIsNone(server.process.poll())
            while len(download.rest) < len(data) and download.more():
                pass
            self.assertEqual(download.rest, data)
            self.assert_ends(server)

    def test_grace_is_bounded(self):
        server = self.start("--grace", "0.5", "--read-timeout", "60")
        clients = [self.connect(server) for _ in range(20)]
        for client in clients:
            client.send(get()[:20])
        self.wait_until_read(server, 20)
        since = time.monotonic()
        server.signal()
        self.assert_ends(server)
        self.assertGreater(time.monotonic() - since, 0.4)
        self.assertLess(time.monotonic() - since, PATIENCE)
        for client in clients:
            self.assertTrue(client.ended())

    def test_no_grace(self):
        server = self.start("--grace", "0", "--read-timeout", "60")
        client = self.connect(server)
        client.send(get()[:20])
        time.sleep(0.1)
        server.signal()
        self.assert_ends(server)

    def test_end_under_load(self):
        server = self.start()
        clients = [self.connect(server) for _ in range(50)]
        for client in clients:
            client.send(get() * 100)
        server.signal()
        self.assert_ends(server)


class Options(unittest.TestCase):
    def run_with(self, *options):
        done = subprocess.run([SERVER] + list(options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def test_help(self):
        status, out, _ = self.run_with("--help")
        self.assertEqual(status, 0)
        for option in ("--listen", "--root", "--read-timeout", "--max-body", "--max-header", "--grace"):
            self.assertIn(option, out)

    def test_bad_options(self):
        for options in (["--nonsense"], ["surplus"], ["--root"], ["--root", "/nonexistent"], ["--root", SERVER],
                        ["--read-timeout", "0"], ["--read-timeout", "soon"], ["--read-timeout", "-1"], ["--grace", "nan"],
                        ["--max-body", "x"], ["--max-body", "-1"], ["--max-header", "1"], ["--max-header", "99999999999"]):
            status, out, message = self.run_with(*options)
            self.assertEqual((status, out), (2, ""), options)
            self.assertIn(options[-1].lstrip("-"), message)

    def test_bad_addresses(self):
        for address in ("nonsense", "127.0.0.1:99999", "300.0.0.1:80"):
            status, out, message = self.run_with("--listen", address)
            self.assertEqual((status, out), (1, ""), address)
            self.assertIn(address, message)

    def test_address_in_use(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            address = "127.0.0.1:%d" % other.getsockname()[1]
            status, _, message = self.run_with("--listen", address)
        self.assertEqual(status, 1)
        self.assertIn("Address already in use", message)


class Echo(unittest.TestCase):
    def test_echo(self):
        server = Program([ECHO, "127.0.0.1:0"])
        try:
            clients = [Client(server.port) for _ in range(50)]
            for turn in range(3):
                for i, client in enumerate(clients):
                    client.send(b"%d %d" % (i, turn))
                for i, client in enumerate(clients):
                    self.assertEqual(client.socket.recv(100), b"%d %d" % (i, turn))
            clients[0].send(b"last")
            clients[0].socket.shutdown(socket.SHUT_WR)
            self.assertEqual(clients[0].socket.recv(100), b"last")
            self.assertTrue(clients[0].ended())
            server.signal()
            self.assertEqual(server.wait(), 0)
            for client in clients:
                client.socket.close()
        finally:
            server.stop()


class Proxy(unittest.TestCase):
    def start(self, *command):
        program = Program(list(command))
        self.addCleanup(program.stop)
        return program

    def connect(self, program):
        client = Client(program.port)
        self.addCleanup(client.socket.close)
        return client

    def test_proxy(self):
        server = self.start(ECHO, "127.0.0.1:0")
        proxy = self.start(PROXY, "127.0.0.1:0", "127.0.0.1:%d" % server.port)
        clients = [self.connect(proxy) for _ in range(20)]
        for turn in range(3):
            for i, client in enumerate(clients):
                client.send(b"%d %d" % (i, turn))
            for i, client in enumerate(clients):
                self.assertEqual(client.socket.recv(100), b"%d %d" % (i, turn))
        # much, both ways at once, and the end of the one before the other's
        data = os.urandom(1 << 20) * 4

        def send():
            clients[0].send(data)
            clients[0].socket.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        while clients[0].more():
            pass
        sender.join()
        self.assertTrue(clients[0].rest == data)
        # an end of the server's is one for the clients
        server.signal()
        self.assertEqual(server.wait(), 0)
        for client in clients[1:]:
            self.assertTrue(client.ended())
        # nobody is there any more
        client = self.connect(proxy)
        self.assertTrue(client.ended())
        self.assertIn("Connection refused", proxy.stderr())
        proxy.signal()
        self.assertEqual(proxy.wait(), 0)
