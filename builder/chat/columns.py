"""Writes answers side by side, line by line, as soon as all columns have a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from builder.escapes import escape
from builder.terminal.console import Console

# The gap between two columns, and the smallest readable width of one.
GAP = "   "
LEAST_WIDTH = 28


def find_width(count: int, console: Console) -> int | None:
    """Compute the width of each column; None if they do not fit side by side."""
    if not console.page.file.isatty():
        return None
    width = (console.page.width - len(GAP) * (count - 1)) // count
    return width if width >= LEAST_WIDTH else None


def write(
    names: Sequence[str], answers: Sequence[Iterator[str]], width: int, console: Console
) -> None:
    """Write answers while they are generated, each under its name.

    Raises:
        KeyboardInterrupt: Ctrl-C was typed; the answers so far are written.

    """
    heads = (Text(escape(name), "bold", no_wrap=True) for name in names)
    console.page.print(_join(list(heads), width))
    columns = [_Column(pieces, width, console) for pieces in answers]
    row, is_stopped = 0, False
    while True:
        try:
            lines = [column.find(row) for column in columns]
            if all(line is None for line in lines):
                break
            row += 1
            # Not through rich, which after an interruption would write its buffer again.
            console.result(_join([Text(line or "") for line in lines], width).plain.rstrip())
        except KeyboardInterrupt:
            is_stopped = True
            for column in columns:
                column.stop()
    if is_stopped:
        raise KeyboardInterrupt


def _join(texts: Sequence[Text], width: int) -> Text:
    line = Text()
    for number, text in enumerate(texts):
        cell = text.copy()
        cell.truncate(width, overflow="ellipsis", pad=number < len(texts) - 1)
        line.append_text(cell).append(GAP if number < len(texts) - 1 else "")
    return line


class _Column:
    """The lines of an answer that is being generated."""

    def __init__(self, pieces: Iterator[str], width: int, console: Console) -> None:
        self._pieces, self._width, self._page = pieces, width, console.page
        self._lines: list[str] = []
        """The lines of complete paragraphs."""
        self._paragraph = ""
        self._is_over = False

    def find(self, row: int) -> str | None:
        """Generate until the line of this number is complete; None if the answer ends before."""
        while self._count_whole() <= row and not self._is_over:
            self._advance()
        return [*self._lines, *self._wrap()][row] if row < self._count_whole() else None

    def stop(self) -> None:
        """Stop generating."""
        self._is_over = True

    def _advance(self) -> None:
        piece = next(self._pieces, None)
        if piece is None:
            self.stop()
            return
        *whole, rest = (self._paragraph + escape(piece, keep="\t\n")).split("\n")
        for self._paragraph in whole:
            self._lines += self._wrap() or [""]
        self._paragraph = rest

    def _count_whole(self) -> int:
        """Count the lines that are final: all but the last, until the answer ends."""
        made = len(self._wrap())
        return len(self._lines) + (made if self._is_over else max(0, made - 1))

    def _wrap(self) -> list[str]:
        lines = Text(self._paragraph).wrap(self._page, self._width, overflow="fold")
        return [line.plain for line in lines] if self._paragraph else []
