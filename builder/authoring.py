"""The commands for whoever writes a persona: the keys of its manifest and the bases to choose from."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from builder import schema
from builder.console import Console


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, an object a key.")
@click.pass_obj
def keys(console: Console, /, *, as_json: bool) -> None:
    """List the keys of persona.toml, with type, default and description."""
    found = schema.list_keys()
    if as_json:
        console.result(json.dumps([asdict(key) for key in found], ensure_ascii=False))
        return
    from builder import views  # noqa: PLC0415 — imports numpy

    views.show_keys(found, console)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, an object a base.")
@click.pass_obj
def bases(console: Console, /, *, as_json: bool) -> None:
    """List the bases that a persona can be built on, and what each takes."""
    from builder.bases import table  # noqa: PLC0415 — only here

    found = table.rows()
    if as_json:
        console.result(json.dumps([asdict(row) for row in found], ensure_ascii=False))
        return
    from builder import views  # noqa: PLC0415 — imports numpy

    views.show_bases(found, console)
