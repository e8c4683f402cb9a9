"""What a training step takes on a GPU, captured and not, and what a whole build takes there.

Run as: python benchmarks/gpu.py [--quick] [--json] [--budget-s 570] [--only PART ...] [--layers 36]

Every part runs in a process of its own, and its failure stops no other; what each printed is in
`$OUT/gpu.log`, and what was found so far in `$OUT/gpu.json` (in a temporary folder without $OUT).

base: writes random weights of Qwen3-4B's shape (benchmarks/random_base.py).
step: 60 steps of 8 rows of algieba on it, in 4 bit and bfloat16. captured_ms, eager_ms and
sft_ms: milliseconds of a step of the captured loop, of the same loop without graphs, and of TRL's
SFTTrainer with this project's loss. prepare_s: capture and comparison. losses_equal of
losses: those of the captured loop that are the eager loop's to the digit; loss_difference: the
largest difference. peak_bytes, estimated_bytes: memory. flops: counted in one eager step;
share: of what products of 8192 x 8192 bfloat16 reach in the same run. padding: share of the tokens.
ladder: under memory limits that 8 rows do not fit, one of them a card of 6 GB, what was said, and
the difference of losses.
build: algieba on the embedded base, whole, with the seconds of every stage, and the waterfall.
second: luma and then keeper on it in one command; second_s: from keeper's rows to its adapter.
article: the article's recipe, Unsloth and SFTTrainer with 1 row x 8 and checkpointing; article_ms.
half: the captured loop in float16 with a scaler, 15 GB at most; losses_equal as above.
ratio: article_ms / captured_ms.
"""

# ruff: noqa: PLC0415 — each part imports in its own process what it measures
# ruff: noqa: BLE001 — whatever fails is told, and the next part runs

from __future__ import annotations

import argparse
import gc
import itertools
import json
import logging
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.gates import tables

ROWS, STEPS, QUICK_STEPS = 480, 60, 12
PARTS = ("base", "step", "build", "second", "article", "half")
BUILDS = {"build": ("algieba",), "second": ("luma", "keeper")}
TO_ADAPTER = ("base", "data", "render", "replay", "train")
LENIENT = f"\n[training]\nmax_steps = 8\n{tables.write_table('advice')}"
HALF_BYTES = 15e9
# A card of 6 GB, without what CUDA itself takes of it.
SIX_BYTES = 5.3e9


def read_conversations() -> list[Any]:
    """Read algieba's rows, as many as 60 steps take."""
    from builder import persona
    from builder.data import rows

    read = persona.read(ROOT / "personas" / "algieba")
    found = rows.read(read.data_files, read.manifest.data, read.manifest.identity)
    return [row.messages for row in found[:ROWS]]


def encode() -> list[Any]:
    """Encode algieba's rows."""
    from builder.bases import families, fetch
    from builder.bases.base import EMBEDDED, Base
    from builder.data.dataset import Example
    from builder.data.template import Template

    base = Base(EMBEDDED, "embedded", "benchmark", EMBEDDED, "benchmark", four_bit=False)
    template = Template(fetch.find_weights(base), "base", families.SMOLLM2)
    coded = [(messages, template.encode(messages)) for messages in read_conversations()]
    return [Example(messages, one.ids, one.labels()) for messages, one in coded]


def load(folder: Path, *, four_bit: bool, has_bf16: bool) -> tuple[Any, Any, Any]:
    """Load the base in the folder with a new adapter; give also its tokenizer and the machine."""
    from builder.bases import families
    from builder.bases.base import Base
    from builder.machine import find_machine
    from builder.manifest.training import Training
    from builder.training import loading
    from builder.training.settings import resolve

    machine = replace(find_machine(), has_bf16=has_bf16)
    chosen = Base(str(folder), "folder", "benchmark", str(folder), "benchmark", four_bit=four_bit)
    began_s = time.perf_counter()
    model, tokenizer = loading.load_base(chosen, machine)
    settings = resolve(Training(max_steps=STEPS, batch_size=8), families.SMOLLM2)
    settings = replace(settings, learning_rate=2e-4, learning_rate_ratio=1.0)
    model = loading.add_adapter(model, settings)
    print(f"loaded in {time.perf_counter() - began_s:.1f} s", flush=True)
    return model, tokenizer, settings


