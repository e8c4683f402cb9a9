"""Whether the gates say the same every time: one file examined again and again, on 1 or 2 threads.

Run as: .venv/bin/python benchmarks/repeat.py [--quick] [--json] [--root FOLDER] [--share S] [NAME]

`--json` prints one object: runs, answers (in each run), kinds (of different sets of answers and
verdicts; 1 is what is promised) and ratio (kinds / runs). Ends with 1 where two runs differ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent.parent))

from builder import examined
from builder.evaluation import examination
from builder.examined import ExaminedFile
from builder.gates.table import GATES
from builder.project import Project

if TYPE_CHECKING:
    from builder.evaluation.report import Report

RUNS, QUICK_RUNS = 20, 2


def list_promised(report: Report) -> list[Any]:
    """List what must be the same every time: every answer, and every verdict with its count."""
    answers = [
        [one.messages, one.seed, one.answer, one.ended, one.is_right] for one in report.asked
    ]
    verdicts = [[gate.gate, gate.verdict, gate.right, gate.of] for gate in report.gates]
    return [answers, verdicts]


def main() -> int:
    """Examine, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", default="algieba")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="the project that holds build/NAME"
    )
    parser.add_argument(
        "--share", type=float, default=0.125, help="of the gates' table, asked in each run"
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_RUNS} runs, not {RUNS}")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    build = Project(options.root.resolve()).build(options.name)
    material = ExaminedFile(**examined.declare_file(build)).material()
    runs = QUICK_RUNS if options.quick else RUNS
    found = []
    for run in range(runs):
        # Each run has a cache of its own, so that no answer of another is read.
        with (
            tempfile.TemporaryDirectory() as cache,
            mock.patch("builder.llama._threads", lambda _path, threads=run % 2 + 1: threads),
        ):
            fresh = replace(material, cache=Path(cache))
            found.append(examination.examine(fresh, GATES, options.share))
    promised = [json.dumps(list_promised(report)) for report in found]
    kinds = {hashlib.sha256(text.encode()).hexdigest() for text in promised}
    result = {
        "runs": runs,
        "answers": len(found[0].asked),
        "kinds": len(kinds),
        "ratio": len(kinds) / runs,
    }
    if options.json:
        print(json.dumps(result))
    else:
        asked = f"{runs} runs of {result['answers']} answers, with 1 and 2 threads"
        print(f"{asked}: {len(kinds)} kind of answers and verdicts")
    return int(len(kinds) > 1)


if __name__ == "__main__":
    sys.exit(main())
