"""The settings of the hub's client, read from the environment without importing it.

Importing huggingface_hub takes a second.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from builder import files
from builder.errors import ToolError
from builder.escapes import quote

DEFAULT = "https://huggingface.co"
# Read as huggingface_hub is imported (1.33, constants.py), also by transformers.
NUMBERS = ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT")
TRUE = ("1", "ON", "YES", "TRUE")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The hub's address, its cache, and its token."""

    endpoint: str
    """Without a user name and a password."""
    home: Path
    cache: Path
    """The folder of the repositories, in `home` by default."""
    token: str
    """The place of the token, never the token itself; "" if there is none."""
    is_offline: bool

    @property
    def is_mirror(self) -> bool:
        """Whether it is not Hugging Face's own hub."""
        return self.endpoint != DEFAULT


def check_variables() -> None:
    """Check the variables with which the hub's client could not even be imported.

    Raises:
        ToolError: One of them is wrong.

    """
    for name in NUMBERS:
        _check_variable(name, int, "a whole number of seconds")
    _check_variable("HF_ENDPOINT", urlsplit, "the address of a hub")


def _check_variable(name: str, read: Callable[[str], object], expected: str) -> None:
    text = os.environ.get(name)
    try:
        if text is not None:
            read(text)
    except ValueError:
        msg = f"{name}: is {quote(text)}, expected {expected}"
        raise ToolError(msg, hint=f"unset {name}") from None


def read_settings() -> Settings:
    """Read the settings.

    Source:
        huggingface_hub 1.33, constants.py and utils/_auth.py.
    """
    home = _read_path("HF_HOME", _find_cache_home() / "huggingface")
    cache = _read_path("HF_HUB_CACHE", _read_path("HUGGINGFACE_HUB_CACHE", home / "hub"))
    return Settings(
        endpoint=_hide_user(os.environ.get("HF_ENDPOINT", "").rstrip("/") or DEFAULT),
        home=home,
        cache=cache,
        token=_find_token(_read_path("HF_TOKEN_PATH", home / "token")),
        is_offline=(
            os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
        ).upper()
        in TRUE,
    )


def _find_cache_home() -> Path:
    return _read_path("XDG_CACHE_HOME", files.expand_home("~/.cache"))


def _read_path(variable: str, default: Path) -> Path:
    text = os.environ.get(variable)
    return files.expand_home(os.path.expandvars(text)) if text else default


def _find_token(path: Path) -> str:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if os.environ.get(name, "").strip():
            return name
    try:
        return str(path) if path.read_text("utf-8").strip() else ""
    except (OSError, ValueError):
        return ""


def _hide_user(address: str) -> str:
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
