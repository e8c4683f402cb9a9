"""How near the training step on a CPU comes to its limit, and what packing gains over padding.

Run as: .venv/bin/python benchmarks/train.py [--quick] [--json]

The limit is 4 x parameters x tokens floating-point operations (forward, and backward to the adapters) at the
rate of an fp32 product of 512 x 576 x 1536, measured in the same run. `--json` prints one object: gflops,
tokens, limit_s, packed_s, padded_s, part_of_limit (limit_s / packed_s), ratio (padded_s / packed_s),
loss_difference.
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

sys.path.insert(0, str(Path(__file__).parent.parent))
os.environ.update(CUDA_VISIBLE_DEVICES="", UNSLOTH_DISABLE_STATISTICS="1", UNSLOTH_COMPILE_LOCATION=tempfile.mkdtemp())

import unsloth  # noqa: F401 — must come before what it patches

import torch  # isort: skip
from unsloth import FastLanguageModel

from builder import persona, rows, weights
from builder.base import EMBEDDED, Base, family_of
from builder.conversation import Template
from builder.stages.train import LINEAR_LAYERS
from builder.training import next_token_loss, pack, pad

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


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = weights.find_weights(Base(EMBEDDED, "embedded", "benchmark", EMBEDDED, "benchmark", four_bit=False))
    model, _ = FastLanguageModel.from_pretrained(str(folder), max_seq_length=1024, dtype=torch.float32, load_in_4bit=False)
    model = FastLanguageModel.get_peft_model(model, r=16, lora_alpha=32, lora_dropout=0, target_modules=list(LINEAR_LAYERS), random_state=3407, use_gradient_checkpointing=False)
    template = Template(folder, "base", family_of(EMBEDDED))
    conversations = rows.read(persona.read(Path(__file__).parent.parent / "personas" / "algieba"))[: 2 * ROWS : 2]
    batch = [{"input_ids": coded.ids, "labels": coded.labels()} for coded in (template.encode(row.messages) for row in conversations)]
    times: dict[str, list[float]] = {"packed": [], "padded": []}
    losses = {}
    for _ in range(3 if options.quick else 10):
        for name, collate in (("packed", pack), ("padded", pad)):
            began = time.perf_counter()
            loss = next_token_loss(model, collate(batch))
            loss.backward()
            times[name].append(time.perf_counter() - began)
            losses[name] = loss.item()
    tokens, gflops = sum(len(row["input_ids"]) for row in batch), measure_gflops()
    parameters = sum(weight.numel() for weight in model.parameters() if not weight.requires_grad)
    limit_s = 4 * parameters * tokens / gflops / 1e9
    packed_s, padded_s = (statistics.median(times[name][1:]) for name in ("packed", "padded"))
    result = {
        "gflops": gflops,
        "tokens": tokens,
        "limit_s": limit_s,
        "packed_s": packed_s,
        "padded_s": padded_s,
        "part_of_limit": limit_s / packed_s,
        "ratio": padded_s / packed_s,
        "loss_difference": abs(losses["packed"] - losses["padded"]),
    }
    if options.json:
        print(json.dumps(result))
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, fp32 512 x 576 x 1536 at {gflops:.0f} GFLOP/s")
    for name, value in result.items():
        print(f"{name:<16} {value:.4g}")


if __name__ == "__main__":
    main()
