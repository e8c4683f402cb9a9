"""The settings of the hub's client, read from the environment without importing it.

Importing huggingface_hub takes a second.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from builder import files

DEFAULT = "https://huggingface.co"
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
