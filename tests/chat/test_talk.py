"""A conversation without Ollama: what is said, kept and stopped."""

import json
from types import SimpleNamespace

import pytest

from builder import cli
from builder.bases import baseline
from builder.chat import talk
from builder.terminal.console import Console
from tests.conftest import run_persona
from tests.pseudoterminal import opened
from tests.streams import gone_reader

LONG = "Write a long story about the sea, the wind and a ship that never came home."


def test_one_question_is_answered_on_stdout(build, capsys):
    """A question that is typed gets its answer as the result, and nothing else is printed."""
    assert cli.main(["chat", build.name, "What is 2+2?"]) == cli.DONE
    printed = capsys.readouterr()

    assert "4" in printed.out
    assert printed.out.endswith("\n")
    assert printed.err == ""


def test_an_answer_cannot_move_the_cursor(conversation, capsys):
    """Terminal sequences in an answer are shown as escapes; its newlines are kept."""
    conversation.speakers[0].model = SimpleNamespace(
        render=str, tokenize=list, stream=lambda *_: iter(["a\n", "\x1b[2J"])
    )

    conversation.console = Console()
    talk.answer(conversation, "Hi")

    assert capsys.readouterr().out == "a\n\\x1b[2J\n"


def test_a_pipe_is_read_line_by_line(build):
    """Lines of a pipe are questions and commands; stdout has the answers alone, and no prompt."""
    typed = "What is 2+2?\n/clear\n/nonsense\n/bye\nnever read\n"
    done = run_persona("chat", "luma", cwd=build.folder.parent.parent, typed=typed)

    assert done.returncode == 0, done.stderr
    assert "4" in done.stdout
    assert ">>>" not in done.stdout
    assert "error: there is no command '/nonsense', expected one of /?, /help" in done.stderr
    assert "never" not in done.stdout


def test_the_base_answers_below(build):
    """Without a terminal the base's answer stands below the persona's, each under its name."""
    done = run_persona("chat", "luma", "Hi", "--beside", cwd=build.folder.parent.parent)
    lines = done.stdout.splitlines()

    assert lines[0] == "luma:"
    own, base = done.stdout.removeprefix("luma:\n").split("smollm2-135m-instruct:\n")
    assert own.strip()
    assert base.strip()


def test_without_the_bases_file_the_persona_answers_alone(build, capsys, monkeypatch):
    """Where the base's own file was never made, a sentence says so."""
    monkeypatch.setattr(baseline, "find", lambda _base: None)

    assert cli.main(["chat", build.name, "What is 2+2?", "--beside"]) == cli.DONE
    printed = capsys.readouterr()
    assert "the base's own file is not here (" in printed.err
    assert printed.err.endswith(".gguf); a build on a CPU makes it. luma answers alone\n")
    assert "4" in printed.out


def test_columns_stand_side_by_side(build):
    """On a wide terminal both answers stand on the same lines, and none is longer than a line."""
    root = build.folder.parent.parent
    with opened("chat", "luma", "--beside", LONG, cwd=root, columns=100) as terminal:
        assert terminal.end() == 0
        lines = terminal.lines

    assert lines[0].split() == ["luma", "smollm2-135m-instruct"]
    both = [line for line in lines[1:] if line[:48].strip() and line[51:].strip()]
    assert len(both) >= 2
    assert all(len(line) <= 100 for line in lines)
    assert all(line[48:51] == "   " for line in both)


@pytest.mark.parametrize("environment", [{}, {"TERM": "dumb"}], ids=["narrow", "dumb"])
def test_a_narrow_terminal_is_talked_on(build, environment):
    """On twenty columns, or a dumb terminal, answers stand below each other, and /bye ends it."""
    root = build.folder.parent.parent
    with opened("chat", "luma", "--beside", cwd=root, columns=20, **environment) as terminal:
        terminal.wait_for(">>>")
        terminal.type("What is 2+2?\r")
        terminal.wait_for("luma:")
        terminal.wait_for("smollm2-135m-instruct:")
        terminal.wait_for(">>>")
        terminal.type("/bye\r")
        assert terminal.end() == 0
        if environment:
            assert "\x1b" not in terminal.seen


