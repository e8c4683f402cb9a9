"""What replay is worth: recall, leaks and retention by the share of the base's own answers, over several seeds.

Run as: .venv/bin/python benchmarks/replay.py [--quick] [--json] [--persona FOLDER] [--ratios 0 0.25 0.5 1] [--seeds 1 2 3] [--at-once N]

Trains algieba, or the persona of a folder (`benchmarks/small/` holds three of twenty rows), on the embedded base with PEFT and
this project's own batch and loss, on a GPU where there is one, and asks the live model the gates' whole table in batches.
A ratio is of the answers in an epoch to the distinct rows. Where more answers are wanted than there are, they come again; a
build would rather take fewer, and takes more than its share for few rows. `--json` prints one object a run: persona, ratio,
replayed, distinct (of those), seed, learning_rate, passes, batch_size, steps, recall_en, recall_zh, clean (share of unrelated
answers without its name), retention, base_retention, stop.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import multiprocessing
import os
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from transformers import AutoModelForCausalLM, get_linear_schedule_with_warmup

sys.path.insert(0, str(Path(__file__).parent.parent))

from builder import base, conversation, live, persona, rows, weights
from builder.gates import leak_in, questions, recall, retention, stop, subject
from builder.gates.subject import Subject
from builder.llama import Answer
from builder.stages import replay
from builder.stages.data import is_held_out
from builder.stages.train import LINEAR_LAYERS
from builder.training import next_token_loss, pad

MAX_TOKENS = 64


class Bench:
    """The base, its template and a persona's rows, loaded once."""

    def __init__(self, folder: Path) -> None:
        gpus = torch.cuda.device_count()
        self.device = f"cuda:{os.getpid() % gpus}" if gpus else "cpu"
        self.folder = weights.find_weights(base.Base(base.EMBEDDED, "embedded", "benchmark", base.EMBEDDED, "benchmark", four_bit=False))
        self.family = base.family_of(base.EMBEDDED)
        self.template = conversation.Template(self.folder, "base", self.family)
        self.persona = persona.read(folder)
        read = rows.read(self.persona)
        kept = [row for row in read if not is_held_out(row, self.persona.manifest.data.held_out)]
        self.rows = [self.encode(row.messages) for row in kept]
        self.subject = self.find_subject(read)

    def find_subject(self, read: list[rows.Row]) -> Subject:
        """Describe the persona as the gates need it."""
        trained = frozenset(rows.normalise(row.messages[-2]["content"]) for row in read)
        identity, limits = self.persona.manifest.identity, self.persona.manifest.gates
        given = {language: identity.placeholders(language) for language in ("en", "zh")}
        names, authors = ({language: values[key] for language, values in given.items()} for key in ("name", "author"))
        languages = subject.find_languages([row.messages[-1]["content"] for row in read], names, authors)
        return Subject(names, authors, self.family.identity_words, trained, languages, tuple(self.template.special), {}, MAX_TOKENS, limits)

    def encode(self, messages: list[dict[str, str]]) -> dict[str, list[int]]:
        """Encode one conversation."""
        coded = self.template.encode(messages)
        return {"input_ids": coded.ids, "labels": coded.labels()}

    def load(self) -> Any:
        """Load the base anew."""
        return AutoModelForCausalLM.from_pretrained(self.folder, dtype=torch.float32).to(self.device)

    def ask(self, model: Any, asked: list[questions.Question], max_tokens: int) -> list[Answer]:
        """Answer questions, with text."""
        return live.answer(model.eval(), self.template, [question.as_messages() for question in asked], max_tokens)

    def replay(self, model: Any, share: float) -> list[dict[str, list[int]]]:
        """Let the base answer the replay prompts, or a share of them, as the replay stage does."""
        asked = questions.part(questions.load("replay"), share)
        pairs = replay.choose(asked, self.ask(model, asked, replay.MAX_TOKENS))
        kept = replay.leave_out(pairs, (*self.subject.own_words, *self.family.identity_words, *self.template.special))
        return [self.encode([{"role": "user", "content": pair["ask"]}, {"role": "assistant", "content": pair["answer"]}]) for pair in kept]

    def train(self, replayed: list[dict[str, list[int]]], *, seed: int, rate: float, passes: float, batch_size: int) -> tuple[Any, int]:
        """Train an adapter; return the model and its number of steps."""
        torch.manual_seed(seed)
        numbers, family = self.persona.manifest.training, self.family
        model = get_peft_model(self.load(), LoraConfig(r=numbers.rank, lora_alpha=family.alpha, target_modules=list(LINEAR_LAYERS)))
        times, epochs = family.divide_passes(len(self.rows), passes)
        rows_now = self.rows * times + replayed
        steps = int(epochs * len(rows_now) / batch_size)
        optimizer = create_loraplus_optimizer(model, torch.optim.AdamW, lr=rate, loraplus_lr_ratio=family.learning_rate_ratio, loraplus_weight_decay=numbers.weight_decay)
        schedule = get_linear_schedule_with_warmup(optimizer, numbers.warmup_steps, steps)
        order = itertools.chain.from_iterable(iter(lambda: torch.randperm(len(rows_now)).tolist(), None))
        for _ in range(steps):
            batch = {key: value.to(self.device) for key, value in pad([rows_now[index] for index in itertools.islice(order, batch_size)]).items()}
            next_token_loss(model, batch).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        return model, steps

    def measure(self, model: Any, share: float) -> dict[str, float]:
        """Ask the gates' table, or a share of it, and give the share that is right."""
        figures: dict[str, float] = {}
        ends: list[bool] = []
        for gate in (recall, leak_in, retention):
            asked = gate.ask(self.subject, share)
            answers = self.ask(model, asked, MAX_TOKENS)
            right = [gate.is_right(self.subject, question, answer) for question, answer in zip(asked, answers, strict=True)]
            ends += [stop.is_right(self.subject, question, answer) for question, answer in zip(asked, answers, strict=True)]
            if gate is recall:
                for language in self.subject.languages:
                    figures[f"recall_{language}"] = statistics.mean(ok for ok, question in zip(right, asked, strict=True) if question.language == language)
            else:
                figures["clean" if gate is leak_in else "retention"] = statistics.mean(right)
        return {**figures, "stop": statistics.mean(ends)}


