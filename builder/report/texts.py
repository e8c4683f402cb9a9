"""Texts cut and escaped so that they fit the page, and stay text."""

from __future__ import annotations

from builder.escapes import escape


def cut(text: str, most: int) -> str:
    """Cut a text of over *most* characters, and say so by an ellipsis."""
    return text if len(text) <= most else f"{text[:most]}…"


def clean(text: str, most: int) -> str:
    """Cut a text, and write its control characters as escapes but for tabs and line ends."""
    return escape(cut(text, most), keep="\t\n")
