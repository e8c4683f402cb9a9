"""Cuts and escapes texts for the page."""

from __future__ import annotations

from builder.escapes import escape


def cut(text: str, most: int) -> str:
    """Cut a text to *most* characters, with an ellipsis."""
    return text if len(text) <= most else f"{text[:most]}…"


def clean(text: str, most: int) -> str:
    """Cut a text, and escape its control characters except for tabs and line ends."""
    return escape(cut(text, most), keep="\t\n")