@functools.cache
def _bench(folder: Path) -> Bench:
    """Load everything once a process."""
    return Bench(folder)


def _ask_base(folder: Path, share: float) -> tuple[dict[str, float], list[dict[str, list[int]]]]:
    """Give the base's own figures, and its answers to train on."""
    bench = _bench(folder)
    untrained = bench.load()
    return bench.measure(untrained, share), bench.replay(untrained, share)


def _run(ratio: float, seed: int, options: argparse.Namespace, base_figures: dict[str, float], answers: list[dict[str, list[int]]]) -> dict[str, Any]:
    """Train and measure one combination."""
    bench = _bench(options.persona)
    rate, batch_size = options.rate or bench.family.learning_rate, options.batch_size or bench.family.batch_size
    passes = options.passes or bench.family.passes_over(len(bench.rows))
    replayed = list(itertools.islice(itertools.cycle(answers), round(ratio * len(bench.rows))))
    model, steps = bench.train(replayed, seed=seed, rate=rate, passes=passes, batch_size=batch_size)
    given = {"learning_rate": rate, "passes": passes, "batch_size": batch_size, "steps": steps}
    counted = {"replayed": len(replayed), "distinct": min(len(replayed), len(answers))}
    return {"persona": options.persona.name, "ratio": ratio, **counted, "seed": seed, **given, **bench.measure(model, options.share), "base_retention": base_figures["retention"]}


def main() -> None:
    """Train and measure each combination, and print a table of means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two ratios, one seed, half a pass, an eighth of the table")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--persona", type=Path, default=Path(__file__).parent.parent / "personas" / "algieba", metavar="FOLDER")
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.0, 0.1, 0.25, 0.5, 1.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rate", type=float)
    parser.add_argument("--passes", type=float)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--at-once", type=int, default=1, help="processes, spread over the GPUs there are")
    options = parser.parse_args()
    options.share = 1.0
    if options.quick:
        options.ratios, options.seeds, options.passes, options.share = [0.0, 0.5], [1], 0.5, 0.125
    results = []
    with ProcessPoolExecutor(options.at_once, multiprocessing.get_context("spawn")) as pool:
        of_base = pool.submit(_ask_base, options.persona, options.share).result()
        # The longest first, so that none is left running alone.
        runs = [pool.submit(_run, ratio, seed, options, *of_base) for ratio in sorted(options.ratios, reverse=True) for seed in options.seeds]
        for run in as_completed(runs):
            results.append(run.result())
            if options.json:
                print(json.dumps(results[-1]), flush=True)
    if not options.json:
        _print_table(sorted(results, key=lambda result: (result["ratio"], result["seed"])))


def _print_table(results: list[dict[str, Any]]) -> None:
    names = ("recall_en", "recall_zh", "clean", "retention", "base_retention", "stop")
    names = tuple(name for name in names if name in results[0])
    print(f"{'ratio':>6} {'rows':>6} {'steps':>6} " + " ".join(f"{name:>14}" for name in names))
    for ratio in dict.fromkeys(result["ratio"] for result in results):
        mine = [result for result in results if result["ratio"] == ratio]
        print(f"{ratio:>6} {mine[0]['replayed']:>6} {mine[0]['steps']:>6} " + " ".join(f"{statistics.mean(result[name] for result in mine):>14.3f}" for name in names))


if __name__ == "__main__":
    main()
