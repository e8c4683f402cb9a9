"""Stages for the tests of workers: each does one thing that a stage may do to its process."""

import atexit
import gc
import logging
import os
import signal
import sys
import time

from builder import progress
from builder.errors import GateError, ToolError

STARTED = os.getpid()
FACTS = {
    "pid": lambda: f"{STARTED} {os.getpid()}",
    "collector": lambda: f"{gc.isenabled()} {gc.get_freeze_count()}",
}
ERRORS = {
    "gate": GateError("it failed", "twice", hint="mend it"),
    "torch": RuntimeError("I/O error: No space left on device (os error 28)"),
    "bug": ZeroDivisionError(),
}


def run(inputs, work):
    """Do what the input says."""
    match inputs:
        case "stop":
            return wait_to_be_stopped()
        case "pid" | "collector":
            return FACTS[inputs]()
        case "speak":
            print("chatter")  # noqa: T201 — this is what it tests
            print("more chatter", file=sys.stderr)  # noqa: T201
            os.write(1, b"from C\n")
            logging.getLogger("builder").warning("a word to the person")
            progress.report("count", 1, 2, "steps")
            return "spoke"
        case "full":
            raise OSError(28, "No space left on device", str(work.out))
        case "gate" | "torch" | "bug":
            raise ERRORS[inputs]
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(5)
        case "leave":
            atexit.register(work.out.write_text, "tidy")
            return "left"
        case "sleep":
            work.out.write_text(str(os.getpid()))
            time.sleep(60)
    raise AssertionError(inputs)


def wait_to_be_stopped():
    """Tell the parent, then end by SIGTERM as a training does: in order and with a sentence."""
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    os.kill(os.getppid(), signal.SIGUSR1)
    while not asked:
        time.sleep(0.01)
    raise ToolError("copy: stopped with a checkpoint")