class Clock:
    """Notes when losses were read, in place of `progress.report`."""

    def __init__(self) -> None:
        from builder.training.speed import TRAINS

        self.what = TRAINS
        self.began_s = time.perf_counter()
        self.marks: list[tuple[int, float]] = []

    def __call__(self, what: str, done: int = 0, *_more: Any) -> None:
        """Note one report of the loop."""
        if what == self.what and done:
            self.marks.append((done, time.perf_counter()))

    def step_ms(self) -> float:
        """Give the milliseconds of a step, between the first reading and the last."""
        (first, began_s), (last, ended_s) = self.marks[0], self.marks[-1]
        return 1000 * (ended_s - began_s) / (last - first)


class Notes(logging.Handler):
    """Notes what the loop says, and prints it."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        logging.getLogger("builder").addHandler(self)
        logging.getLogger("builder").setLevel(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        """Note one line."""
        self.said.append(record.getMessage())
        print(self.said[-1], flush=True)


class Bench:
    """A model whose adapter is put back before each training."""

    def __init__(self, model: Any, settings: Any, dtype: Any, *, quick: bool) -> None:
        import torch

        self.torch, self.model, self.dtype = torch, model, dtype
        self.settings = replace(settings, max_steps=QUICK_STEPS if quick else STEPS)
        self.examples, self.notes = encode(), Notes()
        self.first = {
            name: weight.detach().clone()
            for name, weight in model.named_parameters()
            if weight.requires_grad
        }

    def restore(self) -> None:
        """Put the adapter's first weights back."""
        with self.torch.no_grad():
            for name, weight in self.model.named_parameters():
                if name in self.first:
                    weight.copy_(self.first[name])
        gc.collect()  # a loop that has failed is held by its traceback
        self.torch.cuda.empty_cache()

    def train(self, graphs: Any, steps: int | None = None) -> tuple[list[float], Clock, Any]:
        """Train by the captured loop; give the losses, the clock and the loop."""
        from builder import progress
        from builder.training import captured, loading

        self.restore()
        self.notes.said.clear()
        clock = Clock()
        captured.READ_EVERY_STEPS = 5
        execution = captured.Execution(
            graphs=graphs,
            dtype=self.dtype,
            recompute=lambda: loading.recompute_activations(self.model),
        )
        settings = replace(self.settings, max_steps=steps or self.settings.max_steps)
        loop = captured.Loop(self.model, self.examples, settings, 99, execution=execution)
        with (
            tempfile.TemporaryDirectory() as folder,
            mock.patch.object(progress, "report", clock),
        ):
            losses = loop.run(Path(folder) / "checkpoint")
        print(f"{type(loop.graphs).__name__}: {losses[0]:.4f} to {losses[-1]:.4f}", flush=True)
        return losses, clock, loop


def compare(losses: list[float], others: list[float]) -> dict[str, Any]:
    """Compare two trainings' losses."""
    pairs = list(zip(losses, others, strict=False))
    return {
        "losses": len(pairs),
        "losses_equal": sum(one == other for one, other in pairs),
        "loss_difference": max(abs(one - other) for one, other in pairs),
        "first_loss": losses[0],
        "last_loss": losses[-1],
    }


def attempt(name: str, found: dict[str, Any], measure: Any) -> None:
    """Run one measurement and save what it found; print what went wrong, and go on."""
    began_s = time.perf_counter()
    try:
        found.update(measure())
    except Exception:
        traceback.print_exc()
        found[f"{name}_failed"] = traceback.format_exc().strip().splitlines()[-1]
    print(f"{name}: {time.perf_counter() - began_s:.1f} s", flush=True)
    Path(os.environ["GPU_PART_RESULT"]).write_text(json.dumps(found))


