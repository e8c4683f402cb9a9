"""The client of the daemon: what it has, and putting a model there.

Through httpx: the `ollama` client 0.6.3 has no HEAD and no progress for uploads, and cannot send
`requires` or `_debug_render_only`.
"""

from __future__ import annotations

import functools
import json
import logging
import shutil
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from builder import files, progress
from builder.command import has_recipes
from builder.errors import ToolError
from builder.ollama import address, releases

DEFAULT_REGISTRY, DEFAULT_NAMESPACE, DEFAULT_TAG = "registry.ollama.ai", "library", "latest"
CHUNK_BYTES = 4 << 20
CONNECT_WAIT_S = 5.0
ANSWER_WAIT_S = 600.0
log = logging.getLogger("builder")


def find_binary() -> str | None:
    """Find an installed `ollama`, on PATH or built by `just ollama`."""
    built = sorted(files.cache_folder().glob("ollama-*/bin/ollama"))
    return shutil.which("ollama") or (str(built[-1]) if built else None)


def normalize(model: str) -> str:
    """Write a model's name whole and in lower case, by which two of one model are equal.

    Ollama ignores case, and fills in what is left out. The parts and their defaults are those of
    types/model/name.go in github.com/ollama/ollama 0.34.2.
    """
    path, _, last = model.rpartition("/")
    name, _, tag = last.partition(":")
    registry, _, namespace = path.rpartition("/")
    parts = (registry or DEFAULT_REGISTRY, namespace or DEFAULT_NAMESPACE, name)
    return f"{'/'.join(parts)}:{tag or DEFAULT_TAG}".lower()


