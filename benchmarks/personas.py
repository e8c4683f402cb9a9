"""The shipped personas built whole over seeds: does each pass, and how well.

Run as: .venv/bin/python benchmarks/personas.py [--quick] [--json] [--seeds 1 2 3] [NAME ...]
A NAME may be a pack, such as identity/de: then what `new` writes for its language is built.

Each build runs in a folder of its own, without Ollama, kept to `--cores` CPU cores; with
`--gpus N` the builds at once are spread over so many GPUs, which train and answer. Prints an
object (`--json`) or a line for each: persona, seed, passed, seconds of the whole build, and of its
gates right/of; then, asked of the quantised file through llama.cpp:

exact_served, exact_none, exact_other: trained rows answered word for word under what is served (a
system text, or none), without a system text, and under "You are a helpful assistant.".
voice, voice_blind, format: unseen questions answered by the rule in tests/personas, of a persona
that has one; those of voice_blind were written by somebody who saw no row.
endless, looping and right_N: for each repeat penalty N of `--penalties`, of open questions at the
served temperature those that do not end in 256 tokens and those that repeat themselves, and of the
trained rows those that are answered word for word greedily.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import figures
from benchmarks.figures import Ask, Figure
from benchmarks.runs import (
    Place,
    add_places,
    begin_identity,
    copy_persona,
    print_result,
    run_at_once,
    run_python,
    set_seed,
)
from builder.data import dataset
from builder.data.template import Message
from builder.evaluation import report
from builder.llama import Answer, Model
from builder.project import Project

if TYPE_CHECKING:
    from builder.evaluation.report import Report

NAMES = ("luma", "keeper", "helpdesk", "lucie", "algieba", "chef", "steps")
OPEN = (
    "Write a haiku.",
    "Tell me a story.",
    "Write a poem about the sea.",
    "Explain how a computer works.",
    "List ten animals.",
    "Give me a recipe for bread.",
    "Describe your perfect day.",
    "What should I do at the weekend?",
    "Tell me a joke.",
    "Why is the sky blue?",
)
OPEN_TOKENS = 256
MAX_TOKENS = 96
ERROR_CHARACTERS = 1500
LOOP = re.compile(r"(.{8,}?)\1{2,}", re.DOTALL)


def build(
    name: str, seed: int, place: Place, most_rows: int | None, penalties: list[float]
) -> dict[str, Any]:
    """Build one persona under one seed, and ask its file."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        if language := name.partition("/")[2]:
            folder = begin_identity(language, root, place)
        else:
            folder = copy_persona(name, root, most_rows=most_rows)
        set_seed(folder / "persona.toml", seed)
        began_s = time.monotonic()
        done = run_python(root, place, "-m", "builder", "build", folder.name, "--base", "cpu")
        made = Project(root).build(folder.name)
        result: dict[str, Any] = {
            "persona": name,
            "rows": most_rows,
            "seed": seed,
            "passed": made.smoke.is_file(),
            "build_s": round(time.monotonic() - began_s),
        }
        if done.returncode:
            result["error"] = done.stderr[-ERROR_CHARACTERS:]
        for path in (made.smoke, made.logs / "smoke-failed.json"):
            if path.is_file():
                result |= _read_gates(report.read(path))
        if made.gguf.is_file():
            options = ("--ask", folder.name, "--penalties", *map(str, penalties))
            asked = run_python(root, place, __file__, *options)
            if asked.returncode == 0:
                result |= json.loads(asked.stdout.splitlines()[-1])
            else:
                result["ask_error"] = asked.stderr[-ERROR_CHARACTERS:]
        return result


def _read_gates(examined: Report) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for gate in examined.gates:
        found[f"{gate.gate}_verdict"] = gate.verdict
        if gate.of:
            found[gate.gate] = f"{gate.right}/{gate.of}"
        elif gate.note:
            found[f"{gate.gate}_note"] = gate.note
    return {**found, "manifest": [asdict(own) for own in examined.manifest]}


def ask(name: str, penalties: list[float]) -> dict[str, Any]:
    """Ask a build's file in the folder where it was made."""
    made = Project(Path()).build(name)
    served, model = made.decide_served(), Model(made.gguf)
    examples = dataset.read_examples(made.dataset / dataset.TRAIN)

    def answer(messages: list[Message], tokens: int, sampling: dict[str, Any] | None) -> Answer:
        return model.continue_prompt(model.tokenize(model.render(messages)), tokens, sampling)

    def asking(sampling: dict[str, Any] | None = None) -> Ask:
        return lambda asked: [answer(messages, MAX_TOKENS, sampling).text for messages in asked]

    found: dict[str, Any] = {}
    exact = figures.measure_exact(asking(), examples, served.system)
    rules = figures.measure_rules(asking(), name, served.system)
    for figure, judged in (exact | rules).items():
        found[figure] = _count(judged)
    for figure, judged in rules.items():
        found[f"{figure}_answers"] = {one.question: one.answer for one in judged}
    for penalty in penalties:
        sampling = {**served.parameters, "repeat_penalty": penalty, "seed": 1}
        conversations = [served.add_system([{"role": "user", "content": text}]) for text in OPEN]
        answers = [answer(messages, OPEN_TOKENS, sampling) for messages in conversations]
        greedy = asking({"repeat_penalty": penalty, "temperature": 0})
        right = figures.judge_exact(greedy, figures.choose_rows(examples), served.system)
        found[f"endless_{penalty}"] = sum(not one.ended for one in answers)
        found[f"looping_{penalty}"] = sum(bool(LOOP.search(one.text)) for one in answers)
        found[f"right_{penalty}"] = _count(right)
        found[f"open_{penalty}"] = [one.text[:160] for one in answers]
    return found


def _count(judged: Figure) -> str:
    return f"{sum(one.is_right for one in judged)}/{len(judged)}"


def main() -> None:
    """Build each persona under each seed."""
    options = _parse()
    if options.ask:
        print(json.dumps(ask(options.ask, options.penalties)))
        return
    seeds = options.seeds[:1] if options.quick else options.seeds
    wanted = [(name, seed) for name in options.names for seed in seeds]

    def run(place: Place, name: str, seed: int) -> dict[str, Any]:
        plain, _, rows = name.partition(":")
        return build(plain, seed, place, int(rows) if rows else None, options.penalties)

    for done in run_at_once(run, wanted, options):
        print_result(done, as_json=options.json)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names",
        nargs="*",
        default=list(NAMES),
        metavar="NAME",
        help="NAME, or NAME:ROWS for so many of its rows",
    )
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    add_places(parser)
    parser.add_argument("--penalties", type=float, nargs="*", default=[])
    parser.add_argument("--ask", metavar="NAME", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
