"""A hub on loopback that takes what huggingface_hub uploads: repositories, LFS objects, commits."""

import base64
import contextlib
import dataclasses
import hashlib
import json
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

import yaml

from tests import loopback
from tests.bases.hubs import hash_blob

OWNER = "ana"
WRITE, READ = "hf_write", "hf_read"


@dataclasses.dataclass
class Repository:
    """What a repository holds."""

    private: bool = True
    files: dict = dataclasses.field(default_factory=dict)
    """Contents by path."""
    large: set = dataclasses.field(default_factory=set)
    commits: int = 0

    @property
    def commit(self):
        """The newest commit."""
        return f"{self.commits:040x}"


@dataclasses.dataclass
class Hub:
    """What is there, what fails, and what was asked."""

    repositories: dict = dataclasses.field(default_factory=dict)
    objects: dict = dataclasses.field(default_factory=dict)
    """What was uploaded as LFS objects, by SHA-256."""
    fails: dict = dataclasses.field(default_factory=dict)
    """By a part of a path: the status and the message that it answers."""
    changes: bool = False
    """Whether somebody commits between the question and the commit."""
    asked: list = dataclasses.field(default_factory=list)
    """Method and path of each question."""
    port: int = 0

    @property
    def url(self):
        """Where the hub is."""
        return f"http://127.0.0.1:{self.port}"

    def count(self, method, part):
        """Count the questions of a method whose path holds a text."""
        return sum(one[0] == method and part in one[1] for one in self.asked)

    @property
    def environment(self):
        """What a person sets to use it."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HUB_OFFLINE": "0",
            "HF_TOKEN": WRITE,
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1,localhost",
        }


@contextlib.contextmanager
def serve():
    """Serve a hub without a repository on a free port."""
    hub = Hub()
    with loopback.serving(_Handler, hub=hub) as hub.port:
        yield hub


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self):
        self._answer()

    def do_POST(self):
        self._answer()

    def do_PUT(self):
        self._answer()

    def log_message(self, *_):
        """Say nothing."""

    def _answer(self):
        hub, path = self.hub, urlsplit(self.path).path
        hub.asked.append((self.command, path))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        failing = next((told for part, told in hub.fails.items() if part in path), None)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if failing:
            self._send(failing[0], {"error": failing[1]}, {"X-Error-Message": failing[1]})
        elif path.startswith("/blobs/"):
            self._take_object(path.rpartition("/")[2], body)
        elif token not in (WRITE, READ):
            message = "Invalid credentials in Authorization header"
            self._send(401, {"error": message}, {"X-Error-Message": message})
        elif self.command == "GET":
            self._describe(path.removeprefix("/api/models/"))
        elif path == "/api/validate-yaml":
            self._validate(json.loads(body)["content"])
        elif token == READ:
            message = "You don't have the rights to do this"
            self._send(403, {"error": message}, {"X-Error-Message": message})
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        else:
            self._write(path, body)

    def _describe(self, name):
        found = self.hub.repositories.get(name)
        if found is None:
            self._send(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            return
        siblings = []
        for path, content in found.files.items():
            entry = {"rfilename": path, "size": len(content), "blobId": hash_blob(content)}
            if path in found.large:
                sha256 = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 130}
            siblings.append(entry)
        about = {"id": name, "sha": found.commit, "private": found.private}
        self._send(200, {**about, "siblings": siblings})
        if self.hub.changes:
            found.commits += 1

    def _validate(self, content):
        read = yaml.safe_load(content.split("---\n")[1])
        is_good = isinstance(read, dict) and "license" in read
        errors = [] if is_good else [{"message": '"license" is missing'}]
        self._send(200 if is_good else 400, {"errors": errors, "warnings": []})

    def _create(self, wanted):
        name = f"{wanted['organization'] or OWNER}/{wanted['name']}"
        if name.partition("/")[0] != OWNER:
            message = "You don't have the rights to create a model under this namespace"
            self._send(403, {"error": message}, {"X-Error-Message": message})
        elif name in self.hub.repositories:
            self._send(409, {"error": "You already created this model repo"})
        else:
            is_private = wanted.get("visibility", "public") == "private"
            self.hub.repositories[name] = Repository(private=is_private)
            self._send(200, {"url": f"{self.hub.url}/{name}"})

    def _write(self, path, body):
        name = "/".join(path.removeprefix("/api/models").split("/")[1:3]).removesuffix(".git")
        found = self.hub.repositories.get(name)
        if found is None:
            self._send(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif "/preupload/" in path:
            self._tell_modes(found, json.loads(body)["files"])
        elif path.endswith("/info/lfs/objects/batch"):
            self._tell_actions(json.loads(body)["objects"])
        elif "/commit/" in path:
            self._commit(name, found, [json.loads(line) for line in body.splitlines()])
        else:
            self._send(500, {"error": path})

    def _tell_modes(self, found, asked):
        modes = []
        for one in asked:
            is_large = one["path"].endswith(".gguf")
            content = found.files.get(one["path"])
            oid = hash_blob(content) if content is not None and not is_large else None
            mode = {"path": one["path"], "uploadMode": "lfs" if is_large else "regular"}
            modes.append({**mode, "shouldIgnore": False, "oid": oid})
        self._send(200, {"files": modes})

    def _tell_actions(self, asked):
        objects = []
        for one in asked:
            href = f"{self.hub.url}/blobs/{one['oid']}"
            action = {"actions": {"upload": {"href": href}}}
            objects.append({**one, **({} if one["oid"] in self.hub.objects else action)})
        self._send(200, {"transfer": "basic", "objects": objects})

    def _take_object(self, oid, body):
        is_whole = hashlib.sha256(body).hexdigest() == oid
        if is_whole:
            self.hub.objects[oid] = body
        self._send(200 if is_whole else 400, {})

    def _commit(self, name, found, lines):
        header, *changes = lines
        if header["value"].get("parentCommit", found.commit) != found.commit:
            self._send(412, {"error": "A commit has happened since. Please refresh"})
            return
        for change in changes:
            path = change["value"]["path"]
            found.large.discard(path)
            if change["key"] == "deletedFile":
                del found.files[path]
            elif change["key"] == "lfsFile":
                found.files[path] = self.hub.objects[change["value"]["oid"]]
                found.large.add(path)
            else:
                found.files[path] = base64.b64decode(change["value"]["content"])
        found.commits += 1
        url = f"{self.hub.url}/{name}/commit/{found.commit}"
        self._send(200, {"success": True, "commitOid": found.commit, "commitUrl": url})

    def _send(self, status, value, headers=None):
        content = json.dumps(value).encode()
        self.send_response(status)
        for key, one in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(key, one)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):  # the reader may go away first
            self.wfile.write(content)
