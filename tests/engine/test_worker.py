"""Worker processes: shared, quiet, and never left behind."""

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from builder.engine.child import Task
from builder.engine.stage import Work
from builder.engine.worker import Worker
from builder.errors import GateError, ToolError
from builder.machine import Machine
from tests.conftest import ROOT

MODULE = "tests.engine.tasks"
MACHINE = Machine("cpu", "made up", has_bf16=False)


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    """Start one worker for the tests that leave it alive."""
    with Worker(MODULE, tmp_path_factory.mktemp("start") / "start.log") as started:
        yield started


def run(worker, what, tmp_path):
    work = Work(tmp_path / "out", tmp_path, MACHINE)
    task = Task(module=MODULE, name="copy", inputs=what, work=work, log_path=tmp_path / "copy.log")
    return worker.run(task)


def test_tasks_share_a_process_that_imported_its_module_once(worker, tmp_path):
    """Two tasks run in one process, which is not this one."""
    first, second = (run(worker, "pid", tmp_path) for _ in range(2))

    assert first == second
    assert str(os.getpid()) not in first.split()
    assert len(set(first.split())) == 1


def test_the_collector_leaves_what_was_imported_alone(worker, tmp_path):
    """It is on, for what tasks leave behind."""
    is_enabled, frozen = run(worker, "collector", tmp_path).split()

    assert is_enabled == "True"
    assert int(frozen) > 1000


@pytest.mark.parametrize(
    ("kind", "error", "told"),
    [
        ("", RuntimeError, "ImportError: no such driver"),
        ("memory", ToolError, "the import of tests.engine.broken: this machine ran out of memory"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_by_its_error(
    kind, error, told, tmp_path, monkeypatch
):
    """It was told as a process that ended and said nothing."""
    monkeypatch.setenv("BROKEN_IMPORT", kind)
    with (
        Worker("tests.engine.broken", tmp_path / "start.log") as started,
        pytest.raises(error, match=told),
    ):
        run(started, "pid", tmp_path)
    assert "Traceback" in (tmp_path / "start.log").read_text()


class Kept(logging.Handler):
    """Keeps the records it is given."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        """Keep a record."""
        self.records.append(record)


@pytest.fixture
def kept():
    """Give what the project logs meanwhile, from information on."""
    log, handler = logging.getLogger("builder"), Kept()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler.records
    log.removeHandler(handler)
    log.setLevel(level)


def test_what_libraries_print_goes_into_the_log(worker, tmp_path, kept, capfd):
    """Chatter of Python and C is in the log; records of the project appear here, progress too."""
    assert run(worker, "speak", tmp_path) == "spoke"
    assert (tmp_path / "copy.log").read_text().splitlines() == ["chatter", "more chatter", "from C"]
    assert [record.getMessage() for record in kept] == [
        "a word to the person",
        "count 1/2 steps",
    ]
    assert kept[1].progress.unit == "steps"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("what", "kind", "problem"),
    [
        ("gate", GateError, "it failed"),
        ("full", ToolError, "out: No space left on device"),
        ("torch", ToolError, "could not be written"),
        ("bug", RuntimeError, "ZeroDivisionError"),
    ],
)
def test_an_error_of_a_task_is_raised_here_and_the_worker_goes_on(
    worker, tmp_path, what, kind, problem
):
    """Each class of error arrives whole, and the next task runs."""
    with pytest.raises(kind, match=problem):
        run(worker, what, tmp_path)
    assert run(worker, "pid", tmp_path)


@pytest.mark.parametrize(
    ("what", "sentence"),
    [("die", "ended by SIGKILL, most often for want of memory"), ("exit", "ended with 5")],
)
def test_a_dead_worker_is_one_sentence(tmp_path, what, sentence):
    """A process that dies says how, and where its log is."""
    with Worker(MODULE, tmp_path / "start.log") as worker:
        with pytest.raises(ToolError, match=sentence) as caught:
            run(worker, what, tmp_path)
        assert str(tmp_path / "copy.log") in caught.value.hint


def test_a_worker_that_starts_does_not_answer_ctrl_c(tmp_path, capfd):
    """From its first moment on: the terminal sends it to both, and one sentence is enough."""
    with Worker(MODULE, tmp_path / "start.log") as worker:
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGINT)
        assert run(worker, "speak", tmp_path) == "spoke"

    assert "Traceback" not in capfd.readouterr().err


FIRST = """
import multiprocessing
import sys
from pathlib import Path
from builder.engine.worker import Worker
if __name__ == "__main__":
    with Worker("tests.engine.tasks", Path(sys.argv[1])):
        (child,) = multiprocessing.active_children()
        print(Path(f"/proc/{child.pid}/status").read_text())
"""


def test_the_first_worker_of_a_process_holds_ctrl_c_back_too(tmp_path):
    """Python's resource tracker starts with the first child, and lets Ctrl-C through again."""
    (tmp_path / "first.py").write_text(FIRST)
    command = [sys.executable, str(tmp_path / "first.py"), str(tmp_path / "start.log")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    status = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    (blocked,) = (line for line in status.stdout.splitlines() if line.startswith("SigBlk"))
    assert int(blocked.split()[1], 16) >> (signal.SIGINT - 1) & 1


def test_an_idle_worker_tidies_up(tmp_path):
    """What a library registered for the end of its process runs, where no task is cut short."""
    with Worker(MODULE, tmp_path / "start.log") as worker:
        assert run(worker, "leave", tmp_path) == "left"

    assert (tmp_path / "out").read_text() == "tidy"


def test_a_task_that_is_cut_short_is_asked_to_stop_first(tmp_path, kept):
    """What it says of that is told, and the process ends by itself."""

    class CutShortError(BaseException):
        pass

    def cut(*_):
        raise CutShortError

    before = signal.signal(signal.SIGUSR1, cut)
    try:
        with pytest.raises(CutShortError), Worker(MODULE, tmp_path / "start.log") as worker:
            run(worker, "stop", tmp_path)
    finally:
        signal.signal(signal.SIGUSR1, before)

    told = [record.getMessage() for record in kept if record.levelname == "WARNING"]
    assert told == ["copy: stopped with a checkpoint"]


PARENT = """
import signal
import sys
from pathlib import Path
from builder.engine.stage import Work
from builder.engine.child import Task
from builder.engine.worker import Worker
from builder.machine import Machine
folder = Path(sys.argv[1])
if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, and hands that on
    work = Work(folder / "out", folder, Machine("cpu", "made up", has_bf16=False))
    task = Task(module="tests.engine.tasks", name="copy", inputs="sleep", work=work,
                log_path=folder / "copy.log")
    Worker("tests.engine.tasks", folder / "start.log").run(task)
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_worker_never_outlives_its_parent(tmp_path, sent):
    """However the parent ends while a stage runs, its worker ends too."""
    (tmp_path / "parent.py").write_text(PARENT)
    command = [sys.executable, str(tmp_path / "parent.py"), str(tmp_path)]
    parent = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)})
    out = tmp_path / "out"
    wait_until(lambda: out.exists() and out.read_text())
    worker = int(out.read_text())
    parent.send_signal(sent)
    parent.wait(20)

    wait_until(lambda: not is_alive(worker))


def wait_until(is_so, wait_s=60):
    until_s = time.monotonic() + wait_s
    while not is_so():
        assert time.monotonic() < until_s, "waited in vain"
        time.sleep(0.05)


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = open(f"/proc/{process}/stat").read()  # noqa: SIM115, PTH123 — it may be gone meanwhile
    return status.rpartition(")")[2].split()[0] != "Z"