@pytest.mark.parametrize("environment", [{}, {"TERM": "dumb"}], ids=["xterm", "dumb"])
def test_ctrl_c_stops_the_answer_and_not_the_program(build, environment):
    """What was said until then stays in the conversation; at the prompt it tells how to leave."""
    root = build.folder.parent.parent
    with opened("chat", "luma", cwd=root, **environment) as terminal:
        terminal.wait_for(">>>")
        terminal.type("\x03")
        terminal.wait_for("Ctrl-D or /bye ends the conversation")
        terminal.wait_for(">>>")
        terminal.type("/set parameter num_predict 2000\r")
        terminal.wait_for("num_predict is 2000")
        terminal.type(f"{LONG}\r")
        terminal.wait_for("home.")
        terminal.wait_for(" was ")  # of the answer
        terminal.type("\x03")
        terminal.wait_for(">>>")
        terminal.type("/save said.jsonl\r")
        terminal.wait_for("said.jsonl:1: holds")
        terminal.wait_for(">>>")
        terminal.type("\x04")
        assert terminal.end() == 0
        assert "Traceback" not in terminal.text

    said = [turn["content"] for turn in json.loads((root / "said.jsonl").read_text())["messages"]]
    assert said[0] == LONG
    assert said[1].strip()


def test_ctrl_c_takes_a_line_back(build):
    """With something typed it is taken back, and nothing is said about leaving."""
    with opened("chat", "luma", cwd=build.folder.parent.parent) as terminal:
        terminal.wait_for(">>>")
        terminal.type("half a quest")
        terminal.wait_for("half a quest")
        terminal.type("\x03")
        terminal.wait_for(">>>")
        terminal.type("/bye\r")
        assert terminal.end() == 0
        assert terminal.text.count("ends the conversation") == 1  # of the first line


def test_lines_are_remembered(build, tmp_path):
    """The key Up brings back a line of an earlier conversation; nobody else may read the file."""
    root, cache = build.folder.parent.parent, tmp_path / "cache"
    with opened("chat", "luma", cwd=root, XDG_CACHE_HOME=str(cache)) as terminal:
        terminal.wait_for(">>>")
        terminal.type("/show system\r")
        terminal.wait_for("no system text")
        terminal.wait_for(">>>")
        terminal.type("\x04")
        assert terminal.end() == 0
    with opened("chat", "luma", cwd=root, XDG_CACHE_HOME=str(cache)) as terminal:
        terminal.wait_for(">>>")
        terminal.type("\x1b[A")
        terminal.wait_for("/show system")
        terminal.type("\x15/bye\r")
        assert terminal.end() == 0

    assert (cache / "persona" / "chat-history").stat().st_mode & 0o077 == 0


def test_without_a_home_that_can_be_written_lines_are_not_remembered(build, tmp_path):
    """A cache folder that cannot be made is no reason not to talk."""
    (tmp_path / "file").touch()
    root, cache = build.folder.parent.parent, tmp_path / "file"
    with opened("chat", "luma", cwd=root, XDG_CACHE_HOME=str(cache)) as terminal:
        terminal.wait_for(">>>")
        terminal.type("/show system\r")
        terminal.wait_for("no system text")
        terminal.wait_for(">>>")
        terminal.type("/bye\r")
        assert terminal.end() == 0
        assert "Traceback" not in terminal.text


@pytest.mark.parametrize(
    "locale", [{"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}]
)
def test_a_locale_without_utf_8_is_talked_in(build, locale):
    """Questions are read as UTF-8 whatever the locale; what it cannot show is an escape."""
    typed = "/set system 你好\n/show system\n/bye\n"
    done = run_persona("chat", "luma", cwd=build.folder.parent.parent, typed=typed, **locale)

    assert done.returncode == 0, done.stderr
    assert done.stdout in ("\\u4f60\\u597d\n", "你好\n")


def test_bytes_that_are_no_text_are_read(build):
    """A pipe of other bytes is answered too."""
    root = build.folder.parent.parent
    done = run_persona("chat", "luma", cwd=root, typed=b"\xff\xfe?\n")

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_a_reader_that_goes_away_ends_the_conversation(build):
    """With stdout closed by its reader the command ends with 0 and no traceback."""
    root = build.folder.parent.parent
    with gone_reader() as gone:
        done = run_persona("chat", "luma", cwd=root, typed="/?\n" * 3, stdout=gone)

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_a_question_without_room_does_not_end_the_conversation(build):
    """One that is longer than the context is told with its length, and the next is answered."""
    typed = "word " * 5000 + "\nWhat is 2+2?\n"
    done = run_persona("chat", "luma", cwd=build.folder.parent.parent, typed=typed)

    assert done.returncode == 0
    assert "tokens long, expected at most" in done.stderr
    assert "4" in done.stdout


def test_a_question_of_other_bytes_is_answered(build):
    """An argument that is not UTF-8 has lone surrogates."""
    done = run_persona("chat", "luma", b"\xff?", cwd=build.folder.parent.parent)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
