"""What a built persona knows of itself in wordings that nothing was chosen by.

Run as: .venv/bin/python benchmarks/unseen.py [--json] [--quick] [--root FOLDER] [NAME]

The questions of unseen.jsonl were written before any answer to them had been seen. No row, setting
or limit of this project was ever chosen by them, and none may be: whoever tunes by them writes
others first. `--json` prints one object a gate and language: gate, language, right, of, interval,
ratio (right / of), wrong (question and answer).
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from builder import examined
from builder.data.questions import Question, parse
from builder.data.texts import normalise
from builder.evaluation import subject
from builder.evaluation.statistics import wilson
from builder.gates import leak_in, recall
from builder.llama import Model
from builder.project import Build, Project

GATES = {"recall": recall, "leak_in": leak_in}
QUESTIONS = Path(__file__).with_name("unseen.jsonl")


def measure(build: Build, *, quick: bool) -> list[dict[str, Any]]:
    """Ask every question that the persona was not trained on, greedily."""
    about = subject.describe(examined.Examined(**examined.declare(build)).source())
    asked = [
        (gate, question)
        for gate, question in read_questions()
        if question.language in about.languages and normalise(question.text) not in about.trained
    ]
    model, results = Model(build.gguf), []
    for (gate, language), group in itertools.groupby(
        asked, key=lambda pair: (pair[0], pair[1].language)
    ):
        questions = [question for _, question in group][: 5 if quick else None]
        wrong = []
        for question in questions:
            answer = model.ask(about.serve(question).as_messages(), about.max_tokens)
            if not GATES[gate].is_right(about, question, answer):
                wrong.append([question.text, answer.text])
        of = len(questions)
        right = of - len(wrong)
        results.append(
            {
                "gate": gate,
                "language": language,
                "right": right,
                "of": of,
                "interval": wilson(right, of),
                "ratio": right / of,
                "wrong": wrong,
            }
        )
    return results


def read_questions() -> list[tuple[str, Question]]:
    """Read the questions, each with the gate that judges its answer."""
    found = []
    for number, text in enumerate(QUESTIONS.read_text("utf-8").splitlines(), start=1):
        line = json.loads(text)
        gate, language = line.pop("gate"), line.pop("language")
        found.append((gate, parse(line, language, f"{QUESTIONS.name}:{number}")))
    return found


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", default="algieba")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="the project that holds build/NAME"
    )
    parser.add_argument("--quick", action="store_true", help="five questions of each")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    build = Project(options.root.resolve()).build(options.name)
    for result in measure(build, quick=options.quick):
        if options.json:
            print(json.dumps(result, ensure_ascii=False))
        else:
            low, high = result["interval"]
            right = f"{result['right']:>3} of {result['of']:<3}"
            name = f"{result['gate']:<8} {result['language']}"
            print(f"{name}  {right} {low:.2f} to {high:.2f}")


if __name__ == "__main__":
    main()
