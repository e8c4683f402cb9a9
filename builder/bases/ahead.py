"""Fetches the 16-bit weights for the export, while an adapter is trained on 4-bit weights.

Run as a program, it fetches the weights of one base, and ends with the build.
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
    """Start fetching the base's 16-bit weights, if training uses another repository.

    Call it in a worker. The download outlives the worker, and ends with the main process. The
    export waits for it through huggingface_hub's lock for each file, and reports what could not be
    fetched.

    Args:
        chosen: The base.

    Returns:
        The process that fetches, the same for the same base; None if there is nothing to fetch.

    """
    key = (chosen.source, chosen.revision)
    is_wanted = chosen.kind == "hub" and key != (chosen.train_source, chosen.train_revision)
    if not is_wanted or key in _started:
        return _started.get(key)
    try:
        build = os.pidfd_open(os.getppid())
    except (AttributeError, OSError):  # macOS, and kernels without it, as in some sandboxes
        return None
    command = [sys.executable, "-m", __name__, json.dumps(asdict(chosen)), str(build)]
    _started[key] = subprocess.Popen(command, pass_fds=(build,), stdin=subprocess.DEVNULL)
    os.close(build)
    return _started[key]


def main() -> None:
    """Fetch the weights of the base in the arguments."""
    chosen, build = Base(**json.loads(sys.argv[1])), int(sys.argv[2])
    threading.Thread(target=_end_with, args=(build,), daemon=True).start()
    try:
        fetch.find_weights(chosen)
    except PersonaError as error:
        sys.exit(str(error))  # into the log of the stage that started it


def _end_with(build: int) -> None:
    """End this process when another one ends, given its file descriptor."""
    waiting = select.poll()
    waiting.register(build, select.POLLIN)
    waiting.poll()
    os._exit(1)


if __name__ == "__main__":
    main()
