"""Answers side by side."""

import pytest

from builder.chat import columns
from builder.terminal.console import Console


def write(answers, width, capsys):
    columns.write(["a", "b"], [iter(pieces) for pieces in answers], width, Console())
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("answers", "lines"),
    [
        ((["one ", "two"], ["x"]), ["one two      x"]),
        ((["one two thr", "ee four"], ["x"]), ["one two      x", "three four"]),
        ((["a\n\nb"], ["c\n", "d\n"]), ["a            c", "             d", "b"]),
        (([], ["x"]), ["             x"]),
        ((["你好你好你好"], ["x"]), ["你好你好你   x", "好"]),
        ((["x" * 23], ["y"]), ["xxxxxxxxxx   y", "xxxxxxxxxx", "xxx"]),
        ((["\x1b[2J"], ["\r"]), ["\\x1b[2J      \\r"]),
    ],
)
def test_lines_are_broken_within_their_column(capsys, answers, lines):
    """Each answer keeps its line ends, breaks at words, and is never wider than its column."""
    assert [line.rstrip() for line in write(answers, 10, capsys)[1:]] == lines


def test_any_cutting_into_pieces_gives_the_same_lines(capsys):
    """What is written does not depend on where an answer's pieces end."""
    text = "The sea is wide,\nand a ship that never came home is abcdefghijklmnop long. 你好。"
    whole = write(([text], [text]), 12, capsys)

    for size in (1, 3, 7):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert write((pieces, [text]), 12, capsys) == whole


def test_what_was_said_until_ctrl_c_is_written(capsys):
    """An interruption ends all columns where they are, and is passed on."""

    def interrupted():
        yield "one two three"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        columns.write(["a", "b"], [iter(["x y z x y z"]), interrupted()], 10, Console())

    shown = capsys.readouterr().out
    assert "one two" in shown
    assert "three" in shown


def test_there_are_no_columns_without_a_terminal():
    """In a pipe answers stand one below the other."""
    assert columns.find_width(2, Console()) is None
