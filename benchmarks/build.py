"""How long builds take: the first, a second, and one of a changed system text; and `persona why`.

Run as: .venv/bin/python benchmarks/build.py [--quick] [--json] [NAME]

Builds a copy of a persona (algieba) in a temporary folder, with the daemon at OLLAMA_HOST where one
answers. `--quick` trains 8 steps and asks an eighth of the gates' table. `--json` prints one
object: gflops (an fp32 product of 512 x 576 x 1536), first_s, second_s, system_s, why_s,
peak_rss_bytes (the largest single process), stages (seconds by name, of the first build), ratio
(first_s / second_s). What the first build said goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.gates import tables

# Eight steps teach nothing that a gate would let pass.
QUICK = f"\n[training]\nmax_steps = 8\n{tables.write_table('advice')}"
GFLOPS = """
import statistics, time, torch
a, b = torch.randn(512, 576), torch.randn(576, 1536)
rates = []
for _ in range(50):
    began = time.perf_counter()
    a @ b
    rates.append(2 * 512 * 576 * 1536 / (time.perf_counter() - began) / 1e9)
print(statistics.median(rates))
"""


def run(folder: Path, *arguments: str) -> tuple[float, str]:
    """Run one command of `persona`; give its seconds and what it said."""
    began_s = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "builder", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - began_s, done.stderr


def seconds(text: str) -> int:
    """Read a duration as the console writes it."""
    return sum(
        int(number) * {"h": 3600, "m": 60, "s": 1}[unit]
        for number, unit in re.findall(r"(\d+)([hms])", text)
    )


def main() -> None:
    """Build three times, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", default="algieba")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copytree(ROOT / "personas" / options.name, folder / "personas" / options.name)
        shutil.copy(ROOT / "Modelfile.j2", folder)
        manifest = folder / "personas" / options.name / "persona.toml"
        text = manifest.read_text().replace(
            "[ollama]", f'[ollama]\nmodel = "benchmark-{options.name}"'
        )
        if options.quick:
            text = re.sub(r"\[\[?(smoke|gates).*?(?=\n\[|\Z)", "", text, flags=re.DOTALL) + QUICK
        manifest.write_text(text)
        first_s, said = run(folder, "build", options.name)
        print(said, file=sys.stderr)
        peak_rss_bytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        second_s, _ = run(folder, "build", options.name)
        why_s, _ = run(folder, "why", options.name)
        manifest.write_text(text.replace("[ollama]", '[ollama]\nsystem = "Answer briefly."'))
        system_s, _ = run(folder, "build", options.name)
    stages = {
        name: seconds(took)
        for name, took in re.findall(r"^(\w+) +done in (\S+)", said, re.MULTILINE)
    }
    gflops = float(
        subprocess.run(
            [sys.executable, "-c", GFLOPS], capture_output=True, text=True, check=True
        ).stdout
    )
    result = {
        "gflops": gflops,
        "first_s": first_s,
        "second_s": second_s,
        "system_s": system_s,
        "why_s": why_s,
        "peak_rss_bytes": peak_rss_bytes,
        "ratio": first_s / second_s,
        "stages": stages,
    }
    if options.json:
        print(json.dumps(result))
        return
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    print(f"{machine}, fp32 512 x 576 x 1536 at {gflops:.0f} GFLOP/s")
    for name, value in result.items():
        print(f"{name:<16} {value if isinstance(value, dict) else f'{value:.4g}'}")


if __name__ == "__main__":
    main()
