"""What libraries print in the process that the screen belongs to."""

import os
import subprocess
import sys

from tests.conftest import ROOT

CODE = """
import logging, os, sys, warnings
from pathlib import Path
from builder.terminal import chatter
from builder.terminal.console import Console

console = Console()
with chatter.divert(Path("log")):
    warnings.warn("a warning")
    handler = logging.StreamHandler()
    logging.getLogger("transformers").addHandler(handler)
    logging.getLogger("transformers").warning("a library's warning")
    print("a print")
    os.write(2, b"from C\\n")
    os.system("echo from a child")
    console.notes(["a note"])
    console.result("a result")
logging.getLogger("transformers").warning("a later warning")
try:
    with chatter.divert(Path("log2")):
        print("lost")
        raise ValueError
except ValueError:
    console.notes(["the end"])
print("on stdout again")
"""


def test_the_screen_and_stdout_stay_clean(tmp_path):
    """Warnings, prints, C and children go to the log; the console and its results do not."""
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    log = (tmp_path / "log").read_text()

    assert done.stdout == "a result\non stdout again\n"
    assert done.stderr == "a note\na later warning\nthe end\n"
    for text in ("a warning", "a library's warning", "a print", "from C", "from a child"):
        assert text in log
    assert (tmp_path / "log2").read_text() == "lost\n"
