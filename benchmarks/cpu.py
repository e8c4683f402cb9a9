"""What one core takes to convert, quantise and ask a file of Qwen3-4B's shape.

Run as: .venv/bin/python benchmarks/cpu.py [--quick] [--json]

Writes random weights with few layers (benchmarks/random_base.py), and carries two numbers of layers
over to the 36 of Qwen3-4B. All are seconds of CPU time of all threads together, so that what
else runs on the machine counts little. convert_s: of the whole model to 16 bit; quantise_s: what
q4_k_m takes more. read_s: of the
probabilities at a text of 26 tokens, and generate_s: of 32 tokens, both in one thread. sha256_s:
of a gigabyte. `--quick` takes 1 and 3 layers, else 2 and 6. Takes up to 9 GB of disk.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from builder.data.builtin import CHATML
from builder.gguf import convert, writer
from builder.gguf.export import link_checkpoint
from builder.gguf.quantisation import BY_NAME, DEFAULT, Quantisation
from builder.llama import Model

LAYERS, TEXT_TOKENS, GENERATED_TOKENS, TIMES = 36, 26, 32, 5


def main() -> None:
    """Measure two numbers of layers, and print what the whole model takes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    measure(1)  # the first loads libraries, which counts for none
    few, more = (1, 3) if options.quick else (2, 6)
    below, above = measure(few), measure(more)
    found = {
        name: round(below[name] + (above[name] - below[name]) * (LAYERS - few) / (more - few), 2)
        for name in below
    }
    found["sha256_s"] = round(spend(lambda: hashlib.sha256(bytes(10**9))), 2)
    if options.json:
        print(json.dumps(found))
        return
    for name, seconds in found.items():
        print(f"{name:12} {seconds:8.2f}")


def measure(layers: int) -> dict[str, float]:
    """Take a model of so many layers through an export, and ask it."""
    with tempfile.TemporaryDirectory() as folder:
        base, linked, out = (Path(folder) / name for name in ("base", "16", "out.gguf"))
        writer = [sys.executable, str(ROOT / "benchmarks" / "random_base.py"), str(base)]
        subprocess.run([*writer, "--layers", str(layers)], check=True, stdout=sys.stderr)
        link_checkpoint(base, base, CHATML, linked)
        convert_s = write(linked, out, BY_NAME["f16"])
        both_s = write(linked, out, DEFAULT)
        return {"convert_s": convert_s, "quantise_s": both_s - convert_s, **ask(Model(out))}


def write(checkpoint: Path, out: Path, quantisation: Quantisation) -> float:
    """Write a checkpoint as a GGUF."""
    converter = convert.Converter(
        checkpoint, out, base_name="benchmark", metadata={"general.name": "benchmark"}
    )
    return spend(
        lambda: writer.write(
            converter, writer.plan(converter, out, quantisation), out, quantisation, lambda *_: None
        )
    )


def ask(model: Model) -> dict[str, float]:
    """Read texts and write answers in one thread."""
    import llama_cpp  # noqa: PLC0415 — loads llama.cpp

    llama_cpp.llama_set_n_threads(model.llama.ctx, 1, 1)
    text = list(range(1000, 1000 + TEXT_TOKENS))
    model.next_log_probs(text)
    asked: dict[str, Callable[[], object]] = {
        "read_s": lambda: model.next_log_probs(text),
        "generate_s": lambda: model.continue_prompt(text, GENERATED_TOKENS),
    }
    return {
        name: statistics.median(spend(work) for _ in range(TIMES)) for name, work in asked.items()
    }


def spend(work: Callable[[], object]) -> float:
    """Do something, and give the seconds of CPU time that it took."""
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


if __name__ == "__main__":
    main()
