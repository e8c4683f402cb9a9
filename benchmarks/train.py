"""How near a training step on a CPU comes to its limit, and what each way to compute it gains.

Run as: .venv/bin/python benchmarks/train.py [--quick] [--json] [--avx2]

The limit is 4 x parameters x tokens floating-point operations (forward, and backward to the
adapters) at the rate of an fp32 product of 512 x 576 x 1536, measured in the same run. `--json`
prints one object: gflops, tokens, limit_s, packed_s, padded_s, bf16_s (with plain attention),
fused_s (bfloat16 with torch's fused attention), part_of_limit (limit_s / packed_s), ratio
(padded_s / packed_s), fused_ratio (fused_s / bf16_s), bf16_ratio (packed_s / bf16_s), compile_s
(the first time on a machine), compiled_s (what is trained here, compiled), compiled_part_of_limit
(limit_s / compiled_s), compiled_ratio (bf16_s or packed_s / compiled_s), compile_steps (in so many
compiling has paid), loss_difference, bf16_loss_difference and compiled_loss_difference; what
bfloat16 would say is null on a CPU that does not compute it. `--avx2` keeps torch to what an
older CPU computes: AVX2, and no bfloat16.
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

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
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

from builder.bases import families, fetch
from builder.bases.base import EMBEDDED, Base
from builder.data import rows
from builder.data.template import Template
from builder.machine import Machine, find_machine
from builder.manifest.training import Training
from builder.project import Project
from builder.training import loading
from builder.training.batches import TokenRow, pack, pad
from builder.training.compiling import compile_layers
from builder.training.loss import next_token_loss
from builder.training.settings import resolve

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


def load(*, in_bf16: bool, attention: str) -> Any:
    """Load the embedded base with a new adapter, as the train stage does.

    Args:
        in_bf16: In bfloat16, not in float32.
        attention: What transformers calls it, such as `eager` or `sdpa`.

    """
    loading.forget()
    machine = Machine("cpu", "a benchmark's", in_bf16)
    model, _ = loading.load_base(BASE, machine, attention=attention)
    settings = resolve(Training(), families.SMOLLM2)
    return loading.add_adapter(model, settings)


def encode() -> list[TokenRow]:
    """Encode some of algieba's rows."""
    template = Template(fetch.find_weights(BASE), "base", families.SMOLLM2)
    read = Project(ROOT).build("algieba").persona
    conversations = rows.read(read.data_files, read.manifest.data, read.manifest.identity)
    coded = [template.encode(row.messages) for row in conversations[: 2 * ROWS : 2]]
    return [{"input_ids": one.ids, "labels": one.labels()} for one in coded]


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
    batch, model = encode(), load(in_bf16=False, attention="sdpa")
    runs = {"packed": (model, pack), "padded": (model, pad)}
    if find_machine().has_bf16 and not IS_AVX2:
        runs["bf16"] = (load(in_bf16=True, attention="eager"), pack)
        runs["fused"] = (load(in_bf16=True, attention="sdpa"), pack)
    began = time.perf_counter()
    attention = "eager" if "bf16" in runs else "sdpa"
    compiled = load(in_bf16="bf16" in runs, attention=attention)
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
    medians_s = {name: statistics.median(took[1:]) for name, took in times.items()}
    packed_s, padded_s, compiled_s = (medians_s[name] for name in ("packed", "padded", "compiled"))
    fused_s, bf16_s = medians_s.get("fused"), medians_s.get("bf16")
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
        "fused_ratio": fused_s / bf16_s if fused_s and bf16_s else None,
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
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    print(f"{machine}, fp32 512 x 576 x 1536 at {gflops:.0f} GFLOP/s")
    for name, value in result.items():
        print(f"{name:<20} {'not computed by this CPU' if value is None else f'{value:.4g}'}")


if __name__ == "__main__":
    main()
