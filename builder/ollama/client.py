"""The client of the daemon: lists, uploads, creates and asks models.

The client of the `ollama` distribution (0.6.3) lists, copies and deletes. Everything else uses
httpx, as that client cannot send `requires`, `truncate` or `_debug_render_only`, does not show the
system text, rebuilds messages and tools, and has neither HEAD nor the progress of an upload.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from builder import files, progress
from builder.errors import ToolError
from builder.ollama import address, releases, session
from builder.ollama.library import ollama
from builder.ollama.responses import DebugAnswer, Reply, Shown, Status, Version
from builder.ollama.session import Answer

DEFAULT_REGISTRY, DEFAULT_NAMESPACE, DEFAULT_TAG = "registry.ollama.ai", "library", "latest"
CHUNK_BYTES = 4 << 20
# Also without the penalties in the model's own parameters, such as Qwen3.5's presence penalty.
GREEDY = {
    "temperature": 0,
    "seed": 0,
    "repeat_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
SILENT_HINT = "start it with `ollama serve`, or set OLLAMA_HOST"


@dataclass(frozen=True)
class Listed:
    """A model in the daemon's list."""

    name: str
    """The name, in its original case."""
    digest: str


def find_binary() -> str | None:
    """Find an installed `ollama`, on PATH or built from source by this project."""
    built = sorted(files.cache_folder().glob("ollama-*/bin/ollama"))
    return shutil.which("ollama") or (str(built[-1]) if built else None)


def normalize(model: str) -> str:
    """Write a model's full name in lower case, so that equal names mean the same model.

    Ollama ignores case, and has defaults for missing parts: see types/model/name.go in
    github.com/ollama/ollama 0.34.2.
    """
    path, _, last = model.rpartition("/")
    name, _, tag = last.partition(":")
    registry, _, namespace = path.rpartition("/")
    parts = (registry or DEFAULT_REGISTRY, namespace or DEFAULT_NAMESPACE, name)
    return f"{'/'.join(parts)}:{tag or DEFAULT_TAG}".lower()


@dataclass(frozen=True)
class Daemon:
    """A running daemon; each method raises a ToolError if it fails or has an unexpected answer."""

    url: str
    version: str

    def show(self, model: str) -> Shown | None:
        """Describe a model; None if there is no such model."""
        with session.open_http(self.url, "/api/show") as http:
            response = http.post("/api/show", json={"model": model})
            if response.status_code == httpx.codes.NOT_FOUND:
                return None
            return session.read(response, Shown)

    def models(self) -> list[Listed]:
        """List its models."""
        with session.open_ollama(self.url, "/api/tags") as client:
            entries = [(entry.model, entry.digest) for entry in client.list().models]
            if not all(name and digest for name, digest in entries):
                raise ValueError("a model without a name or digest")
        return [Listed(str(name), str(digest)) for name, digest in entries]

    def find(self, model: str) -> Listed | None:
        """Find a model, ignoring case and default parts of its name; None if there is none.

        Raises:
            ToolError: There are two whose names are the same to Ollama.

        """
        found = [listed for listed in self.models() if normalize(listed.name) == normalize(model)]
        if len(found) > 1:
            names = " and ".join(listed.name for listed in found)
            msg = f"{self.url}: has {names}, expected one: Ollama takes the names for one model"
            raise ToolError(msg, hint=f"remove them with `ollama rm {model}`, once for each")
        return found[0] if found else None

    def digest(self, model: str) -> str | None:
        """Give a model's digest; None if there is no such model."""
        found = self.find(model)
        return found.digest if found else None

    def names(self) -> list[str]:
        """List the names of its models, in their original case."""
        return [listed.name for listed in self.models()]

    def copy(self, source: str, target: str) -> None:
        """Give a model another name too, replacing the model that had that name."""
        with session.open_ollama(self.url, "/api/copy") as client:
            client.copy(source, target)

    def delete(self, model: str) -> None:
        """Delete a model, if it exists."""
        with session.open_ollama(self.url, "/api/delete") as client:
            try:
                client.delete(model)
            except ollama.ResponseError as error:
                if error.status_code != httpx.codes.NOT_FOUND:
                    raise

    def push(self, model: str, *, is_insecure: bool) -> None:
        """Push a model to the registry in its name.

        Args:
            model: Its name, with a namespace.
            is_insecure: Whether the connection is not encrypted.

        """
        with session.open_ollama(self.url, "/api/push") as client:
            for part in client.push(model, insecure=is_insecure, stream=True):
                done, total = (part.completed or 0) // 1_000_000, (part.total or 0) // 1_000_000
                progress.report("sends the model", done, total, "MB" if total else "")

    def upload(self, path: Path, sha256: str) -> None:
        """Upload a file, unless the daemon has it."""
        route = f"/api/blobs/sha256:{sha256}"
        with session.open_http(self.url, route) as http:
            if http.head(route).status_code == httpx.codes.OK:
                return
            size = path.stat().st_size
            headers = {"Content-Length": str(size)}
            session.check(http.post(route, content=_chunks(path, size), headers=headers))

    def create(self, body: dict[str, Any]) -> None:
        """Create a model, given the fields of `/api/create`."""
        route, last = "/api/create", Status()
        with (
            session.open_http(self.url, route) as http,
            http.stream("POST", route, json=body) as response,
        ):
            if response.status_code != httpx.codes.OK:
                response.read()
                session.check(response)
            for line in filter(None, response.iter_lines()):
                last = Status.model_validate_json(line)
                if last.error is not None:
                    break
        if last.error is not None or last.status != "success":
            reason = session.shorten(last.error) or f"ended with the status {last.status[:40]!r}"
            raise ToolError(f"{self.url}{route}: {reason}, expected it to take {body['model']}")

    def rendered_prompt(
        self,
        model: str,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]] | None = None,
        route: str = "/api/chat",
    ) -> str:
        """Ask for the rendered prompt, without generating an answer.

        Args:
            model: Its name.
            messages: The conversation; for `/api/generate` a single user message.
            tools: The functions that are declared.
            route: `/api/chat`, `/v1/chat/completions`, or `/api/generate`, which `ollama run` uses
                for a single question.

        """
        body: dict[str, Any] = {"_debug_render_only": True}
        if route == "/api/generate":
            body["prompt"] = messages[0]["content"]
        elif route.startswith("/v1/"):
            body["messages"] = [_as_openai(message) for message in messages]
        else:
            body["messages"] = messages
        answer = self._ask(route, model, body, tools, DebugAnswer)
        return answer.debug_info.rendered_template

    def chat(
        self,
        model: str,
        messages: list[dict[str, Any]],
        max_tokens: int,
        tools: list[dict[str, Any]] | None = None,
    ) -> Reply:
        """Answer greedily."""
        options = {**GREEDY, "num_predict": max_tokens}
        body = {"messages": messages, "options": options}
        return self._ask("/api/chat", model, body, tools, Reply)

    def _ask(
        self,
        route: str,
        model: str,
        body: dict[str, Any],
        tools: list[dict[str, Any]] | None,
        shape: type[Answer],
    ) -> Answer:
        sent = {"model": model, "stream": False, "truncate": False, **body}
        if tools:
            sent["tools"] = tools
        with session.open_http(self.url, route) as http:
            return session.read(http.post(route, json=sent), shape)


