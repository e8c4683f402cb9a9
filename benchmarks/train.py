"""How near the training step on a CPU comes to its limit, and what packing, plain attention, bfloat16 and compiled layers gain.

Run as: .venv/bin/python benchmarks/train.py [--quick] [--json] [--avx2]

The limit is 4 x parameters x tokens floating-point operations (forward, and backward to the adapters) at the
rate of an fp32 product of 512 x 576 x 1536, measured in the same run. `--json` prints one object: gflops,
tokens, limit_s, packed_s, padded_s, bf16_s (with plain attention), fused_s (bfloat16 with torch's fused
attention), part_of_limit (limit_s / packed_s), ratio (padded_s / packed_s), fused_ratio (fused_s / bf16_s),
bf16_ratio (packed_s / bf16_s), compile_s (the first time on a machine), compiled_s (what is trained here, compiled),
compiled_part_of_limit (limit_s / compiled_s), compiled_ratio (bf16_s or packed_s / compiled_s), compile_steps (in so
many compiling has paid), loss_difference, bf16_loss_difference and compiled_loss_difference; what bfloat16 would say is
null on a processor that does not compute it. `--avx2` keeps torch to what an older processor computes: AVX2, and no
bfloat16.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
os.environ.update(
    CUDA_VISIBLE_DEVICES="",
    UNSLOTH_DISABLE_STATISTICS="1",
    UNSLOTH_COMPILE_LOCATION=tempfile.mkdtemp(),
    TORCHINDUCTOR_CACHE_DIR=tempfile.mkdtemp(),
)
IS_AVX2 = "--avx2" in sys.argv  # torch and its libraries read these as they are imported
if IS_AVX2:
    os.environ.update(
        ATEN_CPU_CAPABILITY="avx2", MKL_ENABLE_INSTRUCTIONS="AVX2", ONEDNN_MAX_CPU_ISA="AVX2"
    )

import unsloth  # noqa: F401 — must come before what it patches

import torch  # isort: skip
from unsloth import FastLanguageModel

from builder import persona
from builder.bases import fetch
from builder.bases.base import EMBEDDED, Base
from builder.bases.families import family_of
from builder.data import rows
from builder.data.template import Template
from builder.machine import find_accelerator
from builder.training.batches import Row, pack, pad
from builder.training.compiling import compile_layers
from builder.training.loss import next_token_loss
from builder.training.targets import find_targets

BASE = Base(EMBEDDED, "embedded", "benchmark", EMBEDDED, "benchmark", four_bit=False)
ROWS = 8


def measure_gflops() -> float:
    """Measure the rate of an fp32 product."""
    a, b = torch.randn(512, 576), torch.randn(576, 1536)
    rates = []
    for _ in range(50):
        began = time.perf_counter()
        a @ b
        rates.append(2 * 512 * 576 * 1536 / (time.perf_counter() - began) / 1e9)
    return statistics.median(rates)


def load(dtype: torch.dtype, attention: str) -> Any:
    """Load the embedded base with a new adapter, as the train stage does, with one of transformers' ways to attention."""
    folder = fetch.find_weights(BASE)
    model, _ = FastLanguageModel.from_pretrained(
        str(folder),
        max_seq_length=1024,
        dtype=dtype,
        load_in_4bit=False,
        attn_implementation=attention,
    )
    return FastLanguageModel.get_peft_model(
        model,
        r=16,
        lora_alpha=32,
        lora_dropout=0,
        target_modules=find_targets(model),
        random_state=3407,
        use_gradient_checkpointing=False,
    )


def encode() -> list[Row]:
    """Encode some of algieba's rows."""
    folder = fetch.find_weights(BASE)
    template = Template(folder, "base", family_of(EMBEDDED))
    conversations = rows.read(persona.read(Path(__file__).parent.parent / "personas" / "algieba"))[
        : 2 * ROWS : 2
    ]
    return [
        {"input_ids": coded.ids, "labels": coded.labels()}
        for coded in (template.encode(row.messages) for row in conversations)
    ]


def step(model: Any, batch: dict[str, torch.Tensor]) -> tuple[float, float]:
    """Give the seconds of a step, forward and backward, and its loss."""
    began = time.perf_counter()
    loss = next_token_loss(model, batch)
    loss.backward()
    return time.perf_counter() - began, loss.item()


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--avx2", action="store_true")
    options = parser.parse_args()
    batch, model = encode(), load(torch.float32, "sdpa")
    runs = {"packed": (model, pack), "padded": (model, pad)}
    if find_accelerator().has_bf16 and not IS_AVX2:
        runs["bf16"] = (load(torch.bfloat16, "eager"), pack)
        runs["fused"] = (load(torch.bfloat16, "sdpa"), pack)
    began = time.perf_counter()
    compiled = load(torch.bfloat16, "eager") if "bf16" in runs else load(torch.float32, "sdpa")
    load_s = time.perf_counter() - began
    compile_layers(compiled)
    step(compiled, pack(batch))
    compile_s = time.perf_counter() - began - load_s
    runs["compiled"] = (compiled, pack)
    times: dict[str, list[float]] = {name: [] for name in runs}
    losses: dict[str, float] = {}
    for _ in range(3 if options.quick else 10):
        for name, (which, collate) in runs.items():
            took_s, losses[name] = step(which, collate(batch))
            times[name].append(took_s)
    tokens, gflops = sum(len(row["input_ids"]) for row in batch), measure_gflops()
    parameters = sum(weight.numel() for weight in model.parameters() if not weight.requires_grad)
    limit_s = 4 * parameters * tokens / gflops / 1e9
    packed_s, padded_s, fused_s, bf16_s, compiled_s = (
        statistics.median(times[name][1:]) if name in times else None
        for name in ("packed", "padded", "fused", "bf16", "compiled")
    )
    uncompiled_s = bf16_s or packed_s
    result = {
        "gflops": gflops,
        "tokens": tokens,
        "limit_s": limit_s,
        "packed_s": packed_s,
        "padded_s": padded_s,
        "fused_s": fused_s,
        "bf16_s": bf16_s,
        "part_of_limit": limit_s / packed_s,
        "ratio": padded_s / packed_s,
        "fused_ratio": fused_s / bf16_s if bf16_s else None,
        "bf16_ratio": packed_s / bf16_s if bf16_s else None,
        "compile_s": compile_s,
        "compiled_s": compiled_s,
        "compiled_part_of_limit": limit_s / compiled_s,
        "compiled_ratio": uncompiled_s / compiled_s,
        "compile_steps": compile_s / (uncompiled_s - compiled_s),
        "loss_difference": abs(losses["packed"] - losses["padded"]),
        "bf16_loss_difference": abs(losses["packed"] - losses["bf16"]) if bf16_s else None,
        "compiled_loss_difference": abs(losses["packed"] - losses["compiled"]),
    }
    if options.json:
        print(json.dumps(result))
        return
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, fp32 512 x 576 x 1536 at {gflops:.0f} GFLOP/s"
    )
    for name, value in result.items():
        print(f"{name:<20} {'not computed by this processor' if value is None else f'{value:.4g}'}")


if __name__ == "__main__":
    main()