def measure_step(folder: Path, *, quick: bool) -> None:
    """Measure the step in bfloat16."""
    import builder.training.unsloth  # noqa: F401 # isort: skip
    import torch

    gc.freeze()  # as a worker does

    from builder.training.graphs import CudaGraphs, Eager

    model, tokenizer, settings = load(folder, four_bit=True, has_bf16=True)
    bench = Bench(model, settings, torch.bfloat16, quick=quick)
    found: dict[str, Any] = {"gpu": torch.cuda.get_device_name()}
    losses: dict[str, list[float]] = {}

    def captured_step() -> dict[str, Any]:
        torch.cuda.reset_peak_memory_stats()
        began_s = time.perf_counter()
        losses["captured"], clock, loop = bench.train(CudaGraphs())
        ended_s = time.perf_counter()
        shapes = [[s.rows, s.tokens, s.slots] for s in loop.shapes.values()]
        step_ms = clock.step_ms()
        return {
            "was_captured": not isinstance(loop.graphs, Eager),
            "said": list(bench.notes.said),
            "captured_ms": step_ms,
            "captured_train_s": ended_s - began_s,
            "prepare_s": ended_s - began_s - step_ms * len(losses["captured"]) / 1000,
            "peak_bytes": torch.cuda.max_memory_allocated(),
            "reserved_bytes": torch.cuda.max_memory_reserved(),
            "shapes": shapes,
            **measure_padding(bench, loop),
        }

    def eager_step() -> dict[str, Any]:
        losses["eager"], clock, _ = bench.train(Eager())
        result = {"eager_ms": clock.step_ms()}
        return {**result, **compare(losses["captured"], losses["eager"])}

    attempt("captured", found, captured_step)
    attempt("eager", found, eager_step)
    attempt(
        "again",
        found,
        lambda: {"repeat": compare(losses["captured"], bench.train(CudaGraphs())[0])},
    )
    attempt("estimate", found, lambda: estimate(folder, bench))
    attempt("share", found, lambda: measure_share(bench, found))
    attempt("sft", found, lambda: measure_sft(bench, tokenizer))
    attempt("ladder", found, lambda: measure_ladder(bench, losses))


def measure_padding(bench: Bench, loop: Any) -> dict[str, Any]:
    """Say which part of the tokens of all steps is padding."""
    batches = list(loop.plan.list_batches())
    tokens = sum(len(bench.examples[row].input_ids) for batch in batches for row in batch.rows)
    padded = sum(loop.shapes[batch.length].rows * batch.length for batch in batches)
    return {
        "tokens_a_step": tokens / len(batches),
        "padded_tokens_a_step": padded / len(batches),
        "padding": 1 - tokens / padded,
    }


def estimate(folder: Path, bench: Bench) -> dict[str, Any]:
    """Estimate the memory as a build does before it loads the base."""
    from builder.training import footprint, shapes

    longest = shapes.choose_lengths([len(one.input_ids) for one in bench.examples])[-1]
    labels = max(sum(label >= 0 for label in one.labels) for one in bench.examples)
    shape = shapes.BatchShape(8, longest, 8 * labels)
    found = footprint.estimate(folder, rank=bench.settings.rank, four_bit=True, shape=shape)
    if found is None:
        return {}
    print(found.describe(bench.torch.cuda.mem_get_info()[0]))
    return {"estimated_bytes": found.total, "estimate": vars(found)}


def measure_share(bench: Bench, found: dict[str, Any]) -> dict[str, Any]:
    """Count the operations of an eager step, and compare their rate with that of large products."""
    from torch.utils.flop_counter import FlopCounterMode

    from builder.training import functions, shapes
    from builder.training.step import TrainingStep

    torch = bench.torch
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    times = []
    for _ in range(13):
        torch.cuda.synchronize()
        began_s = time.perf_counter()
        a @ b
        torch.cuda.synchronize()
        times.append(time.perf_counter() - began_s)
    rate = 2 * 8192**3 / statistics.median(times[3:])
    del a, b
    rows = [{"input_ids": one.input_ids, "labels": one.labels} for one in bench.examples]
    planned = shapes.plan_steps(
        [len(row["input_ids"]) for row in rows], bench.settings, bench.settings.max_steps
    )
    step = TrainingStep(bench.model, bench.settings, bench.dtype)
    functions.prepare(step)
    counted = {}
    for length, shape in shapes.find_shapes(planned, rows).items():
        batch = next(one for plan in planned for one in plan if one.length == length)
        step.fill(shape, [rows[row] for row in batch.rows])
        with FlopCounterMode(display=False, custom_mapping=count_attention()) as counter:
            step.accumulate(shape)
        counted[length] = counter.get_total_flops()
        step.clear()
    flops = statistics.mean(counted[batch.length] for plan in planned for batch in plan)
    reached = flops / found["captured_ms"] * 1000
    return {
        "flops": flops,
        "flops_by_length": counted,
        "tflops_of_products": rate / 1e12,
        "tflops_reached": reached / 1e12,
        "share": reached / rate,
    }


