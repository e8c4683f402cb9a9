"""Whether the gates say the same every time: one built file examined again and again, by turns with one thread and two.

Run as: .venv/bin/python benchmarks/repeat.py [--quick] [--json] [--root FOLDER] [--share 0.125] [NAME]

`--json` prints one object: runs, answers (in each run), kinds (of different sets of answers and verdicts; 1 is what is
promised) and ratio (kinds / runs). Ends with 1 where two runs differ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent.parent))

from builder import persona
from builder.engine.stage import Job, Options
from builder.evaluation import examination
from builder.gates.table import GATES
from builder.stages import smoke

RUNS, QUICK_RUNS = 20, 2


def promised(examined: dict[str, Any]) -> list[Any]:
    """Pick what must be the same every time: every answer, and every verdict with its count."""
    answers = [
        [one[key] for key in ("messages", "seed", "answer", "ended", "is_right")]
        for one in examined["asked"]
    ]
    return [
        answers,
        [[gate["gate"], gate["verdict"], gate["right"], gate["of"]] for gate in examined["gates"]],
    ]


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
    root = options.root.resolve()
    job = Job(
        persona.read(root / "personas" / options.name),
        root / "build" / options.name,
        root / "Modelfile.j2",
        Options(),
    )
    runs = QUICK_RUNS if options.quick else RUNS
    found = []
    for run in range(runs):
        for kept in ("answers.json", "distances.json"):
            (job.build / ".cache" / kept).unlink(missing_ok=True)
        with mock.patch("builder.llama._threads", lambda _path, threads=run % 2 + 1: threads):
            found.append(examination.examine(smoke.gather(job), GATES, options.share).as_json())
    kinds = {hashlib.sha256(json.dumps(promised(one)).encode()).hexdigest() for one in found}
    result = {
        "runs": runs,
        "answers": len(found[0]["asked"]),
        "kinds": len(kinds),
        "ratio": len(kinds) / runs,
    }
    print(
        json.dumps(result)
        if options.json
        else f"{runs} runs of {result['answers']} answers, with 1 and 2 threads: {len(kinds)} kind of answers and verdicts"
    )
    return int(len(kinds) > 1)


if __name__ == "__main__":
    sys.exit(main())
