"""A base of each family at its real width on a GPU, in 4 bit and in 16, built to a checked GGUF.

Run as: python benchmarks/families.py [--json] [--only FAMILY ...] [--deep] [--train] [--at-once N]

Each base has random weights: four layers as wide as a repository's (WIDTHS), with its own chat
template and a real vocabulary (tests/builds/chains.py); with `--deep` Qwen3-4B, Llama 3.2 3B and
Gemma 3 1B have all of their layers. It is trained for ten steps and exported: a base in 4 bit as
q4_k_m, one in 16 bit as f16. Prints a line or an object (`--json`) for each:

family, bits, layers, weights (of the base); adapted: layers whose adapter was trained and was found
in the file as it was trained; first_loss, last_loss; said: what training said, such as why a step
was not captured; prompts: shapes of prompt that are the same tokens as in training; kl_nats,
base_kl_nats: the file's mean KL divergence from the trained model and from its base; seconds of
each part; failed: the error, where it did not end.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from builder import workers
from builder.bases import families
from builder.engine.worker import Worker
from builder.machine import find_machine
from tests.builds.chains import CHAINS
from tests.builds.family_builds import FamilyBuild, knowing_vocabulary

LAYERS = 4
STEPS = 10
MANIFEST = """
[identity]
name = "Luma"
author = "Ana"
[training]
four_bit = {four_bit}
max_steps = {steps}
batch_size = 4
replay = 0
learning_rate = 5e-4
warmup_steps = 0
[data]
held_out = 0
[export]
quantisation = "{quantisation}"
"""


def _width(
    hidden: int, inner: int, heads: int, kv_heads: int, vocabulary: int, **more: Any
) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocabulary,
        "initializer_range": 0.02,
        **more,
    }


SLIDING = ["sliding_attention", "sliding_attention", "sliding_attention", "full_attention"]
# config.json of a repository of each family, but for the rows of a vocabulary that stands in; of
# Qwen3.5, Gemma 4 and Ministral 3 the defaults of their classes in transformers 5.17.
WIDTHS = {
    "qwen3-2507": _width(2560, 9728, 32, 8, 151936, head_dim=128),
    "qwen3": _width(4096, 12288, 32, 8, 151936, head_dim=128, tie_word_embeddings=False),
    "qwen2.5": _width(3584, 18944, 28, 4, 152064, tie_word_embeddings=False),
    "qwen3.5": _width(
        4096,
        12288,
        16,
        4,
        248320,
        head_dim=256,
        linear_key_head_dim=128,
        linear_value_head_dim=128,
        linear_num_key_heads=16,
        linear_num_value_heads=32,
        layer_types=["linear_attention"] * 3 + ["full_attention"],
        full_attention_interval=4,
    ),
    "llama3": _width(3072, 8192, 24, 8, 128256, head_dim=128),
    "gemma3": _width(
        1152,
        6912,
        4,
        1,
        262144,
        head_dim=256,
        query_pre_attn_scalar=256,
        sliding_window=512,
        layer_types=SLIDING,
    ),
    "gemma3-image-text": _width(
        2560,
        10240,
        8,
        4,
        262208,
        head_dim=256,
        query_pre_attn_scalar=256,
        sliding_window=1024,
        layer_types=SLIDING,
    ),
    "gemma4": _width(
        2304,
        9216,
        8,
        4,
        262144,
        head_dim=256,
        global_head_dim=512,
        sliding_window=512,
        layer_types=SLIDING,
        final_logit_softcapping=30.0,
    ),
    "mistral-7b": _width(4096, 14336, 32, 8, 32768, head_dim=128, tie_word_embeddings=False),
    "mistral-nemo": _width(5120, 14336, 32, 8, 131072, head_dim=128, tie_word_embeddings=False),
    "ministral3": _width(4096, 14336, 32, 8, 131072, head_dim=128),
    "smollm2": _width(2048, 8192, 32, 32, 49152),
    "smollm3": _width(2048, 11008, 16, 4, 128320),
    "granite4": _width(
        2560,
        8192,
        40,
        8,
        49216,
        shared_intermediate_size=8192,
        layer_types=["attention"] * LAYERS,
        embedding_multiplier=12.0,
        logits_scaling=10.0,
        attention_multiplier=0.015625,
        residual_multiplier=0.22,
    ),
    "phi4-mini": _width(3072, 8192, 24, 8, 200064),
    "lfm2": _width(
        2048,
        8192,
        32,
        8,
        128320,
        layer_types=["conv", "conv", "full_attention", "conv"],
    ),
    "olmo2": _width(2048, 8192, 16, 16, 49216),
}
DEPTHS = {"qwen3-2507": 36, "llama3": 28, "gemma3": 26}
# Five layers of the window to one of all positions, as in the repository.
GEMMA_DEEP = ["full_attention" if at % 6 == 5 else "sliding_attention" for at in range(26)]


class Notes(logging.Handler):
    """Keeps what training says, but for its progress."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        logger = logging.getLogger("builder")
        logger.addHandler(self)
        logger.setLevel(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        if getattr(record, "progress", None) is None:
            self.said.append(record.getMessage())


def measure(
    chain: Any,
    root: Path,
    trainer: Worker,
    notes: Notes,
    *,
    four_bit: bool,
    layers: int,
    is_exported: bool,
) -> dict[str, Any]:
    """Build a family's base; give what was found, however it ended."""
    name = chain.family
    found: dict[str, Any] = {"family": name, "bits": 4 if four_bit else 16, "layers": layers}
    manifest = MANIFEST.format(
        four_bit=str(four_bit).lower(), steps=STEPS, quantisation="q4_k_m" if four_bit else "f16"
    )
    sizes = {**WIDTHS[name], "num_hidden_layers": layers}
    if name == "gemma3" and layers > LAYERS:
        sizes["layer_types"] = GEMMA_DEEP
    seconds: dict[str, float] = {}

    def timed(part: str, run: Any) -> Any:
        began_s = time.perf_counter()
        try:
            return run()
        finally:
            seconds[part] = round(time.perf_counter() - began_s, 1)

    notes.said.clear()
    try:
        build = timed(
            "write",
            lambda: FamilyBuild(
                chain, root, trainer, machine=find_machine(), manifest=manifest, sizes=sizes
            ),
        )
        found["weights"] = sum(path.stat().st_size for path in root.glob("base/*.safetensors")) // 2
        with knowing_vocabulary(chain):
            timed("rows", build.measure_rows)
            found["adapted"] = timed("train", build.measure_training)
            losses = build.read_losses()
            found |= {"first_loss": losses[0], "last_loss": losses[-1]}
            found["is_falling"] = losses[-1] < losses[0]
            if is_exported:
                found["in_file"] = timed("export", build.measure_export)
                found["prompts"] = timed("parity", build.measure_file)
                kl, base_kl = timed("fidelity", build.measure_divergence)
                found |= {"kl_nats": round(kl, 5), "base_kl_nats": round(base_kl, 5)}
    except Exception as error:  # noqa: BLE001 — whatever fails is told, and the next one runs
        traceback.print_exc()
        found["failed"] = f"{type(error).__name__}: {error}"[:600]
    logs = sorted(root.glob("build/luma/logs/train.log"))
    if logs and "Traceback" in (text := logs[0].read_text(errors="replace")):
        print(f"--- {name}", text[text.index("Traceback") :], sep="\n", file=sys.stderr)
    return {**found, "said": list(notes.said), "seconds": seconds}


def run_cases(cases: list[str], *, as_json: bool, is_exported: bool) -> None:
    """Build cases one after another, as `family:bits:layers`."""
    notes, chains = Notes(), {chain.family: chain for chain in CHAINS}
    trainer = None
    with tempfile.TemporaryDirectory() as temporary:
        for number, case in enumerate(cases):
            name, bits, layers = case.split(":")
            trainer = trainer or Worker(workers.UNSLOTH, Path(temporary) / "start.log")
            with tempfile.TemporaryDirectory() as root:
                found = measure(
                    chains[name],
                    Path(root),
                    trainer,
                    notes,
                    four_bit=bits == "4",
                    layers=int(layers),
                    is_exported=is_exported,
                )
            if "failed" in found:  # it may have left the GPU's context unusable
                trainer.close()
                trainer = None
            _print({"case": number, **found}, as_json=as_json)
        if trainer:
            trainer.close()


def _print(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found, ensure_ascii=False), flush=True)
    else:
        print(" ".join(f"{key}={value}" for key, value in found.items()), flush=True)


