"""What is typed: lines, commands, and texts of several lines."""

import errno
import os
from types import SimpleNamespace

import pytest

from builder.chat import reading
from builder.chat.reading import LEAVE, Typed, listen
from builder.errors import ToolError
from builder.terminal.console import Console


class Lines:
    """Lines that are typed one after the other; an exception stands for its key."""

    def __init__(self, *typed, is_terminal=True, is_blank=True):
        self.typed, self.is_terminal, self.is_blank = list(typed), is_terminal, is_blank

    def read(self, _prompt):
        """Give the next line."""
        if not self.typed:
            raise EOFError
        line = self.typed.pop(0)
        if not isinstance(line, str):
            raise line
        return line


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        (["Hi\n"], [Typed("Hi", is_command=False)]),
        (["", "  \n", "Hi"], [Typed("Hi", is_command=False)]),
        (["/clear\r\n"], [Typed("/clear", is_command=True)]),
        (['"""one"""'], [Typed("one", is_command=False)]),
        (['"""one\n', "\n", 'two"""\n'], [Typed("one\n\ntwo", is_command=False)]),
        (['"""\n', "/clear\n", '"""\n'], [Typed("/clear", is_command=False)]),
        (['/set system """one', 'two"""'], [Typed("/set system one\ntwo", is_command=True)]),
        (['What is """?', "Hi"], [Typed('What is """?', is_command=False), Typed("Hi", False)]),
        (['"""pasted\ntext"""'], [Typed("pasted\ntext", is_command=False)]),
        (['""""""'], []),
    ],
)
def test_a_line_or_several_in_triple_quotes(typed, read):
    """Blank lines are nothing; what stands in triple quotes is one text, and never a command."""
    assert list(listen(Lines(*typed), Console())) == read


def test_a_text_without_its_end_is_not_sent(capsys):
    """Where the input ends within triple quotes a sentence says that the text was not sent."""
    assert list(listen(Lines("Hi", '"""half a text'), Console())) == [Typed("Hi", False)]
    assert 'the text that begins with """ has no end' in capsys.readouterr().err


@pytest.mark.parametrize(("is_blank", "said"), [(True, f"{LEAVE}\n"), (False, "")])
def test_ctrl_c_takes_back_a_line(capsys, is_blank, said):
    """At an empty prompt it tells how to leave; what was typed is taken back, also in quotes."""
    lines = Lines(KeyboardInterrupt(), '"""half', KeyboardInterrupt(), "Hi", is_blank=is_blank)

    assert list(listen(lines, Console())) == [Typed("Hi", is_command=False)]
    assert capsys.readouterr().err == said * 2


def test_ctrl_c_at_a_pipe_ends_the_program():
    """Where nobody types it is passed on."""
    with pytest.raises(KeyboardInterrupt):
        list(listen(Lines(KeyboardInterrupt(), is_terminal=False), Console()))


def test_a_standard_input_that_cannot_be_read_is_told(monkeypatch):
    """It may be open for writing alone, as after `0>file`."""

    def refuse():
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    stream = SimpleNamespace(isatty=lambda: False, buffer=SimpleNamespace(readline=refuse))
    monkeypatch.setattr("sys.stdin", stream)

    with pytest.raises(ToolError, match="standard input: Bad file descriptor, expected"):
        reading.PlainLines().read("")
