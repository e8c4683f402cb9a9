"""Errors of pushing to the hub as one sentence, with a hint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from builder.bases import hub, hub_errors
from builder.bases.hub_errors import Purpose
from builder.errors import ToolError

SIGN_IN = "`hf auth login`, or set HF_TOKEN to a token with the right to write"
PUSH = Purpose(expected="to reach it", again="push again: what arrived whole is not sent again")


@contextmanager
def explaining(repository: str) -> Iterator[None]:
    """Turn errors of pushing to the hub into one sentence.

    Raises:
        ToolError: The hub refused the model, or could not be reached.

    """
    import httpx  # noqa: PLC0415 — with the hub's client

    try:
        yield
    # As in `hub_errors.explaining`.
    except (httpx.HTTPError, httpx.InvalidURL, ImportError, OSError, RuntimeError, ValueError) as e:
        # The client wraps errors of large files.
        error = e.__cause__ if type(e) is RuntimeError and isinstance(e.__cause__, Exception) else e
        told = _explain_answer(error) or hub_errors.explain_failure(error, PUSH)
        raise ToolError(f"{repository}: {told[0]}", hint=told[1] or None) from None


def _explain_answer(error: Exception) -> tuple[str, str] | None:
    """Describe the hub's answer, with a hint; None if it did not answer."""
    from huggingface_hub import errors  # noqa: PLC0415 — takes a while

    address = hub.read_settings().endpoint
    match error:
        case errors.HFValidationError():
            return (
                "is not the name of a repository, expected OWNER/REPO",
                "take letters, digits and -",
            )
        case errors.LocalTokenNotFoundError():
            return f"no token of {address} is here, expected one", SIGN_IN
        case errors.HfHubHTTPError():
            return _explain_status(error.response.status_code, _read_message(error), address)
        case ValueError() if "README.md" in str(error):
            reason = " ".join(str(error).split())
            return f"{address} refuses the model card ({reason[:200]}), expected it to be taken", ""
    return None


def _explain_status(status: int, message: str, address: str) -> tuple[str, str]:
    said = f" ({message})" if message else ""
    match status:
        case 401:
            return f"{address} rejects the token{said}, expected a valid one", SIGN_IN
        case 403:
            problem = f"{address} forbids the token to write there{said}, expected a token that may"
            return problem, f"check the owner's name, and the token: {SIGN_IN}"
        case 404:
            problem = f"is not on {address}, or not for you to see{said}, expected it to be yours"
            return problem, f"check the name, and the token: {SIGN_IN}"
        case 409 | 412:
            problem = f"was changed on {address} meanwhile{said}, expected no change"
            return problem, "push again: what it holds now is listed first"
        case 429:
            return f"{address} asks to wait{said}, expected it to take the files", "push later"
    return f"{address} answers {status}{said}, expected it to take the files", PUSH.again


def _read_message(error: Exception) -> str:
    """Read the hub's message if it is one line; "" if it is a page."""
    message = " ".join(str(getattr(error, "server_message", None) or "").split())
    return message if len(message) <= hub_errors.MOST_CHARACTERS else ""
