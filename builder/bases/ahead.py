"""Fetches the 16-bit weights that export needs, while an adapter is trained on their 4-bit sibling.

Run as a program it fetches one base's weights, and ends with the process that started it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict

from builder.bases import fetch
from builder.bases.base import Base
from builder.errors import PersonaError

_started: dict[tuple[str, str], subprocess.Popen[bytes]] = {}


def start(chosen: Base) -> None:
    """Begin to fetch a base's own weights, where others of the hub are trained on.

    Nothing is said of it: what it could not fetch is fetched, or told, when it is needed. It ends
    with this process, and the next fetch goes on where it was.

    Args:
        chosen: The base.

    """
    key = (chosen.source, chosen.revision)
    if chosen.kind != "hub" or key == (chosen.train_source, chosen.train_revision):
        return
    if key not in _started:
        command = [sys.executable, "-m", __name__, json.dumps(asdict(chosen))]
        _started[key] = subprocess.Popen(command, stdin=subprocess.PIPE)


def main() -> None:
    """Fetch the weights of the base that is named."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        fetch.find_weights(Base(**json.loads(sys.argv[1])))
    except PersonaError as error:
        sys.exit(str(error))  # into the log of the stage that started it


def _end_with_parent() -> None:
    # Nothing is ever sent: the only thing that arrives is the end of the parent.
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
