"""What a request gets: status codes, framing, limits, files."""
import os
import re
import shutil
import socket
import tempfile
import time

from support import HELLO, ServerTest, get


class Requests(ServerTest):
    options = ["--read-timeout", "60", "--max-body", "10000", "--max-header", "4096"]

    def refused(self, data, status):
        """It gets that status, the connection ends, and the server serves on."""
        client = self.connect()
        client.send_what_goes(data)
        answer = client.read()
        self.assertEqual(answer.status, status)
        self.assertEqual(answer.headers.get("connection"), "close")
        self.assertTrue(client.ended())
        self.assert_serves()

    def test_greeting(self):
        answer = self.connect().ask(get())
        self.assertEqual((answer.status, answer.body), (200, HELLO))
        self.assertEqual(answer.headers["content-type"], "text/plain; charset=utf-8")
        self.assertRegex(answer.headers["date"], r"^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$")
        self.assertNotIn("connection", answer.headers)

    def test_stats_have_a_row_for_each_processor(self):
        answer = self.connect().ask(get("/stats"))
        self.assertEqual(answer.status, 200)
        totals, table = answer.body.decode().split("\n\n")
        procs = int(re.search(r"^procs (\d+)$", totals, re.M).group(1))
        rows = [line.split() for line in table.splitlines()]
        self.assertEqual([row[0] for row in rows], ["proc"] + [str(i) for i in range(procs)] + ["sum"])
        for column in ("run", "stolen", "parked", "woken"):
            self.assertIn(column, rows[0])
        self.assertGreater(int(rows[-1][rows[0].index("run")]), 0)
        for row in rows[1:]:
            self.assertEqual(len(row), len(rows[0]))

    def test_keep_alive(self):
        client = self.connect()
        for _ in range(20):
            self.assertEqual(client.ask(get()).body, HELLO)

    def test_pipelined_answers_come_in_order(self):
        client = self.connect()
        paths = ["/", "/none%d", "/stats", "/"]
        client.send(b"".join(get(paths[i % 4].replace("%d", str(i))) for i in range(100)))
        for i in range(100):
            answer = client.read()
            self.assertEqual(answer.status, 404 if i % 4 == 1 else 200, i)
            if i % 4 in (0, 3):
                self.assertEqual(answer.body, HELLO)

    def test_pipeline_longer_than_every_buffer(self):
        client = self.connect()
        client.send(get("/", "X: " + "x" * 500) * 300)
        for _ in range(300):
            self.assertEqual(client.read().body, HELLO)

    def test_byte_by_byte(self):
        client = self.connect()
        for byte in get("/", "Expect: 100-continue", "Content-Length: 3") + b"abc" + get("/none"):
            client.send(bytes([byte]))
            time.sleep(0.001)
        self.assertEqual([client.read().status for _ in range(3)], [100, 200, 404])

    def test_pieces_cut_anywhere(self):
        data = get("/", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\nT: x\r\n\r\n" + get("/none")
        client = self.connect()
        for cut in range(1, len(data), 5):
            client.send(data[:cut])
            time.sleep(0.001)
            client.send(data[cut:])
            self.assertEqual([client.read().status, client.read().status], [200, 404], cut)

    def test_connection_close(self):
        client = self.connect()
        answer = client.ask(get("/", "Connection: close"))
        self.assertEqual((answer.status, answer.headers["connection"]), (200, "close"))
        self.assertTrue(client.ended())

    def test_nothing_is_answered_behind_connection_close(self):
        client = self.connect()
        client.send(get("/", "Connection: close") + get() * 50)
        self.assertEqual(client.read().status, 200)
        self.assertTrue(client.ended())

    def test_http_1_0(self):
        client = self.connect()
        answer = client.ask(b"GET / HTTP/1.0\r\n\r\n")
        self.assertEqual((answer.status, answer.body), (200, HELLO))
        self.assertTrue(client.ended())

    def test_http_1_0_keep_alive(self):
        client = self.connect()
        for _ in range(3):
            answer = client.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            self.assertEqual((answer.status, answer.headers["connection"]), (200, "keep-alive"))

    def test_head(self):
        client = self.connect()
        client.send(get().replace(b"GET", b"HEAD") + get("/none").replace(b"GET", b"HEAD") + get())
        self.assertEqual(client.read(head=True).headers["content-length"], str(len(HELLO)))
        self.assertEqual(client.read(head=True).status, 404)
        self.assertEqual(client.read().body, HELLO)

    def test_absolute_target_and_query(self):
        client = self.connect()
        for path in ("http://test/", "http://test", "http://test:80/?a=b", "/?a=/none", "/%73tats?x", "/#x"):
            self.assertEqual(client.ask(get(path)).status, 200, path)

    def test_not_found(self):
        client = self.connect()
        for path in ("/none", "/stats/", "/nope", "//x", "/.", "/.."):
            self.assertEqual(client.ask(get(path)).status, 404, path)

    def test_method_not_allowed(self):
        client = self.connect()
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
            answer = client.ask(get("/", "Content-Length: 3").replace(b"GET", method.encode()) + b"abc")
            self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, HEAD"), method)
        self.assertEqual(client.ask(b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n").status, 405)
        self.assertEqual(client.ask(b"CONNECT test:80 HTTP/1.1\r\nHost: test:80\r\n\r\n").status, 405)
        self.assertEqual(client.ask(get()).status, 200)

    def test_upgrade_is_not_taken_up(self):
        client = self.connect()
        upgrade = get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
        self.assertEqual(client.ask(upgrade).status, 200)
        self.assertEqual(client.ask(get()).status, 200)

    def test_bad_requests(self):
        for data in (b"nonsense\r\n\r\n",
                     b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                     b"GET / HTTP/1.1\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                     b"GET / HTTP/1.x\r\nHost: a\r\n\r\n",
                     b"GET / FTP/1.1\r\nHost: a\r\n\r\n",
                     b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
                     b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"):
            with self.subTest(data=data):
                self.refused(data, 400)

    def test_bad_target_costs_only_the_request(self):
        client = self.connect()
        for path in ("/%", "/%2", "/%zz", "/%00", "/a%00b", "nothing"):
            self.assertEqual(client.ask(get(path)).status, 400, path)
            if not path.startswith("/"):   # the parser itself ends the connection
                client = self.connect()
        self.assertEqual(self.connect().ask(get()).status, 200)

    def test_version_not_supported(self):
        self.refused(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505)

    def test_expectation_failed(self):
        self.refused(get("/", "Expect: the unexpected", "Content-Length: 3"), 417)

    def test_expect_100_continue(self):
        client = self.connect()
        client.send(get("/", "Expect: 100-Continue", "Content-Length: 5"))
        self.assertEqual(client.read().status, 100)
        self.assertEqual(client.ask(b"12345").status, 200)
        client.send(get("/", "Expect: 100-continue", "Transfer-Encoding: chunked"))
        self.assertEqual(client.read().status, 100)
        self.assertEqual(client.ask(b"5\r\n12345\r\n0\r\n\r\n").status, 200)

    def test_expect_is_refused_before_the_body(self):
        self.refused(get("/", "Expect: 100-continue", "Content-Length: 10001"), 413)

    def test_body_up_to_the_limit_is_dropped(self):
        client = self.connect()
        chunks = b"".join(b"1000\r\n%s\r\n" % (b"x" * 4096) for _ in range(2)) + b"0\r\n\r\n"
        self.assertEqual(client.ask(get("/", "Content-Length: 10000") + b"x" * 10000).status, 200)
        self.assertEqual(client.ask(get("/", "Transfer-Encoding: chunked") + chunks).status, 200)
        self.assertEqual(client.ask(get()).status, 200)

    def test_body_too_large(self):
        self.refused(get("/", "Content-Length: 10001"), 413)
        self.refused(get("/", "Transfer-Encoding: chunked") + b"2000\r\n%s\r\n" % (b"x" * 8192) * 4, 413)

    def test_a_client_that_sends_its_large_body_first_reads_why(self):
        client = self.connect()
        client.send(get("/", "Content-Length: 4000000") + b"x" * 4000000)
        self.assertEqual(client.read().status, 413)
        self.assertEqual(client.socket.recv(1), b"")   # no reset, which could have overtaken the answer

    def test_header_too_large(self):
        self.refused(get("/", "X: " + "x" * 4096), 431)
        self.refused(get("/", *("X%d: y" % i for i in range(1000))), 431)
        self.refused(get("/", "X: " + "x" * 100000), 431)

    def test_header_up_to_the_limit(self):
        client = self.connect()
        size = 4096 - len(get("/", "X: ")) - 50
        self.assertEqual(client.ask(get("/", "X: " + "x" * size)).status, 200)

    def test_target_too_long(self):
        self.refused(get("/" + "x" * 2000), 414)

    def test_half_close_behind_the_request(self):
        client = self.connect()
        client.send(get() * 3)
        client.socket.shutdown(socket.SHUT_WR)
        for _ in range(3):
            self.assertEqual(client.read().body, HELLO)
        self.assertTrue(client.ended())

    def test_half_close_within_a_request(self):
        for data in (get()[:-2], b"GET", get("/", "Content-Length: 5") + b"123"):
            client = self.connect()
            client.send(data)
            client.socket.shutdown(socket.SHUT_WR)
            self.assertEqual(client.read().status, 400)
            self.assertTrue(client.ended())


class Files(ServerTest):
    """The tree: files of several types, an index, links that stay inside and links that lead out."""

    options = ["--read-timeout", "60"]

    @classmethod
    def more_options(cls):
        cls.folder = tempfile.mkdtemp(prefix="leat-http-")
        cls.root = os.path.join(cls.folder, "root")
        os.makedirs(os.path.join(cls.root, "sub", "empty"))
        cls.write("secret.txt", b"secret", cls.folder)
        cls.write("page.html", b"<p>page</p>")
        cls.write("style.CSS", b"p {}")
        cls.write("data", b"\0\1\2")
        cls.write("nothing.txt", b"")
        cls.write("a b.txt", b"blank")
        cls.write("exact.bin", bytes(12288))
        cls.large = os.urandom(1 << 20) * 10
        cls.write("large.bin", cls.large)
        cls.write("sub/index.html", b"<p>index</p>")
        os.symlink("page.html", os.path.join(cls.root, "inside.html"))
        os.symlink("../secret.txt", os.path.join(cls.root, "outside.txt"))
        os.symlink("/etc", os.path.join(cls.root, "etc"))
        os.symlink("/proc/self/root", os.path.join(cls.root, "magic"))
        os.symlink("loop", os.path.join(cls.root, "loop"))
        os.mkfifo(os.path.join(cls.root, "fifo"))
        return ["--root", cls.root]

    @classmethod
    def write(cls, name, data, folder=None):
        with open(os.path.join(folder or cls.root, name), "wb") as out:
            out.write(data)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)
        super().tearDownClass()

    def test_files_and_their_types(self):
        client = self.connect()
        for path, body, kind in (("/page.html", b"<p>page</p>", "text/html; charset=utf-8"),
                                 ("/style.CSS?v=1", b"p {}", "text/css; charset=utf-8"),
                                 ("/data", b"\0\1\2", "application/octet-stream"),
                                 ("/nothing.txt", b"", "text/plain; charset=utf-8"),
                                 ("/a%20b.txt", b"blank", "text/plain; charset=utf-8"),
                                 ("/exact.bin", bytes(12288), "application/octet-stream"),
                                 ("/sub/../page.html", b"<p>page</p>", "text/html; charset=utf-8"),
                                 ("//page.html", b"<p>page</p>", "text/html; charset=utf-8"),
                                 ("/inside.html", b"<p>page</p>", "text/html; charset=utf-8")):
            answer = client.ask(get(path))
            self.assertEqual((answer.status, answer.body, answer.headers["content-type"]), (200, body, kind), path)

    def test_directories(self):
        client = self.connect()
        for path in ("/sub", "/sub/"):
            answer = client.ask(get(path))
            self.assertEqual((answer.status, answer.body), (200, b"<p>index</p>"))
            self.assertEqual(answer.headers["content-type"], "text/html; charset=utf-8")
        self.assertEqual(client.ask(get("/sub/empty/")).status, 404)
        self.assertEqual(client.ask(get()).body, HELLO)

    def test_head_of_a_file(self):
        client = self.connect()
        client.send(get("/large.bin").replace(b"GET", b"HEAD") + get("/page.html"))
        self.assertEqual(client.read(head=True).headers["content-length"], str(len(self.large)))
        self.assertEqual(client.read().body, b"<p>page</p>")

    def test_no_way_out(self):
        client = self.connect()
        for path in ("/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/sub/../../secret.txt", "/outside.txt",
                     "/../root/page.html", "//etc/passwd", "/etc/passwd", "/etc", "/magic/etc/passwd", "/loop", "/..",
                     "/....//secret.txt", "/%2fetc/passwd", self.folder + "/secret.txt", "/page.html/", "/" + "d/" * 400):
            answer = client.ask(get(path))
            self.assertEqual(answer.status, 404, path)
            self.assertNotIn(b"secret", answer.body)

    def test_fifo_holds_nobody_up(self):
        self.assertEqual(self.connect().ask(get("/fifo")).status, 404)

    def test_pipelined_files(self):
        client = self.connect()
        client.send((get("/page.html") + get("/exact.bin")) * 50)
        for _ in range(50):
            self.assertEqual(client.read().body, b"<p>page</p>")
            self.assertEqual(client.read().body, bytes(12288))

    def test_large_file(self):
        client = self.connect()
        for _ in range(2):
            self.assertEqual(client.ask(get("/large.bin")).body, self.large)

    def test_large_file_to_a_slow_reader(self):
        client = self.connect(receive_buffer=65536)
        client.send(get("/large.bin"))
        length = int(client.read_head()[1]["content-length"])
        pieces = [client.rest]
        have = len(client.rest)
        while have < length:
            time.sleep(0.005)
            pieces.append(client.socket.recv(65536))
            have += len(pieces[-1])
            self.assertNotEqual(pieces[-1], b"")
        self.assertEqual(b"".join(pieces), self.large)

    def test_half_close_behind_the_request_for_a_large_file(self):
        client = self.connect(receive_buffer=65536)
        client.send(get("/large.bin"))
        client.socket.shutdown(socket.SHUT_WR)
        self.assertEqual(client.read().body, self.large)
        self.assertTrue(client.ended())

    def test_file_cut_short_while_it_is_sent(self):
        self.write("shrinks.bin", self.large)
        client = self.connect(receive_buffer=65536)
        client.send(get("/shrinks.bin"))
        client.read_head()
        os.truncate(os.path.join(self.root, "shrinks.bin"), 100)
        try:
            while client.more():
                pass
        except ConnectionResetError:
            pass
        self.assertLess(len(client.rest), len(self.large))
        self.assert_serves()

    def test_no_descriptor_is_left_open(self):
        def files():
            folder = "/proc/%d/fd" % self.server.process.pid
            for name in os.listdir(folder):
                try:
                    yield os.readlink(os.path.join(folder, name))
                except OSError:   # closed meanwhile: it was the runtime's own
                    pass

        client = self.connect()
        for path in ("/page.html", "/sub", "/sub/empty", "/fifo", "/outside.txt", "/none"):
            client.ask(get(path))
        self.assertEqual([name for name in files() if name.startswith(self.root + "/")], [])
