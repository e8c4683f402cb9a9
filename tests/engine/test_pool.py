"""Workers of a build: one at a time runs tasks, and the next is ready when it is needed."""

import multiprocessing
import os
import signal

import pytest

from builder.engine.child import Task
from builder.engine.pool import Pool
from builder.engine.stage import Work
from builder.machine import Machine

# Modules that are quick to import.
FIRST, SECOND, THIRD = "json", "csv", "wave"


@pytest.fixture
def pool():
    """Give a pool that keeps no worker."""
    with Pool() as workers:
        yield workers


def task(folder, inputs="pid"):
    """Make a task of the stages in tests.engine.tasks."""
    work = Work(out=folder / "out", scratch=folder, machine=Machine("cpu", "test", has_bf16=False))
    log_path = folder / "task.log"
    return Task(
        module="tests.engine.tasks", name="test", inputs=inputs, work=work, log_path=log_path
    )


def children():
    """List the workers that run."""
    return {process.pid for process in multiprocessing.active_children()}


def run(pool, folder, module, **options):
    """Run a task that gives the number of its process."""
    return int(pool.run(task(folder), module, **options).split()[1])


def test_tasks_of_one_module_share_a_process(pool, tmp_path):
    """The second one finds what the first one loaded."""
    assert run(pool, tmp_path, FIRST) == run(pool, tmp_path, FIRST)


def test_the_next_worker_starts_while_this_one_works(pool, tmp_path):
    """It runs before its first task is there, and gets that task."""
    first = run(pool, tmp_path, FIRST, next_module=SECOND)
    waiting = children() - {first}

    assert len(waiting) == 1
    assert {run(pool, tmp_path, SECOND)} == waiting
    assert first not in children()


def test_the_current_worker_is_not_started_twice(pool, tmp_path):
    """The next task is often of the same worker."""
    first = run(pool, tmp_path, FIRST, next_module=FIRST)

    assert children() == {first}


def test_a_worker_that_was_not_needed_after_all_ends(pool, tmp_path):
    """What was to be next may turn out fresh; another worker takes its place."""
    pool.prepare(FIRST, tmp_path)
    (unused,) = children()

    used = run(pool, tmp_path, SECOND)

    assert used != unused
    assert children() == {used}


def test_no_worker_outlives_the_pool(tmp_path):
    """Neither the current one, nor the waiting one, nor one that is kept."""
    with Pool(keeps=(FIRST,)) as pool:
        run(pool, tmp_path, FIRST)
        run(pool, tmp_path, SECOND, next_module=THIRD)
        assert len(children()) == 3
    assert not children()


def test_a_kept_worker_is_used_again(tmp_path):
    """A further persona finds what the first one's training has loaded."""
    with Pool(keeps=(FIRST,)) as pool:
        first = run(pool, tmp_path, FIRST)
        second = run(pool, tmp_path, SECOND, next_module=FIRST)
        assert children() == {first, second}

        assert run(pool, tmp_path, FIRST) == first
        assert children() == {first}


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_worker_that_has_died_is_replaced(is_kept, tmp_path):
    """A training that ran out of memory ends its process, not the next persona's build."""
    with Pool(keeps=(FIRST,)) as pool:
        first = run(pool, tmp_path, FIRST)
        if is_kept:
            run(pool, tmp_path, SECOND)
        os.kill(first, signal.SIGKILL)
        wait_for_end(first)

        assert run(pool, tmp_path, FIRST) != first


def wait_for_end(pid):
    """Wait until a worker has ended."""
    for process in multiprocessing.active_children():
        if process.pid == pid:
            process.join()