def count_attention() -> dict[Any, Any]:
    """Count attention also of fewer key heads than query heads, which torch 2.11 refuses."""
    import torch

    def forward(query: Any, key: Any, value: Any, *_more: Any, **_options: Any) -> int:
        rows, heads, tokens, width = query
        return int(2 * rows * heads * tokens * key[2] * (width + value[3]))

    def backward(_gradient: Any, query: Any, key: Any, value: Any, *_more: Any, **_o: Any) -> int:
        return forward(query, key, value) * 5 // 2  # five products in place of two

    found: dict[Any, Any] = {}
    for kind in ("flash", "efficient", "cudnn"):
        name = f"_scaled_dot_product_{kind}_attention"
        found[getattr(torch.ops.aten, name)] = forward
        found[getattr(torch.ops.aten, f"{name}_backward")] = backward
    return found


def measure_sft(bench: Bench, tokenizer: Any) -> dict[str, Any]:
    """Measure TRL's trainer with this project's loss and batches."""
    import datasets
    from transformers import TrainerCallback
    from trl import SFTConfig

    from builder.training.batches import pad
    from builder.training.trainer import PersonaTrainer

    marks: list[float] = []

    class Marks(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_arguments: Any, **_options: Any) -> None:
            bench.torch.cuda.synchronize()
            marks.append(time.perf_counter())

    bench.restore()
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            output_dir=folder,
            per_device_train_batch_size=8,
            gradient_accumulation_steps=1,  # 2 where Unsloth has its own default
            max_steps=bench.settings.max_steps,
            learning_rate=bench.settings.learning_rate,
            warmup_steps=bench.settings.warmup_steps,
            weight_decay=bench.settings.weight_decay,
            lr_scheduler_type="linear",
            optim="adamw_8bit",
            gradient_checkpointing=False,
            seed=bench.settings.seed,
            bf16=True,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
            dataset_kwargs={"skip_prepare_dataset": True},
        )
        table = [{"input_ids": one.input_ids, "labels": one.labels} for one in bench.examples]
        trainer = PersonaTrainer(
            model=bench.model,
            processing_class=tokenizer,
            args=arguments,
            train_dataset=datasets.Dataset.from_list(table),
            data_collator=pad,
            callbacks=[Marks()],
            learning_rate_ratio=1.0,
        )
        trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    between = [1000 * (two - one) for one, two in itertools.pairwise(marks)]
    return {"sft_ms": statistics.median(between), "sft_last_loss": losses[-1]}


def measure_ladder(bench: Bench, losses: dict[str, list[float]]) -> dict[str, Any]:
    """Train under limits that the batch does not fit, and compare with what fits."""
    from builder.training.graphs import CudaGraphs

    torch = bench.torch
    total = torch.cuda.get_device_properties(0).total_memory
    result: dict[str, Any] = {}
    bench.restore()
    held = torch.cuda.memory_allocated()
    limits = {"halved": held + 3.2e9, "recomputed": held + 0.85e9, "six": SIX_BYTES}
    for name, limit in limits.items():
        bench.restore()
        torch.cuda.set_per_process_memory_fraction(limit / total)
        try:
            found, _, _ = bench.train(CudaGraphs(), steps=6)
            result[name] = {"said": list(bench.notes.said), **compare(found, losses["eager"])}
        except Exception as error:
            traceback.print_exc()
            result[name] = {"said": list(bench.notes.said), "failed": str(error)[:300]}
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
    return {"ladder": result}


