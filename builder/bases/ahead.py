"""Fetches the 16-bit weights that export needs, while an adapter is trained on their 4-bit sibling.

Run as a program it fetches one base's weights, and ends with the build.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
from dataclasses import asdict

from builder.bases import fetch
from builder.bases.base import Base
from builder.errors import PersonaError

_started: dict[tuple[str, str], subprocess.Popen[bytes]] = {}


def start(chosen: Base) -> subprocess.Popen[bytes] | None:
    """Begin to fetch a base's own weights, where others of the hub are trained on.

    Call it in a worker. What is fetched goes on when the worker ends, and ends with the process
    that started the worker. Export waits for it, by the lock that huggingface_hub has for each
    file. Nothing is said of it: what it could not fetch, export tells.

    Args:
        chosen: The base.

    Returns:
        The process that fetches, the same for the same base; None where nothing is to be fetched.

    """
    key = (chosen.source, chosen.revision)
    is_wanted = chosen.kind == "hub" and key != (chosen.train_source, chosen.train_revision)
    if not is_wanted or key in _started:
        return _started.get(key)
    try:
        build = os.pidfd_open(os.getppid())
    except (AttributeError, OSError):  # macOS, and a kernel without it, as some sandboxes have
        return None
    command = [sys.executable, "-m", __name__, json.dumps(asdict(chosen)), str(build)]
    _started[key] = subprocess.Popen(command, pass_fds=(build,), stdin=subprocess.DEVNULL)
    os.close(build)
    return _started[key]


def main() -> None:
    """Fetch the weights of the base that is named."""
    chosen, build = Base(**json.loads(sys.argv[1])), int(sys.argv[2])
    threading.Thread(target=_end_with, args=(build,), daemon=True).start()
    try:
        fetch.find_weights(chosen)
    except PersonaError as error:
        sys.exit(str(error))  # into the log of the stage that started it


def _end_with(build: int) -> None:
    """End when a process has ended, by its file descriptor."""
    waiting = select.poll()
    waiting.register(build, select.POLLIN)
    waiting.poll()
    os._exit(1)


if __name__ == "__main__":
    main()