def find_url(*, allow_remote: bool) -> str:
    """Give the daemon's address, checked.

    Raises:
        ToolError: OLLAMA_HOST is no address, or is of another machine, which is not allowed.

    """
    url = address.host()
    if not address.is_loopback(url) and not allow_remote:
        msg = f"{url}: is not this machine, expected a daemon on loopback"
        hint = "type --allow-remote to send the model there, unencrypted and to whoever listens"
        raise ToolError(msg, hint=hint)
    return url


def ask_version(url: str, *, wait_s: float = session.CONNECT_WAIT_S) -> str | None:
    """Ask for a daemon's version; None if nothing answers in time.

    Raises:
        ToolError: What answers is not Ollama.

    """
    try:
        with httpx.Client(**session.settings("/api/version", wait_s)) as client:
            return Version.model_validate_json(client.get(f"{url}/api/version").content).version
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    except ValueError:
        msg = f"{url}: answers, but is not Ollama"
        raise ToolError(msg, hint="set OLLAMA_HOST to where Ollama listens") from None


def connect(*, allow_remote: bool) -> Daemon:
    """Find the daemon and check its version.

    Raises:
        ToolError: It is not on this machine, does not answer, is not Ollama, or is too old.

    """
    url = find_url(allow_remote=allow_remote)
    version = ask_version(url)
    if version is None:
        raise ToolError(f"{url}: does not answer, expected Ollama", hint=SILENT_HINT)
    if not releases.is_supported(version):
        lowest = releases.LOWEST.version
        msg = f"{url}: is Ollama {version[:40]}, expected {lowest} or newer"
        raise ToolError(msg, hint="update Ollama: ollama.com/download")
    return Daemon(url, version)


def _chunks(path: Path, size: int) -> Iterator[bytes]:
    sent = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
            sent += len(chunk)
            progress.report("sends the file to Ollama", sent // 1_000_000, size // 1_000_000, "MB")


def _as_openai(message: dict[str, Any]) -> dict[str, Any]:
    """Write the arguments of calls as text, as in OpenAI's API."""
    calls = []
    for call in message.get("tool_calls", []):
        function = call["function"]
        arguments = json.dumps(function["arguments"])
        calls.append({**call, "function": {**function, "arguments": arguments}})
    return {**message, "tool_calls": calls} if calls else message
