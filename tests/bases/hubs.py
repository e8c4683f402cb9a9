"""A hub on loopback that speaks what huggingface_hub asks, and fails as hubs and networks do."""

import contextlib
import dataclasses
import hashlib
import json
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from tests import loopback

REPOSITORY = "acme/tiny"
COMMIT = "c0ffee" * 6 + "c0ff"
SHARD = "model.safetensors"


def hash_blob(content):
    """Hash as git does, which is the ETag of a file that is no LFS file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324 — git's


@dataclasses.dataclass
class Hub:
    """What is served, what fails, and what was asked."""

    files: dict
    """Contents by name; of safetensors the hub redirects to where large files are, as LFS does."""
    cuts: int = 0
    """Downloads of large files that break off in the middle; after them they go on."""
    silences: int = 0
    """Downloads of large files that fall silent in the middle, until the client hangs up."""
    sent: bytes | None = None
    """What is sent of a large file in place of it, of the same length or another."""
    claims: int | None = None
    """The size that a large file is listed with, where it is another."""
    is_signed: bool = True
    """Whether files come with the headers that only a hub sends."""
    loops: bool = False
    """Whether a large file redirects to itself."""
    status: int = 200
    """What every question gets, where it is another."""
    code: str = ""
    others: dict = dataclasses.field(default_factory=dict)
    """Contents by name of other repositories, by the names of these; `datasets/acme/rows` is one
    too."""
    gated: frozenset = frozenset()
    """Repositories that are listed, and of which files are sent to nobody."""
    asked: list = dataclasses.field(default_factory=list)
    """Method, path and Range of each question."""
    port: int = 0

    @property
    def url(self):
        """Where the hub is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def large(self):
        """Where large files are: another host, whose redirects the client follows to the end."""
        return f"http://localhost:{self.port}/large"

    def count(self, method, part):
        """Count the questions of a method whose path holds a text."""
        return sum(one[0] == method and part in one[1] for one in self.asked)

    @property
    def environment(self):
        """What a person sets to use it."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HUB_OFFLINE": "0",
            "NO_PROXY": "127.0.0.1,localhost",
            "HF_HUB_DISABLE_XET": "1",
        }


@contextlib.contextmanager
def serve(files):
    """Serve a repository on a free port."""
    hub = Hub(files=dict(files))
    with loopback.serving(_Handler, hub=hub) as hub.port:
        yield hub


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self):
        self._answer(body=True)

    def do_HEAD(self):
        self._answer(body=False)

    def log_message(self, *_):
        """Say nothing."""

    def _answer(self, *, body):
        hub, path = self.hub, urlsplit(self.path).path
        hub.asked.append((self.command, path, self.headers.get("Range")))
        name = path.rpartition("/")[2]
        if hub.status != 200:
            self._send(hub.status, b"", {"X-Error-Code": hub.code}, body=body)
        elif path.startswith("/large/"):
            self._send_large(name, body=body)
        else:
            self._answer_of(*self._find(path), name, body=body)

    def _find(self, path):
        """Find the repository that is asked for, and what is asked of it."""
        is_api, path = path.startswith("/api/"), path.removeprefix("/").removeprefix("api/")
        kind, path = "datasets/" * path.startswith("datasets/"), path.removeprefix("models/")
        owner, _, rest = path.removeprefix(kind).partition("/")
        short, _, rest = rest.partition("/")
        return f"{kind}{owner}/{short}", f"api/{rest}" if is_api else rest

    def _answer_of(self, repository, asked, name, *, body):
        files = {REPOSITORY: self.hub.files, **self.hub.others}.get(repository)
        name = asked.removeprefix(f"resolve/{COMMIT}/") if asked.startswith("resolve/") else name
        if files is None:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"}, body=body)
        elif asked.startswith("api/tree/"):
            self._send_json([self._list(name, files[name]) for name in files], body=body)
        elif asked in ("api/", f"api/revision/{COMMIT}"):
            siblings = [{"rfilename": name, "size": len(files[name])} for name in files]
            self._send_json({"id": repository, "sha": COMMIT, "siblings": siblings}, body=body)
        elif repository in self.hub.gated:
            self._send(401, b"", {"X-Error-Code": "GatedRepo"}, body=body)
        elif asked.startswith(f"resolve/{COMMIT}/") and name in files:
            self._send_file(name, files[name], body=body)
        else:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"}, body=body)

    def _list(self, name, content):
        entry = {"type": "file", "path": name, "size": len(content), "oid": hash_blob(content)}
        if name.endswith(".safetensors"):
            sha256 = hashlib.sha256(content).hexdigest()
            entry["size"] = self.hub.claims or len(content)
            entry["lfs"] = {"oid": sha256, "size": entry["size"], "pointerSize": 130}
        return entry

    def _send_file(self, name, content, *, body):
        headers = {"X-Repo-Commit": COMMIT} if self.hub.is_signed else {}
        headers["ETag"] = f'"{hash_blob(content)}"'
        if not name.endswith(".safetensors"):
            self._send(200, content, headers, body=body)
            return
        headers |= {
            "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Linked-Size": str(self.hub.claims or len(content)),
            "Location": f"{self.hub.large}/{name}",
        }
        self._send(302, b"", headers, body=body)

    def _send_large(self, name, *, body):
        hub = self.hub
        if hub.loops:
            self._send(302, b"", {"Location": f"{hub.large}/{name}"}, body=body)
            return
        content = hub.files[name] if hub.sent is None else hub.sent
        start, status = 0, 200
        if asked := self.headers.get("Range"):
            start, status = int(asked.removeprefix("bytes=").partition("-")[0]), 206
        rest = content[start:]
        headers = {"Accept-Ranges": "bytes"}
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if body and hub.cuts:
            hub.cuts -= 1
            self._send(status, rest, headers, body=body, most=len(rest) // 2)
            self.close_connection = True
            return
        if body and hub.silences:
            hub.silences -= 1
            self._send(status, rest, headers, body=body, most=len(rest) // 2)
            self.wfile.flush()
            self.rfile.read(1)
            self.close_connection = True
            return
        self._send(status, rest, headers, body=body)

    def _send_json(self, value, *, body):
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"}, body=body)

    def _send(self, status, content, headers, *, body, most=None):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            with contextlib.suppress(OSError):  # the reader may go away first
                self.wfile.write(content[:most])
