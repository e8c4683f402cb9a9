"""A registry on loopback that takes what Ollama pushes: blobs by parts, and manifests."""

import contextlib
import dataclasses
import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from tests import loopback


@dataclasses.dataclass
class Registry:
    """What is there, and what it refuses."""

    blobs: dict = dataclasses.field(default_factory=dict)
    manifests: dict = dataclasses.field(default_factory=dict)
    uploads: dict = dataclasses.field(default_factory=dict)
    status: int = 200
    """What every upload gets, where it is another."""
    code: str = ""
    port: int = 0

    @property
    def name(self):
        """Give the registry as a model's name begins with it."""
        return f"127.0.0.1:{self.port}"


@contextlib.contextmanager
def serve():
    """Serve an empty registry on a free port."""
    registry = Registry()
    with loopback.serving(_Handler, registry=registry) as registry.port:
        yield registry


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: Registry

    def do_HEAD(self):
        digest = self.path.rpartition("/")[2]
        self._send(200 if digest in self.registry.blobs else 404, b"")

    def do_GET(self):
        error = {"errors": [{"code": "UNAUTHORIZED", "message": "unknown ollama key"}]}
        self._send(401, json.dumps(error).encode())

    def do_POST(self):
        self._read()
        if self.registry.status != 200:
            error = {"errors": [{"code": self.registry.code, "message": "access denied"}]}
            realm = f'Bearer realm="http://{self.registry.name}/token",service="x",scope="y"'
            headers = {"Www-Authenticate": realm}
            self._send(self.registry.status, json.dumps(error).encode(), headers)
            return
        mark = f"u{len(self.registry.uploads)}"
        self.registry.uploads[mark] = b""
        self._send(202, b"", {"Location": self._locate(mark)})

    def do_PATCH(self):
        mark = self.path.rpartition("/")[2]
        self.registry.uploads[mark] += self._read()
        self._send(202, b"", {"Location": self._locate(mark)})

    def do_PUT(self):
        body, parts = self._read(), urlsplit(self.path)
        if found := re.fullmatch(r"/v2/(.+)/manifests/(.+)", parts.path):
            self.registry.manifests[f"{found[1]}:{found[2]}"] = json.loads(body)
            self._send(201, b"")
            return
        content = self.registry.uploads[parts.path.rpartition("/")[2]] + body
        (digest,) = parse_qs(parts.query)["digest"]
        is_whole = digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
        if is_whole:
            self.registry.blobs[digest] = content
        self._send(201 if is_whole else 400, b"")

    def log_message(self, *_):
        """Say nothing."""

    def _locate(self, mark):
        return f"http://{self.registry.name}/uploads/{mark}"

    def _read(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _send(self, status, content, headers=None):
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