def measure_half(folder: Path, *, quick: bool) -> None:
    """Measure the captured step in float16, the memory limited to a T4's."""
    import builder.training.unsloth  # noqa: F401 # isort: skip
    import torch

    gc.freeze()  # as a worker does

    from builder.training.graphs import CudaGraphs, Eager

    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, HALF_BYTES / total))
    model, _, settings = load(folder, four_bit=True, has_bf16=False)
    bench = Bench(model, settings, torch.float16, quick=quick)
    found: dict[str, Any] = {}
    losses: dict[str, list[float]] = {}

    def captured_step() -> dict[str, Any]:
        losses["captured"], clock, loop = bench.train(CudaGraphs(), steps=20)
        return {
            "was_captured": not isinstance(loop.graphs, Eager),
            "said": list(bench.notes.said),
            "captured_ms": clock.step_ms(),
            "scale": loop.step.scaler.get_scale(),
            "peak_bytes": torch.cuda.max_memory_allocated(),
        }

    def eager_step() -> dict[str, Any]:
        found_losses, clock, _ = bench.train(Eager(), steps=20)
        return {"eager_ms": clock.step_ms(), **compare(losses["captured"], found_losses)}

    attempt("captured", found, captured_step)
    attempt("eager", found, eager_step)


def measure_article(folder: Path, *, quick: bool) -> None:
    """Measure a step of the article's recipe."""
    from benchmarks import article

    found: dict[str, Any] = {}
    marks: list[float] = []

    def mark() -> None:
        marks.append(time.perf_counter())
        between = [two - one for one, two in itertools.pairwise(marks[1:])]
        if between:
            attempt("step", found, lambda: {"article_ms": 1000 * statistics.median(between)})

    model, tokenizer = article.load(folder)
    texts = [tokenizer.decode(one.input_ids) for one in encode()]
    with tempfile.TemporaryDirectory() as temporary:
        steps = 4 if quick else 9
        trainer = article.make_trainer(
            model, tokenizer, texts, Path(temporary), steps=steps, on_step=mark
        )
        attempt("train", found, lambda: {"steps": trainer.train().global_step})


