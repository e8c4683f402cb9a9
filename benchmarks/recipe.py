"""What epochs, the base's answers, greetings and the system text are worth, by persona and seed.

Run as: .venv/bin/python benchmarks/recipe.py [--quick] [--json] [--plan NAME ...] [--seeds 1 2 3] [--at-once N]

Each plan varies one or two settings of some personas; `--list` names them. A run prepares the rows
by the project's own stages, trains the embedded base with PEFT and this project's batch and loss, on
a GPU where there is one, and asks the live model. The base answers nothing here: what it answered
comes with the project. `--json` prints one object a run: plan, persona, seed, the settings that were
varied, steps, and the figures:

exact_served, exact_none, exact_other: share of trained rows answered word for word under the served
system text, without one, and under another one that a client may send.
recall, clean, retention, greeting, stop: as the gates of these names, under the served system text.
json_served, json_none: share of other questions answered in JSON, where the data's replies are.
voice: share of unseen questions answered in the keeper's voice, by the rule in tests/data/keeper.json.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from transformers import AutoModelForCausalLM, get_linear_schedule_with_warmup

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from builder import persona
from builder.bases import base, fetch
from builder.data import dataset, rows
from builder.data.template import Template
from builder.data.texts import is_json
from builder.engine.stage import Job, Options
from builder.evaluation import questions as gate_questions
from builder.evaluation import subject
from builder.evaluation.questions import Question
from builder.evaluation.subject import Subject
from builder.gates import greeting, leak_in, recall, retention, stop
from builder.llama import Answer
from builder.stages import base as base_stage
from builder.stages import data, replay
from builder.training import generate
from builder.training.batches import pad
from builder.training.loss import next_token_loss
from builder.training.targets import find_targets

MAX_TOKENS = 64
EXACT_ROWS = 40
COURTESY_SHARE = replay.COURTESY_SHARE
OTHER_SYSTEM = "You are a helpful assistant."
SYSTEM = "You are a friendly assistant. Answer in one short sentence."
# By plan: the personas, and the settings that are varied, each list crossed with the others.
PLANS: dict[str, tuple[list[str], dict[str, list[Any]]]] = {
    "voice": (["keeper"], {"epochs": [6, 9, 12, 18], "replay": [0.0, 0.1]}),
    "format": (["helpdesk"], {"epochs": [9, 12, 18], "system_share": [0.0, 0.25, 0.5, 0.75, 1.0]}),
    "format-replay": (["helpdesk"], {"replay": [0.1]}),
    "system": (["luma", "algieba"], {"system": [SYSTEM], "system_share": [0.0, 0.5, 1.0]}),
    "courtesy": (["luma", "lucie", "algieba"], {"courtesy": [0.0, 1 / 3]}),
    "rows": (["luma", "keeper", "helpdesk"], {"rows": [10, 16, 24]}),
    "identity": (["luma", "lucie"], {"epochs": [12, 18], "replay": [0.0, 0.1]}),
}


class Bench:
    """A persona prepared under some settings, and the means to train and ask it."""

    def __init__(self, name: str, settings: dict[str, Any], folder: Path) -> None:
        gpus = torch.cuda.device_count()
        self.device = f"cuda:{os.getpid() % gpus}" if gpus else "cpu"
        shutil.copytree(ROOT / "personas" / name, folder / "personas" / name)
        read = persona.read(folder / "personas" / name)
        training = {
            key: settings[key] for key in ("epochs", "replay", "system_share") if key in settings
        }
        manifest = read.manifest
        update: dict[str, Any] = {
            "training": manifest.training.model_copy(update={**training, "four_bit": False})
        }
        if "system" in settings:
            update["ollama"] = manifest.ollama.model_copy(update={"system": settings["system"]})
        read = read.model_copy(update={"manifest": manifest.model_copy(update=update)})
        self.job = Job(
            read,
            folder / "build" / name,
            ROOT / "Modelfile.j2",
            Options(base=base.EMBEDDED),
            folder,
        )
        self.job.build.mkdir(parents=True)
        base_stage.run(self.job, self.job.base)
        data.collect = functools.partial(_collect_some, settings.get("rows"))
        data.run(self.job, self.job.dataset)
        replay.COURTESY_SHARE = settings.get("courtesy", COURTESY_SHARE)
        replay.run(self.job, self.job.replay)
        chosen = base.read(self.job.base)
        self.family = chosen.family
        self.template = Template(self.job.base, manifest.data.template, self.family)
        self.weights = fetch.find_weights(chosen)
        self.profile = dataset.read_profile(self.job.dataset)
        self.subject = subject.read(self.job)
        self.trained = dataset.read_examples(self.job.dataset / dataset.TRAIN)

    def train(self, seed: int) -> tuple[Any, int]:
        """Train an adapter; return the model and its number of steps."""
        torch.manual_seed(seed)
        numbers, family = self.job.persona.manifest.training, self.family
        plain = AutoModelForCausalLM.from_pretrained(self.weights, dtype=torch.float32).to(
            self.device
        )
        config = LoraConfig(
            r=numbers.rank, lora_alpha=family.alpha, target_modules=find_targets(plain)
        )
        model = get_peft_model(plain, config)
        examples = dataset.repeat(self.trained) + dataset.read_examples(self.job.replay)
        steps = int(self.profile.schedule.epochs * len(examples) / family.batch_size)
        optimizer = create_loraplus_optimizer(
            model,
            torch.optim.AdamW,
            lr=family.learning_rate,
            loraplus_lr_ratio=family.learning_rate_ratio,
            loraplus_weight_decay=numbers.weight_decay,
        )
        schedule = get_linear_schedule_with_warmup(optimizer, numbers.warmup_steps, steps)
        shuffled = iter(lambda: torch.randperm(len(examples)).tolist(), None)
        order = itertools.chain.from_iterable(shuffled)
        for _ in range(steps):
            some = [examples[index] for index in itertools.islice(order, family.batch_size)]
            batch = pad([{"input_ids": row.input_ids, "labels": row.labels} for row in some])
            next_token_loss(
                model, {key: value.to(self.device) for key, value in batch.items()}
            ).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        return model, steps

    def measure(self, model: Any) -> dict[str, float]:
        """Ask everything that applies to the persona."""
        about, figures, ends = self.subject, {}, []

        def ask(conversations: list[list[dict[str, str]]]) -> list[Answer]:
            return generate.answer(model.eval(), self.template, conversations, MAX_TOKENS)

        distinct = {repr(plain): plain for plain in map(_without_system, self.trained)}
        some = list(distinct.values())[:: -(-len(distinct) // EXACT_ROWS)]
        systems = {
            "none": None,
            "other": OTHER_SYSTEM,
            **({"served": about.system} if about.system else {}),
        }
        for view, text in systems.items():
            answers = ask([_with_system(row[:-1], text) for row in some])
            same = [
                answer.text.strip() == row[-1]["content"]
                for answer, row in zip(answers, some, strict=True)
            ]
            figures[f"exact_{view}"] = statistics.mean(same)
        for gate in (recall, leak_in, retention, greeting):
            asked = [about.serve(question) for question in gate.ask(about, 1.0)]
            if not asked:
                continue
            answers = ask([question.as_messages() for question in asked])
            right = [
                gate.is_right(about, question, answer)
                for question, answer in zip(asked, answers, strict=True)
            ]
            ends += [
                stop.is_right(about, question, answer)
                for question, answer in zip(asked, answers, strict=True)
            ]
            figures["clean" if gate is leak_in else gate.NAME] = statistics.mean(right)
            if gate is recall:
                figures |= _by_language(asked, right)
        others = [
            question for question in gate_questions.load("leak_in") if question.language == "en"
        ]
        if about.is_json:
            for view, text in systems.items():
                answers = ask([_with_system(question.as_messages(), text) for question in others])
                figures[f"json_{view}"] = statistics.mean(
                    is_json(answer.text) for answer in answers
                )
        if self.job.persona.name == "keeper":
            figures["voice"] = _judge_voice(about, ask)
        return {**figures, "stop": statistics.mean(ends)}


def _collect_some(most: int | None, read: persona.Persona) -> tuple[list[rows.Row], list[str]]:
    """Read a persona's rows, or so many of them from the whole of its data."""
    found, problems = rows.collect(read)
    if most is None or most >= len(found):
        return found, problems
    return [found[index * len(found) // most] for index in range(most)], problems


def _judge_voice(about: Subject, ask: Any) -> float:
    from tests.personas.voice import is_in_voice  # noqa: PLC0415 — the rule lies beside the tests

    asked = json.loads((ROOT / "tests" / "personas" / "keeper.json").read_text())["questions"]
    answers = ask([about.serve(Question((("user", text),), "en")).as_messages() for text in asked])
    return statistics.mean(is_in_voice(answer.text) for answer in answers)


def _by_language(asked: list[Question], right: list[bool]) -> dict[str, float]:
    languages = sorted({question.language for question in asked})
    return {
        f"recall_{language}": statistics.mean(
            ok for ok, question in zip(right, asked, strict=True) if question.language == language
        )
        for language in languages
    }


def _without_system(example: dataset.Example) -> list[dict[str, str]]:
    return example.messages[1:] if example.has_system else example.messages


def _with_system(messages: list[dict[str, str]], text: str | None) -> list[dict[str, str]]:
    return [{"role": "system", "content": text}, *messages] if text else messages


def run(plan: str, name: str, settings: dict[str, Any], seed: int) -> dict[str, Any]:
    """Train and measure one combination."""
    torch.set_num_threads(1) if torch.cuda.is_available() else None
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(name, settings, Path(folder))
        model, steps = bench.train(seed)
        shown = {key: value for key, value in settings.items() if key != "system"}
        return {
            "plan": plan,
            "persona": name,
            **shown,
            "seed": seed,
            "steps": steps,
            **bench.measure(model),
        }


def main() -> None:
    """Train and measure each combination, and print a table of means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="the first combination of each plan, one seed"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--plan", nargs="+", default=list(PLANS), choices=PLANS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument(
        "--at-once", type=int, default=1, help="processes, spread over the GPUs there are"
    )
    options = parser.parse_args()
    if options.list:
        for plan, (names, axes) in PLANS.items():
            print(f"{plan:<14} {', '.join(names)}: {axes}")
        return
    wanted = []
    for plan in options.plan:
        names, axes = PLANS[plan]
        crossed = [
            dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())
        ]
        for settings in crossed[:1] if options.quick else crossed:
            seeds = options.seeds[:1] if options.quick else options.seeds
            wanted += [(plan, name, settings, seed) for name in names for seed in seeds]
    wanted.sort(
        key=lambda one: one[1] != "algieba"
    )  # the longest first, so that none is left running alone
    results = []
    with ProcessPoolExecutor(options.at_once, multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(run, *one) for one in wanted]):
            results.append(done.result())
            if options.json:
                print(json.dumps(results[-1]), flush=True)
    if not options.json:
        _print_table(results)


def _print_table(results: list[dict[str, Any]]) -> None:
    given = ("plan", "persona", "rows", "epochs", "replay", "system_share", "courtesy")
    groups: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        groups.setdefault(
            " ".join(f"{key}={result[key]}" for key in given if key in result), []
        ).append(result)
    for title, group in sorted(groups.items()):
        figures = [key for key in group[0] if key not in (*given, "seed", "steps")]
        means = ", ".join(
            f"{key} {statistics.mean(one[key] for one in group):.3f}" for key in figures
        )
        print(f"{title}: {group[0]['steps']} steps, {means}")


if __name__ == "__main__":
    main()
