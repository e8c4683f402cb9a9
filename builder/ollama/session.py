"""Requests to a daemon through httpx or the `ollama` client, with errors as sentences."""

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
# The errors of both clients and of pydantic for an unexpected answer.
SHAPE_ERRORS = (ValueError, TypeError, AttributeError)
Answer = TypeVar("Answer", bound=BaseModel)


@contextmanager
def open_http(url: str, route: str) -> Iterator[httpx.Client]:
    """Open an httpx client for one request to a daemon.

    Raises:
        ToolError: The request failed.

    """
    with _sentences(url, route), httpx.Client(base_url=url, **settings()) as http:
        yield http


@contextmanager
def open_ollama(url: str, route: str) -> Iterator[ollama.Client]:
    """Open an `ollama` client for one request to a daemon.

    Raises:
        ToolError: The request failed.

    """
    with _sentences(url, route), ollama.Client(url, **settings()) as client:
        yield client


def check(response: httpx.Response) -> None:
    """Raise the `ollama` client's error if the response is not a success."""
    if not response.is_success:
        raise ollama.ResponseError(response.text, response.status_code)


def read(response: httpx.Response, shape: type[Answer]) -> Answer:
    """Read a successful response; raise the errors of `check`, or pydantic's."""
    check(response)
    return shape.model_validate_json(response.content)


@contextmanager
def _sentences(url: str, route: str) -> Iterator[None]:
    """Turn the errors of the two clients into sentences."""
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
    """Give the options of both clients: nothing from the environment, and no redirects."""
    return {
        "timeout": httpx.Timeout(ANSWER_WAIT_S, connect=CONNECT_WAIT_S),
        "trust_env": False,
        "follow_redirects": False,
        "verify": _tls(),
        "auth": _without_key,
    }


def _without_key(request: httpx.Request) -> httpx.Request:
    """Do not send OLLAMA_API_KEY, which is for ollama.com, and which the `ollama` client adds."""
    request.headers.pop("Authorization", None)
    return request


@functools.cache
def _tls() -> ssl.SSLContext:
    """Load the certificates once, as loading takes longer than a request (httpx 0.28)."""
    return httpx.create_ssl_context(trust_env=False)


def shorten(reason: object) -> str:
    """Shorten an error's text if it is one line of plain text; "" if it is a page."""
    text = str(reason or "").strip()
    try:
        body = json.loads(text)
    except ValueError:
        is_page = text.startswith("<") or "\n" in text
        return "" if is_page else text[:SHOWN_CHARACTERS]
    return shorten(body["error"]) if isinstance(body, dict) and "error" in body else ""
