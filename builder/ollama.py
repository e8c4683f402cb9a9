"""The border to the daemon: where it is, what it can, and putting a model there.

The `ollama` client does what it can; uploads with progress and the fields it cannot send go through
httpx, which it brings.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from builder import files, progress, releases
from builder.errors import ToolError

DEFAULT_PORT = 11434
CHUNK_BYTES = 4 << 20
CONNECT_WAIT_S = 5.0
ANSWER_WAIT_S = 600.0


def find_binary() -> str | None:
    """Find an installed `ollama`, on PATH or built by `just ollama`."""
    built = sorted(files.cache_folder().glob("ollama-*/bin/ollama"))
    return shutil.which("ollama") or (str(built[-1]) if built else None)


def host() -> str:
    """Give the daemon's address as a URL, from OLLAMA_HOST as Ollama itself reads it."""
    text = os.environ.get("OLLAMA_HOST", "").strip().strip("\"'") or "127.0.0.1"
    parts = urlsplit(text if "://" in text else f"http://{text}")
    name = parts.hostname or "127.0.0.1"
    name = "127.0.0.1" if name == "0.0.0.0" else name  # noqa: S104 — what it listens on is not where it is reached
    port = parts.port or (443 if parts.scheme == "https" else DEFAULT_PORT)
    return f"{parts.scheme}://{f'[{name}]' if ':' in name else name}:{port}"


def is_loopback(url: str) -> bool:
    """Say whether an address is this machine's own."""
    name = urlsplit(url).hostname or ""
    return name in ("localhost", "::1") or name.startswith("127.")