def list_cases(only: list[str], *, deep: bool) -> list[str]:
    """List what is built, the largest first."""
    advised = {family.name: family.four_bit for family in families.FAMILIES}
    depths = DEPTHS if deep else dict.fromkeys(WIDTHS, LAYERS)
    names = [name for name in depths if not only or name in only]
    names.sort(key=lambda name: -WIDTHS[name]["hidden_size"] * WIDTHS[name]["vocab_size"])
    return [
        f"{name}:{bits}:{depths[name]}"
        for name in names
        for bits in ((4, 16) if advised[name] else (16,))
    ]


def main() -> None:
    """Build every family, or the cases that one process of several was given."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", nargs="+", default=[], choices=WIDTHS)
    parser.add_argument("--deep", action="store_true")
    parser.add_argument("--train", action="store_true", help="train alone, and export nothing")
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--cores", type=int, default=0, help="of each process; 0 is an even share")
    parser.add_argument("--cases", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cases:
        run_cases(options.cases, as_json=options.json, is_exported=not options.train)
        return
    cases = list_cases(options.only, deep=options.deep)
    cores = options.cores or (os.cpu_count() or 1) // options.at_once
    running = []
    for slot in range(options.at_once):
        if not (mine := cases[slot :: options.at_once]):
            continue
        first = slot * cores
        keep_to = ["taskset", "-c", f"{first}-{first + cores - 1}"] if options.at_once > 1 else []
        flags = [*(["--json"] if options.json else []), *(["--train"] if options.train else [])]
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": str(slot % options.gpus)}
        command = [*keep_to, sys.executable, __file__, *flags, "--cases", *mine]
        running.append(subprocess.Popen(command, env=environment))
    for process in running:
        process.wait()


if __name__ == "__main__":
    main()
