"""A proxy before a real daemon that does one request of many wrong."""

import http.client
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What a daemon says that did nothing, by route; any other route's answer is an empty object.
LIES = {
    "/api/tags": b'{"models": []}',
    "/api/create": b'{"status": "success"}\n',
    "/api/version": b'{"version": "0.34.2"}',
}


class Proxy(ThreadingHTTPServer):
    """Forwards requests, and does the one of number `at` as `fault` says.

    Attributes:
        requests: The method and path of every request.

    """

    daemon_threads = True

    def __init__(self, port):
        super().__init__(("127.0.0.1", 0), Handler)
        self.port, self.url = port, f"http://127.0.0.1:{self.server_address[1]}"
        self.at, self.fault, self.act, self.requests = -1, None, None, []
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def do(self, fault=None, at=-1, act=None):
        """Count from nothing, and do request *at* wrong; *act* is called before it is sent on."""
        self.fault, self.at, self.act = fault, at, act
        self.requests.clear()

    def handle_error(self, *_):
        """Say nothing of a client that has gone."""


class Handler(BaseHTTPRequestHandler):
    """Does one request."""

    def forward(self):
        """Send a request on, or do it wrong."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server = self.server
        with server.lock:
            server.requests.append(f"{self.command} {self.path}")
            is_wrong = len(server.requests) - 1 == server.at
        self.close_connection = True
        if not is_wrong:
            self.give(*self.ask(body))
            return
        if server.act:
            server.act()
        match server.fault:
            case "truncate":
                status, content = self.ask(body)
                self.give(status, content[: len(content) // 2], len(content) + 1)
            case "lie":
                self.give(200, LIES.get(self.path, b"{}"))
            case "stall":
                self.ask(body)
                time.sleep(3)
            case "redirect":
                self.give(307, b"", location="http://127.0.0.1:9/elsewhere")
            case _:
                self.give(*self.ask(body))

    do_GET = do_POST = do_HEAD = do_DELETE = forward  # noqa: N815 — http.server's names

    def ask(self, body):
        """Let the real daemon answer."""
        real = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        headers = {"Content-Type": "application/json"} if self.path.startswith("/api/") else {}
        real.request(self.command, self.path, body, headers)
        answer = real.getresponse()
        content = answer.read()
        real.close()
        return answer.status, content

    def give(self, status, content, length=None, location=None):
        """Answer."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content) if length is None else length))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        """Say nothing."""