@dataclass(frozen=True)
class Daemon:
    """A daemon that answers.

    Attributes:
        url: Where it is.
        version: What it says it is.

    """

    url: str
    version: str

    @contextmanager
    def _client(self) -> Iterator[httpx.Client]:
        try:
            with httpx.Client(base_url=self.url, timeout=httpx.Timeout(ANSWER_WAIT_S, connect=CONNECT_WAIT_S), trust_env=False, verify=_tls()) as client:
                yield client
        except httpx.HTTPError as error:
            msg = f"{self.url}: went away ({error or type(error).__name__}), expected it to answer"
            raise ToolError(msg, hint="see whether Ollama still runs, then build again: what it served before is untouched") from error

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with self._client() as client:
            return _answer(client.post(path, json=body), f"{self.url}{path}")

    def show(self, model: str) -> dict[str, Any] | None:
        """Describe a model; None when there is none of that name."""
        with self._client() as client:
            response = client.post("/api/show", json={"model": model})
            return None if response.status_code == httpx.codes.NOT_FOUND else _answer(response, f"{self.url}/api/show")

    def digest(self, model: str) -> str | None:
        """Give a model's digest; None when there is none of that name."""
        with self._client() as client:
            models = _answer(client.get("/api/tags"), f"{self.url}/api/tags")["models"]
        return next((entry["digest"] for entry in models if entry["name"] == model), None)

    def names(self) -> list[str]:
        """Name the models it has."""
        with self._client() as client:
            return [entry["name"] for entry in _answer(client.get("/api/tags"), f"{self.url}/api/tags")["models"]]

    def upload(self, path: Path, sha256: str) -> None:
        """Send a file, unless the daemon has it."""
        blob = f"/api/blobs/sha256:{sha256}"
        with self._client() as client:
            if client.head(blob).status_code == httpx.codes.OK:
                return
            size = path.stat().st_size
            response = client.post(blob, content=_chunks(path, size), headers={"Content-Length": str(size)})
            if response.status_code not in (httpx.codes.OK, httpx.codes.CREATED):
                _answer(response, f"{self.url}{blob}")

    def create(self, body: dict[str, Any]) -> None:
        """Create a model, by the fields of `/api/create`.

        Raises:
            ToolError: The daemon refused.

        """
        with self._client() as client, client.stream("POST", "/api/create", json=body) as response:
            if response.status_code != httpx.codes.OK:
                response.read()
                _answer(response, f"{self.url}/api/create")
            for line in filter(None, response.iter_lines()):
                status = json.loads(line)
                if "error" in status:
                    raise ToolError(f"{self.url}/api/create: {status['error']}, expected it to take {body['model']}")

    def delete(self, model: str) -> None:
        """Delete a model, if it is there."""
        with self._client() as client:
            client.request("DELETE", "/api/delete", json={"model": model})

    def rendered_prompt(self, model: str, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None, route: str = "/api/chat") -> str:
        """Ask for the text it would give the model, without generating.

        Args:
            model: Its name.
            messages: The conversation; of `/api/generate` the one message of a user.
            tools: What the model may call.
            route: `/api/chat`, `/v1/chat/completions`, or `/api/generate`, which a one-shot `ollama run` uses.

        """
        body: dict[str, Any] = {"model": model, "stream": False, "truncate": False, "_debug_render_only": True}
        body |= {"prompt": messages[0]["content"]} if route == "/api/generate" else {"messages": messages}
        if tools:
            body["tools"] = tools
        if route.startswith("/v1/"):
            body["messages"] = [_as_openai(message) for message in messages]
        return str(self._post(route, body)["_debug_info"]["rendered_template"])

    def chat(self, model: str, messages: list[dict[str, Any]], max_tokens: int, tools: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        """Let it answer greedily."""
        body: dict[str, Any] = {"model": model, "messages": messages, "stream": False, "truncate": False}
        if tools:
            body["tools"] = tools
        return self._post("/api/chat", {**body, "options": {"temperature": 0, "seed": 0, "num_predict": max_tokens}})

    def unload(self, model: str) -> None:
        """Let it forget a loaded model."""
        self._post("/api/generate", {"model": model, "keep_alive": 0})


def connect(*, allow_remote: bool) -> Daemon:
    """Find the daemon and check its version.

    Raises:
        ToolError: It is not on this machine, does not answer, is no Ollama, or is too old.

    """
    url = host()
    if not is_loopback(url) and not allow_remote:
        msg = f"{url}: is not this machine, expected a daemon on loopback"
        raise ToolError(msg, hint="type --allow-remote to send the model there, unencrypted and to whoever listens")
    try:
        response = httpx.get(f"{url}/api/version", timeout=CONNECT_WAIT_S, trust_env=False, verify=_tls())
        version = str(response.json()["version"])
    except httpx.HTTPError:
        msg = f"{url}: does not answer, expected Ollama"
        raise ToolError(msg, hint="start it with `ollama serve` (or `just serve`), or set OLLAMA_HOST") from None
    except (ValueError, KeyError, TypeError):
        msg = f"{url}: answers, but is not Ollama"
        raise ToolError(msg, hint="set OLLAMA_HOST to where Ollama listens") from None
    if not releases.is_supported(version):
        msg = f"{url}: is Ollama {version}, expected {releases.LOWEST.version} or newer"
        raise ToolError(msg, hint="update Ollama: ollama.com/download")
    return Daemon(url, version)


@functools.cache
def _tls() -> ssl.SSLContext:
    """Load the certificates once: a client that does takes longer than an answer (httpx 0.28)."""
    return httpx.create_ssl_context()


def _chunks(path: Path, size: int) -> Iterator[bytes]:
    sent = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
            sent += len(chunk)
            progress.report("upload", sent // 1_000_000, size // 1_000_000, "MB")


def _as_openai(message: dict[str, Any]) -> dict[str, Any]:
    """Write a call's arguments as the text that OpenAI's API has there."""
    calls = [{**call, "function": {**call["function"], "arguments": json.dumps(call["function"]["arguments"])}} for call in message.get("tool_calls", [])]
    return {**message, "tool_calls": calls} if calls else message


def _answer(response: httpx.Response, where: str) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = {}
    if response.status_code != httpx.codes.OK or not isinstance(body, dict):
        said = body.get("error") if isinstance(body, dict) else None
        raise ToolError(f"{where}: {said or f'status {response.status_code}'}, expected it to be done")
    return body