def build(names: tuple[str, ...], *, quick: bool, limit_s: float, log: Path) -> dict[str, Any]:
    """Build personas on the embedded base by one command; give the seconds of every stage."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copy(ROOT / "Modelfile.j2", folder)
        for name in names:
            shutil.copytree(ROOT / "personas" / name, folder / "personas" / name)
            if quick:
                make_lenient(folder / "personas" / name / "persona.toml")
        began_s = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": search_path(), "COLUMNS": "200", "NO_COLOR": "1"}
        command = [sys.executable, "-m", "builder"]
        process = subprocess.Popen(
            [*command, "build", *names, "--base", "smollm2-135m-instruct"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        timer = threading.Timer(limit_s, process.terminate)
        timer.start()
        lines = []
        with log.open("w") as file:
            for line in process.stdout or ():
                lines.append(line.rstrip())
                said = f"{time.perf_counter() - began_s:6.1f}  {lines[-1]}"
                print(said, flush=True)
                print(said, file=file, flush=True)
        timer.cancel()
        code = process.wait()
        took_s = time.perf_counter() - began_s
        for path in sorted(folder.glob("build/*/logs/*.log")):
            text = path.read_text(errors="replace")
            if code:
                print(f"--- {path.name}", *text.splitlines()[-25:], sep="\n")
            with log.open("a") as file:
                file.write(f"--- {path.name}\n{text}\n")
        found: dict[str, Any] = {"exit_code": code, "build_s": took_s, "stages": read_times(folder)}
        last = found["stages"].get(names[-1], {})
        if len(names) > 1:
            found["second_s"] = sum(last.get(stage, 0.0) for stage in TO_ADAPTER)
        else:
            times = subprocess.run(
                [*command, "why", "--times", *names],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            print(times.stdout, flush=True)
    return found


def make_lenient(manifest: Path) -> None:
    """Let a persona train for a few steps and pass."""
    text = re.sub(r"\[\[?(smoke|gates).*?(?=\n\[|\Z)", "", manifest.read_text(), flags=re.DOTALL)
    manifest.write_text(text + LENIENT)


def read_times(folder: Path) -> dict[str, dict[str, float]]:
    """Read the seconds of every stage of every build in a project."""
    return {
        build.name: {
            stamp.stem: json.loads(stamp.read_text())["took_s"]
            for stamp in sorted(build.glob(".stamps/*.json"))
        }
        for build in sorted(folder.glob("build/*"))
    }


def search_path() -> str:
    """Give the search path of a process that imports this project."""
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))


def run_part(
    name: str, options: argparse.Namespace, *, limit_s: float, work: Path
) -> dict[str, Any]:
    """Run a part in a process of its own; give what it found, however it ended."""
    log, result = work / f"{name}.log", work / f"{name}.json"
    if name in BUILDS:
        return build(BUILDS[name], quick=options.quick, limit_s=limit_s, log=log)
    command = [sys.executable, __file__, "--part", name, "--base", str(options.base)]
    if name == "base":
        script = str(ROOT / "benchmarks" / "random_base.py")
        command = [sys.executable, script, str(options.base), "--layers", str(options.layers)]
    environment = {
        **os.environ,
        "PYTHONPATH": search_path(),
        "PYTHONUNBUFFERED": "1",
        "GPU_PART_RESULT": str(result),
    }
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, *(["--quick"] if options.quick and name != "base" else [])],
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
    if code:
        print(f"--- {name} ended with {code}", *log.read_text().splitlines()[-40:], sep="\n")
    found: dict[str, Any] = json.loads(result.read_text()) if result.exists() else {}
    return {**found, "exit_code": code}


def run_all(options: argparse.Namespace, work: Path, out: Path) -> dict[str, Any]:
    """Run every part within the budget; what was found is written after each."""
    began_s = time.perf_counter()
    found: dict[str, Any] = {}
    for name in options.only or PARTS:
        left_s = options.budget_s - (time.perf_counter() - began_s)
        # Room for the article's recipe, with its import and load.
        reserve_s = 90 if name == "build" and not options.only else 0
        part_s = time.perf_counter()
        if left_s - reserve_s < 20:
            found[name] = {"left_out": f"{left_s:.0f} s are left"}
            continue
        try:
            found[name] = run_part(name, options, limit_s=left_s - reserve_s, work=work)
        except Exception:
            traceback.print_exc()
            found[name] = {"failed": traceback.format_exc().strip().splitlines()[-1]}
        found[name]["part_s"] = time.perf_counter() - part_s
        print(f"{name}: {json.dumps(found[name])}", flush=True)
        (out / "gpu.json").write_text(json.dumps(found, indent=1))
        if (work / f"{name}.log").exists():
            with (out / "gpu.log").open("a") as file:
                file.write(f"=== {name}\n{(work / f'{name}.log').read_text(errors='replace')}\n")
    captured_ms = found.get("step", {}).get("captured_ms")
    article_ms = found.get("article", {}).get("article_ms")
    if captured_ms and article_ms:
        found["ratio"] = article_ms / captured_ms
    (out / "gpu.json").write_text(json.dumps(found, indent=1))
    return found


def main() -> None:
    """Run the parts, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--budget-s", type=float, default=570)
    parser.add_argument("--only", nargs="+", choices=PARTS)
    parser.add_argument("--layers", type=int, default=36)
    parser.add_argument("--base", type=Path, help="a folder that `--only base` has written")
    parser.add_argument("--part", choices=("step", "article", "half"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    measures = {"step": measure_step, "article": measure_article, "half": measure_half}
    if options.part:
        measures[options.part](options.base, quick=options.quick)
        return
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(os.environ.get("OUT", temporary))
        options.base = options.base or Path(temporary) / "base"
        found = run_all(options, Path(temporary), out)
    if options.json:
        print(json.dumps(found))
        return
    for name, values in found.items():
        if not isinstance(values, dict):
            print(f"{name:<28} {values:.4g}")
            continue
        for key, value in values.items():
            shown = f"{value:.4g}" if isinstance(value, float) else value
            print(f"{name + ' ' + key:<28} {shown}")


if __name__ == "__main__":
    main()
