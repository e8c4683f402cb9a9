"""The output of `new` about the rows of the persona that it has created."""

from __future__ import annotations

from builder import persona, scaffold
from builder.data import kinds, rows

# docs/data.md says what to expect from how many rows.
GOOD_ROWS = 40


def describe(draft: scaffold.Draft, *, is_imported: bool) -> list[str]:
    """Say what to do with the rows, and how many are needed.

    Raises:
        DataError: The rows of the copied persona cannot be read.

    """
    example, data = draft.example, draft.folder / scaffold.DATA
    if example:
        manifest = example.manifest
        count = len(rows.read(example.data_files, manifest.data, manifest.identity))
        data = draft.folder / example.data_files[0].relative_to(example.folder)
        return [
            f"a copy of {example.name}, {count} rows in {data};",
            "write your own replies in place of all of them, and change with them what",
            f"{draft.folder / persona.MANIFEST} asks for.",
            f"{_describe_need(draft.kind, 0)}then:",
        ]
    if is_imported and draft.title:
        return [
            "its name is taught by rows that come with the project, and yours teach the rest;",
            f"read {data}; then:",
        ]
    if is_imported:
        unnamed = (
            "it has no name of its own: with --name, rows that come with the project teach one;"
        )
        return [unnamed, f"read {data}; {_describe_need(draft.kind, len(draft.rows))}then:"]
    return [
        "its name is taught by rows that come with the project; write your own about other",
        f"things in {data}, one conversation a line; then:",
    ]


def _describe_need(name: str | None, there: int) -> str:
    """Say how many rows a kind of persona needs, if there are fewer.

    Args:
        name: The kind; None means that the data decide it.
        there: The number of rows that the user has.

    """
    if there >= GOOD_ROWS:
        return ""
    if name is None:
        return f"{GOOD_ROWS} rows or more teach a name, a voice or a format; "
    least = kinds.KINDS[name].least_rows
    return f"{least} rows are the fewest seen to pass; {GOOD_ROWS} or more are safer; "
