"""One request to a daemon, by httpx or the `ollama` client, and its errors as sentences."""

from __future__ import annotations

import functools
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel

from builder.errors import ToolError
from builder.ollama.library import ollama

CONNECT_WAIT_S = 5.0
ANSWER_WAIT_S = 600.0
SHOWN_CHARACTERS = 200
AWAY_HINT = "see whether Ollama still runs, then build again: what it served before is untouched"
# What both clients and pydantic raise for an answer of another shape than was awaited.
SHAPE_ERRORS = (ValueError, TypeError, AttributeError)
Answer = TypeVar("Answer", bound=BaseModel)


@contextmanager
def open_http(url: str, route: str) -> Iterator[httpx.Client]:
    """Open an httpx client of a daemon, for one request.

    Raises:
        ToolError: The request failed.

    """
    with _sentences(url, route), httpx.Client(base_url=url, **settings()) as http:
        yield http


@contextmanager
def open_ollama(url: str, route: str) -> Iterator[ollama.Client]:
    """Open the `ollama` client of a daemon, for one request.

    Raises:
        ToolError: The request failed.

    """
    with _sentences(url, route), ollama.Client(url, **settings()) as client:
        yield client


def check(response: httpx.Response) -> None:
    """Raise what the `ollama` client raises for a status that is no success."""
    if not response.is_success:
        raise ollama.ResponseError(response.text, response.status_code)


def read(response: httpx.Response, shape: type[Answer]) -> Answer:
    """Read a successful answer of that shape; raise as `check` does, or pydantic's error."""
    check(response)
    return shape.model_validate_json(response.content)


@contextmanager
def _sentences(url: str, route: str) -> Iterator[None]:
    """Turn every exception of the two clients into a sentence."""
    try:
        yield
    except (httpx.HTTPError, ConnectionError) as error:
        reason = shorten(str(error)) or type(error).__name__
        msg = f"{url}: went away ({reason}), expected it to answer"
        raise ToolError(msg, hint=AWAY_HINT) from error
    except ollama.ResponseError as error:
        reason = shorten(error.error) or f"status {error.status_code}"
        raise ToolError(f"{url}{route}: {reason}, expected it to be done") from error
    except SHAPE_ERRORS as error:
        msg = f"{url}{route}: answers something else, expected Ollama's answer"
        raise ToolError(msg, hint="see whether Ollama alone listens there") from error


def settings() -> dict[str, Any]:
    """Give what both clients are made with: nothing of the environment, and no other address."""
    return {
        "timeout": httpx.Timeout(ANSWER_WAIT_S, connect=CONNECT_WAIT_S),
        "trust_env": False,
        "follow_redirects": False,
        "verify": _tls(),
        "auth": _without_key,
    }


def _without_key(request: httpx.Request) -> httpx.Request:
    """Send no OLLAMA_API_KEY, which is ollama.com's and which the `ollama` client would add."""
    request.headers.pop("Authorization", None)
    return request


@functools.cache
def _tls() -> ssl.SSLContext:
    """Load the certificates once: a client that does takes longer than an answer (httpx 0.28)."""
    return httpx.create_ssl_context(trust_env=False)


def shorten(reason: object) -> str:
    """Give an error's text where it is one line of plain text, and nothing where it is a page."""
    text = str(reason or "").strip()
    try:
        body = json.loads(text)
    except ValueError:
        is_page = text.startswith("<") or "\n" in text
        return "" if is_page else text[:SHOWN_CHARACTERS]
    return shorten(body["error"]) if isinstance(body, dict) and "error" in body else ""
