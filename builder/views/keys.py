"""The output of `keys`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from builder.escapes import escape
from builder.manifest.schema import Key
from builder.terminal.console import Console


def show(keys: Sequence[Key], console: Console) -> None:
    """Print the keys of persona.toml, with type, default and description."""
    for key in keys:
        default = f" = {key.shown_default}" if key.default is not None else ""
        required = ", required" if key.is_required else ""
        console.page.print(Text.assemble((key.name, "bold"), escape(default)))
        console.page.print(Text(f"    {escape(key.type)}{required}", "dim"))
        console.page.print(Text(f"    {escape(key.description)}"))
