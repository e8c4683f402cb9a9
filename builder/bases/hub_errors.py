"""Errors of the hub's client as one sentence, with a hint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from builder.bases import hub
from builder.bases.base import KINDS, WITHOUT_HUB
from builder.errors import ToolError

KEPT = "the files that arrived whole are kept"
# What hf_xet 1.8, which downloads large files, says in a RuntimeError if the network fails.
XET_FAILURES = ("CAS Client Error", "Task error")
# The most that is shown of the hub's message.
MOST_CHARACTERS = 200


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """The words for messages about a request to the hub."""

    expected: str
    again: str
    instead: str = ""
    """An alternative that needs no network."""
    noun: str = "base"
    """What is requested."""
    kinds: str = KINDS
    """What can be requested."""
    retry: str = "build"
    """The command to run again."""
    folder: str = ""
    """The path before the repository's name in its address."""
    words: str = "fetches the base"
    """The words for progress."""

    def hint(self, advice: str) -> str:
        """Write a hint, with the alternative that needs no network."""
        return f"{advice}; {self.instead}" if self.instead else advice


FETCH = Purpose(
    expected="it or the base in the cache",
    again=f"build again: {KEPT}",
    instead=WITHOUT_HUB,
)


@contextmanager
def explaining(repository: str, purpose: Purpose = FETCH) -> Iterator[None]:
    """Turn errors of the hub's client into one sentence.

    Raises:
        ToolError: The hub did not provide the repository.

    """
    import httpx  # noqa: PLC0415 — with the hub's client

    try:
        yield
    # httpx's errors are not OSErrors, an answer that is not a hub's is a ValueError, and a SOCKS
    # proxy without its package is an ImportError.
    except (
        httpx.HTTPError,
        httpx.InvalidURL,
        ImportError,
        OSError,
        RuntimeError,
        ValueError,
    ) as error:
        told = _explain_answer(error, repository, purpose) or explain_failure(error, purpose)
        raise ToolError(f"{repository}: {told[0]}", hint=told[1]) from None


def _explain_answer(
    error: Exception, repository: str, purpose: Purpose
) -> tuple[str, str | None] | None:
    """Describe the hub's answer about a repository, with a hint; None if it did not answer.

    Source:
        huggingface_hub 1.33: errors.py, and utils/_http.py for which answer raises which error.
    """
    from huggingface_hub import errors  # noqa: PLC0415 — takes a second

    address = hub.read_settings().endpoint
    match error:
        case errors.HFValidationError():
            return f"is not a {purpose.noun}, expected {purpose.kinds}", purpose.instead or None
        case errors.GatedRepoError():
            where = f"{address}/{purpose.folder}{repository}"
            hint = f"ask for it at {where}, then {purpose.retry} with your HF_TOKEN set"
            return "is gated, expected that its owner gave you access", hint
        case errors.RepositoryNotFoundError():
            problem = f"is not on {address}, or is private, expected {purpose.kinds}"
            return problem, "check the name; a private one needs your HF_TOKEN"
        case errors.RevisionNotFoundError() if purpose is FETCH:
            problem = (
                f"is on {address} without the revision that base.lock names, expected that revision"
            )
            return problem, "delete its entry in base.lock to pin today's revision"
        case errors.HfHubHTTPError():
            status = error.response.status_code
            hint = "check HF_TOKEN" if status in (401, 403) else f"{purpose.retry} later: {KEPT}"
            return f"{address} answers {status}, expected the repository", hint
    return None


def _describe_unreachable(address: str, reason: str, purpose: Purpose) -> tuple[str, str]:
    problem = f"{address} cannot be reached ({reason}), expected {purpose.expected}"
    return problem, purpose.hint(f"check the network, then {purpose.again}")


def explain_failure(error: Exception, purpose: Purpose) -> tuple[str, str]:
    """Describe why the hub could not be reached or files did not arrive complete, with a hint."""
    import httpx  # noqa: PLC0415 — with the hub's client
    from huggingface_hub import constants, errors  # noqa: PLC0415 — takes a second

    if constants.HF_HUB_OFFLINE:
        problem = "is not in the cache, expected it there while HF_HUB_OFFLINE is set"
        return problem, purpose.hint("unset HF_HUB_OFFLINE")
    address = hub.read_settings().endpoint
    cause = error.__cause__ or error
    reason = str(cause).strip().partition("\n")[0].partition(". ")[0]
    match error:
        case ImportError():
            problem = f"{address} cannot be asked by the proxy that is set ({reason}), expected to"
            hint = purpose.hint("check the network")
        case httpx.TooManyRedirects():
            problem = f"{address} redirects in a circle, expected the repository"
            hint = "check HF_ENDPOINT, and the proxy if there is one"
        case httpx.RequestError() | ConnectionError() | errors.LocalEntryNotFoundError() if (
            not isinstance(cause, errors.FileMetadataError)
        ):
            problem, hint = _describe_unreachable(address, reason, purpose)
        case RuntimeError() if any(text in str(cause) for text in XET_FAILURES):
            problem, hint = _describe_unreachable(address, reason, purpose)
        case OSError(errno=int()):
            problem = f"cannot be stored in the cache ({reason}), expected room there"
            hint = "free some disk, or set HF_HOME to a folder with room"
        case OSError() if not isinstance(cause, errors.FileMetadataError):
            # huggingface_hub compares the size of a file with the hub's.
            problem = f"the download from {address} was cut short ({reason}), expected all of it"
            hint = purpose.again
        case _:
            problem = f"{address} answers as no hub does ({reason}), expected the repository"
            hint = purpose.hint("check the network and HF_ENDPOINT")
    return problem, hint
