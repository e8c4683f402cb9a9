"""Processes that are forked for a test are as processes that were started for it."""

import os
import signal
import subprocess
import sys

import pytest

from tests.forks import CLOSED, ROOT, run_python
from tests.pseudoterminal import typing

TELL = """
import os, sys
print(os.getcwd(), os.environ["ADDED"], sys.argv[1:], sys.stdin.read(), file=sys.stderr)
os.write(1, b"written past Python, ")
print(os.getpid())
sys.exit(7)
"""


def test_a_run_has_streams_folder_variables_and_code_of_its_own(tmp_path, monkeypatch):
    """It is another process, which sees what it was given and changes nothing of the test's."""
    monkeypatch.setenv("OF_THE_TEST", "taken")
    here = os.getcwd()  # noqa: PTH109 — as it is printed
    code = TELL.replace("ADDED", "OF_THE_TEST")
    done = run_python("-c", code, "a", "b c", cwd=tmp_path, typed="你好")
    written, _, process = done.stdout.rpartition(", ")

    assert done.returncode == 7
    assert done.stderr == f"{tmp_path} taken ['a', 'b c'] 你好\n"
    assert written == "written past Python"
    assert int(process) != os.getpid()
    assert os.getcwd() == here  # noqa: PTH109 — as above


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.exit()",
        "import sys; sys.exit('text')",
        "raise SystemExit(3)",
        "1 / 0",
        f"import os; os.kill(os.getpid(), {signal.SIGTERM:d})",
        "import os, signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)",
        "import sys; print(sys.stdin.encoding, sys.stdout.encoding, sys.stderr.errors, __name__)",
        "import sys; print(sys.argv, sys.stdin.read(), sys.stdout.isatty(), sys.flags.utf8_mode)",
        "import threading; print(threading.active_count())",
    ],
)
def test_a_run_ends_and_prints_as_a_started_one(tmp_path, code):
    """Exit code and standard output are those of `python -c`, and so is the error's last line."""
    started = subprocess.run(
        [sys.executable, "-c", code, "x"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    done = run_python("-c", code, "x", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (started.returncode, started.stdout)
    assert done.stderr.splitlines()[-1:] == started.stderr.splitlines()[-1:]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each run starts Python")
def test_libraries_are_there_unless_a_variable_is_read_by_them(tmp_path):
    """Another locale, home or hub is read by a Python that starts with it."""
    code = "import sys; print('builder.cli' in sys.modules, sys.stdout.encoding)"

    assert run_python("-c", code, cwd=tmp_path).stdout == "True utf-8\n"
    locale = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    assert run_python("-c", code, cwd=tmp_path, **locale).stdout == "False ascii\n"
    assert run_python("-c", code, cwd=tmp_path, HF_HOME="x").stdout == "False utf-8\n"


def test_a_run_finds_libraries_whatever_a_test_has_imported(tmp_path, monkeypatch):
    """A script of tools/ that is imported adds its folder, where `ollama` is another module."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))

    done = run_python("-c", "import sys; print(*sys.path, sep='\\n')", cwd=tmp_path)

    assert str(ROOT / "tools") in sys.path
    assert str(ROOT) in done.stdout.splitlines()
    assert str(ROOT / "tools") not in done.stdout.splitlines()


TELL_STREAMS = """
import os, sys
made = os.open("made", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
told = [min(made, 3), sys.stdin is sys.__stdin__, sys.stdout is sys.__stdout__]
for stream in (sys.stdin, sys.stdout, sys.stderr):
    told += [stream and (stream.fileno(), stream.isatty(), stream.encoding, stream.errors)]
told += [stream and stream.line_buffering for stream in (sys.stdout, sys.stderr)]
os.write(made, ascii(told).encode())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each run starts Python")
@pytest.mark.parametrize(
    "names", [["stdout"], ["stderr"], ["stdout", "stderr"], ["stdin", "stdout", "stderr"], []]
)
@pytest.mark.parametrize("where", ["closed", "a terminal"])
def test_streams_are_those_that_python_finds_when_it_starts(tmp_path, names, where):
    """Closed ones are none, whose number the next file gets; those of a terminal are told apart."""
    told = []
    for started in ({"PYTHONHASHSEED": "0"}, {}):  # read by a Python that starts with it
        with typing() as terminal:
            given = dict.fromkeys(names, CLOSED if where == "closed" else terminal)
            done = run_python("-c", TELL_STREAMS, cwd=tmp_path, **given, **started)
        told += [(done.returncode, (tmp_path / "made").read_text())]

    assert told[0] == told[1]


def test_a_run_reads_the_hubs_variables_anew(tmp_path):
    """The hub's client reads them as it is imported, which here was before."""
    code = "from huggingface_hub import constants as c; print(c.ENDPOINT, c.is_offline_mode())"
    given = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}

    assert run_python("-c", code, cwd=tmp_path, **given).stdout == "http://127.0.0.1:9 True\n"
    assert run_python("-c", code, cwd=tmp_path, HF_HUB_OFFLINE="0").stdout.endswith(" False\n")