@dataclass(frozen=True)
class Listed:
    """A model as the daemon lists it.

    Attributes:
        name: Its name, in the case that it was made with.
        digest: Its digest.

    """

    name: str
    digest: str


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
            with httpx.Client(
                base_url=self.url,
                timeout=httpx.Timeout(ANSWER_WAIT_S, connect=CONNECT_WAIT_S),
                trust_env=False,
                verify=_tls(),
            ) as client:
                yield client
        except httpx.HTTPError as error:
            msg = f"{self.url}: went away ({error or type(error).__name__}), expected it to answer"
            raise ToolError(
                msg,
                hint="see whether Ollama still runs, then build again: what it served before is untouched",
            ) from error

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with self._client() as client:
            return _answer(client.post(path, json=body), f"{self.url}{path}")

    def show(self, model: str) -> dict[str, Any] | None:
        """Describe a model; None when there is none of that name."""
        with self._client() as client:
            response = client.post("/api/show", json={"model": model})
            return (
                None
                if response.status_code == httpx.codes.NOT_FOUND
                else _answer(response, f"{self.url}/api/show")
            )

    def models(self) -> list[Listed]:
        """List the models it has."""
        with self._client() as client:
            answer = _answer(client.get("/api/tags"), f"{self.url}/api/tags")
        try:
            return [Listed(entry["name"], entry["digest"]) for entry in answer["models"]]
        except (KeyError, TypeError):
            msg = f"{self.url}/api/tags: answers something else, expected a list of models"
            raise ToolError(msg) from None

    def find(self, model: str) -> Listed | None:
        """Find a model, however its name is written; None when there is none.

        Raises:
            ToolError: It has two whose names Ollama takes for one.

        """
        found = [listed for listed in self.models() if normalize(listed.name) == normalize(model)]
        if len(found) > 1:
            names = " and ".join(listed.name for listed in found)
            msg = f"{self.url}: has {names}, expected one: Ollama takes the names for one model"
            raise ToolError(msg, hint=f"remove them with `ollama rm {model}`, once for each")
        return found[0] if found else None

    def digest(self, model: str) -> str | None:
        """Give a model's digest; None when there is none of that name."""
        found = self.find(model)
        return found.digest if found else None

    def names(self) -> list[str]:
        """Name the models it has, in the case that they were made with."""
        return [listed.name for listed in self.models()]

    def upload(self, path: Path, sha256: str) -> None:
        """Send a file, unless the daemon has it."""
        blob = f"/api/blobs/sha256:{sha256}"
        with self._client() as client:
            if client.head(blob).status_code == httpx.codes.OK:
                return
            size = path.stat().st_size
            response = client.post(
                blob, content=_chunks(path, size), headers={"Content-Length": str(size)}
            )
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
                    raise ToolError(
                        f"{self.url}/api/create: {status['error']}, expected it to take {body['model']}"
                    )

    def copy(self, source: str, target: str) -> None:
        """Give a model another name too, with the same digest, in place of what had that name."""
        with self._client() as client:
            response = client.post("/api/copy", json={"source": source, "destination": target})
            _answer(response, f"{self.url}/api/copy")

    def delete(self, model: str) -> None:
        """Delete a model, if it is there."""
        with self._client() as client:
            response = client.request("DELETE", "/api/delete", json={"model": model})
            if response.status_code != httpx.codes.NOT_FOUND:
                _answer(response, f"{self.url}/api/delete")

    def rendered_prompt(
        self,
        model: str,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]] | None = None,
        route: str = "/api/chat",
    ) -> str:
        """Ask for the text it would give the model, without generating.

        Args:
            model: Its name.
            messages: The conversation; of `/api/generate` the one message of a user.
            tools: What the model may call.
            route: `/api/chat`, `/v1/chat/completions`, or `/api/generate`, which a one-shot `ollama run` uses.

        """
        body: dict[str, Any] = {
            "model": model,
            "stream": False,
            "truncate": False,
            "_debug_render_only": True,
        }
        body |= (
            {"prompt": messages[0]["content"]}
            if route == "/api/generate"
            else {"messages": messages}
        )
        if tools:
            body["tools"] = tools
        if route.startswith("/v1/"):
            body["messages"] = [_as_openai(message) for message in messages]
        return str(self._post(route, body)["_debug_info"]["rendered_template"])

    def chat(
        self,
        model: str,
        messages: list[dict[str, Any]],
        max_tokens: int,
        tools: list[dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """Let it answer greedily."""
        body: dict[str, Any] = {
            "model": model,
            "messages": messages,
            "stream": False,
            "truncate": False,
        }
        if tools:
            body["tools"] = tools
        return self._post(
            "/api/chat",
            {
                **body,
                "options": {
                    "temperature": 0,
                    "seed": 0,
                    "repeat_penalty": 1.0,
                    "num_predict": max_tokens,
                },
            },
        )


def find_url(*, allow_remote: bool) -> str:
    """Give the daemon's address.

    Raises:
        ToolError: OLLAMA_HOST is no address, or one of another machine that is not allowed.

    """
    url = address.host()
    if not address.is_loopback(url) and not allow_remote:
        msg = f"{url}: is not this machine, expected a daemon on loopback"
        raise ToolError(
            msg,
            hint="type --allow-remote to send the model there, unencrypted and to whoever listens",
        )
    return url


def connect(*, allow_remote: bool) -> Daemon:
    """Find the daemon and check its version.

    Raises:
        ToolError: It is not on this machine, does not answer, is no Ollama, or is too old.

    """
    url = find_url(allow_remote=allow_remote)
    try:
        response = httpx.get(
            f"{url}/api/version", timeout=CONNECT_WAIT_S, trust_env=False, verify=_tls()
        )
        version = str(response.json()["version"])
    except (httpx.HTTPError, httpx.InvalidURL):
        msg = f"{url}: does not answer, expected Ollama"
        serve = "`ollama serve` (or `just serve`)" if has_recipes() else "`ollama serve`"
        raise ToolError(msg, hint=f"start it with {serve}, or set OLLAMA_HOST") from None
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
    calls = [
        {
            **call,
            "function": {
                **call["function"],
                "arguments": json.dumps(call["function"]["arguments"]),
            },
        }
        for call in message.get("tool_calls", [])
    ]
    return {**message, "tool_calls": calls} if calls else message


def _answer(response: httpx.Response, where: str) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = {}
    if response.status_code != httpx.codes.OK or not isinstance(body, dict):
        said = body.get("error") if isinstance(body, dict) else None
        raise ToolError(
            f"{where}: {said or f'status {response.status_code}'}, expected it to be done"
        )
    return body
