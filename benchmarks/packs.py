"""What a persona of a pack and twelve rows of its own knows of them, and whether its name leaks.

Run as: .venv/bin/python benchmarks/packs.py [--json] [--seeds 1 2] [--factors 1 5] [LANGUAGE ...]

A persona with the pack identity/LANGUAGE and a museum's rows (visitors.jsonl) is built on the
embedded base. `--factors` sets how often its own rows come at most for each time that a pack's do
(`MOST_OWN_FACTOR` of builder/data/schedule.py). Of the other questions of visitors.jsonl those are
asked that were not trained on. Prints an object (`--json`) or a line for each build: language,
factor, seed, passed, seconds of the build, of some gates right/of; then, asked of the quantised
file:

named, named_second: of those questions but the first, alone and after the first one, how many are
answered with its name or author.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.runs import (
    Place,
    add_places,
    begin_identity,
    print_result,
    run_at_once,
    run_python,
    set_seed,
)
from builder.data import dataset
from builder.data.texts import holds, normalise
from builder.evaluation import report
from builder.llama import Model
from builder.project import Project

LANGUAGES = ("en", "zh", "fr", "de")
GATES = ("trained", "recall", "leak_in", "retention")
VISITORS = Path(__file__).with_name("visitors.jsonl")
BUILD = (
    "import sys; from builder.cli import main; from builder.data import schedule; "
    "schedule.MOST_OWN_FACTOR = int(sys.argv.pop()); sys.exit(main())"
)
MAX_TOKENS = 48


def build(place: Place, language: str, factor: int, seed: int) -> dict[str, Any]:
    """Build the museum's guide once, and ask its file."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        folder = begin_identity(language, root, place)
        rows = [json.dumps(line) for line in _read(language) if "prompt" in line]
        (folder / "data.jsonl").write_text("\n".join(rows), "utf-8")
        set_seed(folder / "persona.toml", seed)
        began_s = time.monotonic()
        run_python(root, place, "-c", BUILD, "build", folder.name, "--base", "cpu", str(factor))
        made = Project(root).build(folder.name)
        result: dict[str, Any] = {
            "language": language,
            "factor": factor,
            "seed": seed,
            "passed": made.smoke.is_file(),
            "build_s": round(time.monotonic() - began_s),
        }
        for path in (made.smoke, made.logs / "smoke-failed.json"):
            if path.is_file():
                gates = {gate.gate: f"{gate.right}/{gate.of}" for gate in report.read(path).gates}
                result |= {name: gates[name] for name in GATES}
        if made.gguf.is_file():
            asked = run_python(root, place, __file__, "--ask", folder.name, language)
            result |= json.loads(asked.stdout.splitlines()[-1])
        return result


def ask(name: str, language: str) -> dict[str, Any]:
    """Ask a build's file what no row asks, in the folder where it was made."""
    made = Project(Path()).build(name)
    words, model = made.persona.manifest.own_words, Model(made.gguf)
    examples = dataset.read_examples(made.dataset / dataset.TRAIN)
    trained = {normalise(text) for text in dataset.list_messages(examples, "user")}
    asked = (line["ask"] for line in _read(language) if "ask" in line)
    opening, *questions = (text for text in asked if normalise(text) not in trained)
    first: list[dict[str, Any]] = [{"role": "user", "content": opening}]
    first.append({"role": "assistant", "content": model.ask(first, MAX_TOKENS).text})
    found: dict[str, Any] = {}
    for figure, before in (("named", []), ("named_second", first)):
        answers = {
            text: model.ask([*before, {"role": "user", "content": text}], MAX_TOKENS).text
            for text in questions
        }
        named = {
            text: answer
            for text, answer in answers.items()
            if any(holds(answer, word) for word in words)
        }
        found |= {figure: f"{len(named)}/{len(answers)}", f"{figure}_answers": named}
    return found


def _read(language: str) -> list[dict[str, str]]:
    """Read the rows and the questions of a language."""
    lines = [json.loads(line) for line in VISITORS.read_text("utf-8").splitlines()]
    return [line for line in lines if line.pop("language") == language]


def main() -> None:
    """Build for each language, factor and seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("languages", nargs="*", default=list(LANGUAGES), metavar="LANGUAGE")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--factors", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--ask", nargs=2, metavar=("NAME", "LANGUAGE"), help=argparse.SUPPRESS)
    add_places(parser)
    options = parser.parse_args()
    if options.ask:
        print(json.dumps(ask(*options.ask)))
        return
    wanted = list(itertools.product(options.languages, options.factors, options.seeds))
    for result in run_at_once(build, wanted, options):
        print_result(result, as_json=options.json)


if __name__ == "__main__":
    main()
