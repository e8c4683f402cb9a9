"""What a built persona knows of itself in wordings that nothing was chosen by.

Run as: .venv/bin/python benchmarks/unseen.py [--json] [--quick] [--root FOLDER] [NAME]

The questions of unseen.jsonl were written before any answer to them had been seen. No row, setting or limit of this
project was ever chosen by them, and none may be: whoever tunes by them writes others first. `--json` prints one object
a gate and language: gate, language, right, of, interval, ratio (right / of), wrong (question and answer).
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from builder import persona
from builder.data.questions import parse
from builder.data.texts import normalise
from builder.engine.stage import Job, Options
from builder.evaluation import subject
from builder.evaluation.statistics import wilson
from builder.gates import leak_in, recall
from builder.llama import Model
from builder.stages import smoke

GATES = {"recall": recall, "leak_in": leak_in}
QUESTIONS = Path(__file__).with_name("unseen.jsonl")


def measure(job: Job, *, quick: bool) -> list[dict[str, Any]]:
    """Ask every question that the persona was not trained on, greedily."""
    about, model = subject.describe(smoke.gather(job)), Model(job.gguf)
    lines = [json.loads(line) for line in QUESTIONS.read_text().splitlines()]
    asked = [(line.pop("gate"), parse(line, QUESTIONS.name)) for line in lines]
    asked = [
        (gate, question)
        for gate, question in asked
        if normalise(question.text) not in about.trained
    ]
    results = []
    for (gate, language), group in itertools.groupby(
        asked, key=lambda pair: (pair[0], pair[1].language)
    ):
        questions = [question for _, question in group][: 5 if quick else None]
        answers = [
            model.ask(about.serve(question).as_messages(), about.max_tokens)
            for question in questions
        ]
        right = [
            GATES[gate].is_right(about, question, answer)
            for question, answer in zip(questions, answers, strict=True)
        ]
        wrong = [
            [question.text, answer.text]
            for question, answer, ok in zip(questions, answers, right, strict=True)
            if not ok
        ]
        interval = wilson(sum(right), len(right))
        results.append(
            {
                "gate": gate,
                "language": language,
                "right": sum(right),
                "of": len(right),
                "interval": interval,
                "ratio": sum(right) / len(right),
                "wrong": wrong,
            }
        )
    return results


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
    root = options.root.resolve()
    job = Job(
        persona.read(root / "personas" / options.name),
        root / "build" / options.name,
        root / "Modelfile.j2",
        Options(),
    )
    for result in measure(job, quick=options.quick):
        if options.json:
            print(json.dumps(result, ensure_ascii=False))
        else:
            low, high = result["interval"]
            print(
                f"{result['gate']:<8} {result['language']}  {result['right']:>3} of {result['of']:<3} {low:.2f} to {high:.2f}"
            )


if __name__ == "__main__":
    main()
