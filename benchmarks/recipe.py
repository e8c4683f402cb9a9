"""What epochs, the base's answers, greetings and the system text are worth, by persona and seed.

Run as: .venv/bin/python benchmarks/recipe.py [--quick] [--json] [--plan NAME ...] [--seeds 1 2 3]

Each plan varies one or two settings of some personas; `--list` names them. A run prepares the rows
by the project's own stages, trains the embedded base with PEFT and this project's batch and loss,
on a GPU where there is one, and asks the in-memory model. The base answers nothing here: what it
answered comes with the project. `--json` prints one object a run: plan, persona, seed, the settings
that were varied, steps, and the figures:

exact_served, exact_none, exact_other: share of trained rows answered word for word under what is
served (a system text, or none), without a system text, and under one that a client may send.
recall, clean, retention, greeting, stop: as the gates of these names, under the served system text.
json_served, json_none: share of other questions answered in JSON, where the data's replies are.
voice, voice_blind, format: share of unseen questions answered by the rule in tests/personas, of a
persona that has one; those of voice_blind were written by somebody who saw no row.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from transformers import AutoModelForCausalLM, get_linear_schedule_with_warmup

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import figures
from benchmarks.figures import OTHER_SYSTEM, add_system
from benchmarks.runs import copy_persona, run_stage
from builder import examined
from builder.bases import base, fetch
from builder.data import dataset, questions
from builder.data import replay as replayed
from builder.data.questions import Question
from builder.data.template import Message, Template
from builder.data.texts import is_json
from builder.evaluation import subject
from builder.gates import greeting, leak_in, recall, retention, stop
from builder.llama import Answer
from builder.machine import Machine
from builder.project import Build, Options, Project
from builder.stages import base as base_stage
from builder.stages import data, replay
from builder.training import generate
from builder.training.batches import pad
from builder.training.loss import next_token_loss
from builder.training.settings import resolve
from builder.training.target_modules import find_target_modules

MAX_TOKENS = 64
COURTESY_SHARE = replayed.COURTESY_SHARE
SYSTEM = "You are a friendly assistant. Answer in one short sentence."
# The base's answers are those that come with the project, whatever the machine.
CPU = Machine("cpu", "for a benchmark", has_bf16=False)
# By plan: the personas, and the settings that are varied, each list crossed with the others.
PLANS: dict[str, tuple[list[str], dict[str, list[Any]]]] = {
    "voice": (["keeper", "chef"], {"epochs": [6, 9, 12, 18], "replay": [0.0, 0.1]}),
    "format": (["helpdesk", "steps"], {"epochs": [9, 12, 18]}),
    "format-system": (["helpdesk"], {"system_share": [0.0, 0.25, 0.5, 0.75, 1.0]}),
    "format-replay": (["helpdesk", "steps"], {"replay": [0.1]}),
    "system": (["luma", "algieba"], {"system": [SYSTEM], "system_share": [0.0, 0.5, 1.0]}),
    "courtesy": (["luma", "lucie", "algieba"], {"courtesy": [0.0, 1 / 3]}),
    "rows": (["luma", "keeper", "chef", "helpdesk", "steps"], {"rows": [10, 16, 24]}),
    "identity": (["luma", "lucie"], {"epochs": [12, 18], "replay": [0.0, 0.1]}),
}
TRAINING = ("epochs", "replay", "system_share")
GIVEN = ("plan", "persona", "rows", *TRAINING, "courtesy")


class Bench:
    """A persona prepared under some settings, and the means to train and ask it."""

    def __init__(self, name: str, settings: dict[str, Any], root: Path) -> None:
        gpus = torch.cuda.device_count()
        self.device = f"cuda:{os.getpid() % gpus}" if gpus else "cpu"
        copy_persona(name, root, most_rows=settings.get("rows"))
        self.build = _read_build(name, settings, root)
        self.build.folder.mkdir(parents=True)
        replayed.COURTESY_SHARE = settings.get("courtesy", COURTESY_SHARE)
        for stage in (base_stage, data, replay):
            run_stage(stage, self.build, root / "scratch" / stage.NAME, CPU)
        chosen, manifest = self.build.read_base(), self.build.persona.manifest
        self.template = Template(self.build.base, manifest.data.template, chosen.family)
        self.weights = fetch.find_weights(chosen)
        self.numbers = resolve(manifest.training, chosen.family)
        declared = examined.Examined(**examined.declare(self.build))
        self.subject = subject.describe(declared.source())
        self.trained = dataset.read_examples(self.build.dataset / dataset.TRAIN)

    def train(self, seed: int) -> tuple[Any, int]:
        """Train an adapter; return the model and its number of steps."""
        torch.manual_seed(seed)
        numbers = self.numbers
        plain = AutoModelForCausalLM.from_pretrained(self.weights, dtype=torch.float32)
        plain = plain.to(self.device)
        config = LoraConfig(
            r=numbers.rank, lora_alpha=numbers.alpha, target_modules=find_target_modules(plain)
        )
        model = get_peft_model(plain, config)
        examples = dataset.repeat(self.trained) + dataset.read_examples(self.build.replay)
        epochs = dataset.read_schedule(self.build.dataset).epochs
        steps = int(epochs * len(examples) / numbers.batch_size)
        optimizer = create_loraplus_optimizer(
            model,
            torch.optim.AdamW,
            lr=numbers.learning_rate,
            loraplus_lr_ratio=numbers.learning_rate_ratio,
            loraplus_weight_decay=numbers.weight_decay,
        )
        schedule = get_linear_schedule_with_warmup(optimizer, numbers.warmup_steps, steps)
        shuffled = iter(lambda: torch.randperm(len(examples)).tolist(), None)
        order = itertools.chain.from_iterable(shuffled)
        for _ in range(steps):
            some = [examples[index] for index in itertools.islice(order, numbers.batch_size)]
            batch = pad([{"input_ids": row.input_ids, "labels": row.labels} for row in some])
            there = {key: value.to(self.device) for key, value in batch.items()}
            next_token_loss(model, there).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        return model, steps

    def measure(self, model: Any) -> dict[str, float]:
        """Ask everything that applies to the persona."""

        def ask(conversations: list[list[Message]]) -> list[Answer]:
            return generate.answer(model.eval(), self.template, conversations, MAX_TOKENS)

        def ask_texts(conversations: list[list[Message]]) -> list[str]:
            return [answer.text for answer in ask(conversations)]

        name, system = self.build.name, self.subject.system
        counted = figures.measure_exact(ask_texts, self.trained, system)
        counted |= figures.measure_rules(ask_texts, name, system)
        shares = {
            figure: statistics.mean(one.is_right for one in judged)
            for figure, judged in counted.items()
        }
        return {**shares, **self._measure_gates(ask), **self._measure_json(ask_texts)}

    def _measure_gates(self, ask: Any) -> dict[str, float]:
        about, shares, ends = self.subject, {}, []
        for gate in (recall, leak_in, retention, greeting):
            asked = [about.serve(question) for question in gate.questions(about, 1.0)]
            if not asked:
                continue
            answers = ask([question.as_messages() for question in asked])
            right = [
                gate.is_right(about, question, answer)
                for question, answer in zip(asked, answers, strict=True)
            ]
            ends += [stop.is_right(about, answer) for answer in answers]
            shares["clean" if gate is leak_in else gate.NAME] = statistics.mean(right)
            if gate is recall:
                shares |= _by_language(asked, right)
        return {**shares, "stop": statistics.mean(ends)}

    def _measure_json(self, ask: figures.Ask) -> dict[str, float]:
        if not self.subject.is_json:
            return {}
        others = [one for one in questions.load(leak_in.NAME) if one.language == "en"]
        systems = {"served": self.subject.system, "none": None, "other": OTHER_SYSTEM}
        shares = {}
        for view, text in systems.items():
            answers = ask([add_system(question.as_messages(), text) for question in others])
            shares[f"json_{view}"] = statistics.mean(map(is_json, answers))
        return shares


def _read_build(name: str, settings: dict[str, Any], root: Path) -> Build:
    """Read a persona under some settings, on the embedded base."""
    build = Project(root).build(name, Options(base=base.EMBEDDED))
    manifest = build.persona.manifest
    training = {key: settings[key] for key in TRAINING if key in settings}
    update: dict[str, Any] = {
        "training": manifest.training.model_copy(update={**training, "four_bit": False})
    }
    if "system" in settings:
        update["ollama"] = manifest.ollama.model_copy(update={"system": settings["system"]})
    changed = manifest.model_copy(update=update)
    read = build.persona.model_copy(update={"manifest": changed})
    return replace(build, persona=read)


def _by_language(asked: list[Question], right: list[bool]) -> dict[str, float]:
    languages = sorted({question.language for question in asked})
    return {
        f"recall_{language}": statistics.mean(
            ok for ok, question in zip(right, asked, strict=True) if question.language == language
        )
        for language in languages
    }


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
    options = _parse()
    if options.list:
        for plan, (names, axes) in PLANS.items():
            print(f"{plan:<14} {', '.join(names)}: {axes}")
        return
    wanted = _list_runs(options.plan, options.seeds, quick=options.quick)
    results = []
    with ProcessPoolExecutor(options.at_once, multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(run, *one) for one in wanted]):
            results.append(done.result())
            if options.json:
                print(json.dumps(results[-1]), flush=True)
    if not options.json:
        _print_table(results)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="the first combination of each plan, one seed"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--list", action="store_true", help="name the plans")
    parser.add_argument("--plan", nargs="+", default=list(PLANS), choices=PLANS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument(
        "--at-once", type=int, default=1, help="processes, spread over the GPUs there are"
    )
    return parser.parse_args()


def _list_runs(
    plans: list[str], seeds: list[int], *, quick: bool
) -> list[tuple[str, str, dict[str, Any], int]]:
    """List what is run, the longest first, so that none is left running alone."""
    wanted = []
    for plan in plans:
        names, axes = PLANS[plan]
        crossed = [
            dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())
        ]
        for settings in crossed[:1] if quick else crossed:
            some = seeds[:1] if quick else seeds
            wanted += [(plan, name, settings, seed) for name in names for seed in some]
    return sorted(wanted, key=lambda one: one[1] != "algieba")


def _print_table(results: list[dict[str, Any]]) -> None:
    groups: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        title = " ".join(f"{key}={result[key]}" for key in GIVEN if key in result)
        groups.setdefault(title, []).append(result)
    for title, group in sorted(groups.items()):
        shown = [key for key in group[0] if key not in (*GIVEN, "seed", "steps")]
        means = ", ".join(
            f"{key} {statistics.mean(one[key] for one in group):.3f}" for key in shown
        )
        print(f"{title}: {group[0]['steps']} steps, {means}")


if __name__ == "__main__":
    main()
