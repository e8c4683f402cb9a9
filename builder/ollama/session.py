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
from builder.ollama.limits import LimitedTransport

CONNECT_WAIT_S = 5.0
# The longest silence. Loading a large model from a slow disk takes minutes.
ANSWER_WAIT_S = 600.0
# The longest a whole answer may take, by route: lists come at once, while a create copies the file
# and a push sends it, and both tell how far they are.
LOOK_WAIT_S = 30.0
DEADLINES_S = {
    "/api/tags": LOOK_WAIT_S,
    "/api/show": LOOK_WAIT_S,
    "/api/create": 3600.0,
    "/api/push": 24 * 3600.0,
}
# A push tells how far it is several times a second.
MOST_BYTES = 64 << 20
MOST_PUSH_BYTES = 1 << 30
SHOWN_CHARACTERS = 200
AWAY_HINT = "see whether Ollama still runs, then build again: what it served before is untouched"
# The errors of both clients and of pydantic for an unexpected answer.
SHAPE_ERRORS = (ValueError, TypeError, AttributeError, RecursionError)
Answer = TypeVar("Answer", bound=BaseModel)


@contextmanager
def open_http(url: str, route: str) -> Iterator[httpx.Client]:
    """Open an httpx client for one request to a daemon.

    Raises:
        ToolError: The request failed.

    """
    with _sentences(url, route), httpx.Client(base_url=url, **settings(route)) as http:
        yield http


@contextmanager
def open_ollama(url: str, route: str) -> Iterator[ollama.Client]:
    """Open an `ollama` client for one request to a daemon.

    Raises:
        ToolError: The request failed.

    """
    with _sentences(url, route), ollama.Client(url, **settings(route)) as client:
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
        raise ToolError(f"{url}{route}: fails ({reason}), expected it to succeed") from error
    except SHAPE_ERRORS as error:
        msg = f"{url}{route}: answers something else, expected Ollama's answer"
        raise ToolError(msg, hint="see whether Ollama alone listens there") from error


def settings(route: str, wait_s: float | None = None) -> dict[str, Any]:
    """Give the options of both clients: nothing from the environment, no redirects, and limits.

    Args:
        route: What is asked, which decides how long and large the answer may be.
        wait_s: How long to wait, where that is another time than the route's.

    """
    deadline_s = wait_s or DEADLINES_S.get(route, ANSWER_WAIT_S)
    most_bytes = MOST_PUSH_BYTES if route == "/api/push" else MOST_BYTES
    silence_s = min(ANSWER_WAIT_S, deadline_s)
    return {
        "timeout": httpx.Timeout(silence_s, connect=min(CONNECT_WAIT_S, silence_s)),
        "trust_env": False,
        "follow_redirects": False,
        "transport": LimitedTransport(deadline_s, most_bytes, verify=_tls(), trust_env=False),
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
    except (ValueError, RecursionError):
        is_page = text.startswith("<") or "\n" in text
        return "" if is_page else text[:SHOWN_CHARACTERS]
    return shorten(body["error"]) if isinstance(body, dict) and "error" in body else ""
