"""The shipped personas built whole over seeds, on the processor: does each pass its gates, and how well.

Run as: .venv/bin/python benchmarks/personas.py [--quick] [--json] [--seeds 1 2 3] [--at-once N] [--cores N] [NAME ...]

Each build runs in a folder of its own, without Ollama, kept to `--cores` processor cores. Prints an
object (`--json`) or a line for each: persona, seed, passed, seconds of the whole build, and of its
gates right/of; then, asked of the q4_k_m file through llama.cpp:

exact_served, exact_none, exact_other: trained rows answered word for word under the served system
text, without one, and under "You are a helpful assistant.".
voice: unseen questions answered in the persona's voice, by the rule in tests/personas/voices/NAME.json.
endless, looping and right_N: for each repeat penalty N of `--penalties`, of open questions at the
served temperature those that do not end in 256 tokens and those that repeat themselves, and of the
trained rows those that are answered word for word greedily.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

NAMES = ("luma", "keeper", "helpdesk", "lucie", "algieba", "chef", "steps")
OTHER_SYSTEM = "You are a helpful assistant."
OPEN = (
    "Write a haiku.",
    "Tell me a story.",
    "Write a poem about the sea.",
    "Explain how a computer works.",
    "List ten animals.",
    "Give me a recipe for bread.",
    "Describe your perfect day.",
    "What should I do at the weekend?",
    "Tell me a joke.",
    "Why is the sky blue?",
)
OPEN_TOKENS = 256
MAX_TOKENS = 96
LOOP = re.compile(r"(.{8,}?)\1{2,}", re.DOTALL)


def build(
    name: str, seed: int, cores: list[int], rows: int | None, penalties: list[float]
) -> dict[str, Any]:
    """Build one persona under one seed, and ask its file."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(ROOT / "personas" / name, root / "personas" / name)
        shutil.copy(ROOT / "Modelfile.j2", root)
        manifest = root / "personas" / name / "persona.toml"
        text = manifest.read_text()
        seeds = f"[training]\nseed = {seed}\nlora_seed = {seed}\n"
        has_table = "[training]\n" in text
        manifest.write_text(
            text.replace("[training]\n", seeds, 1) if has_table else f"{text}\n{seeds}"
        )
        if rows:
            _keep_rows(root / "personas" / name, rows)
        keep_to = ["taskset", "-c", ",".join(map(str, cores))] if cores else []
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "OLLAMA_HOST": "",
            "PATH": os.defpath,
            "CUDA_VISIBLE_DEVICES": "-1",
        }
        began_s = time.monotonic()
        command = [*keep_to, sys.executable, "-m", "builder", "build", name, "--base", "cpu"]
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, check=False
        )
        took_s = time.monotonic() - began_s
        result: dict[str, Any] = {
            "persona": name,
            "rows": rows,
            "seed": seed,
            "passed": (root / "build" / name / "smoke.json").is_file(),
            "build_s": round(took_s),
        }
        if done.returncode:
            result["error"] = done.stderr[-1500:]
        for path in (
            root / "build" / name / "smoke.json",
            root / "build" / name / "logs" / "smoke-failed.json",
        ):
            if path.is_file():
                result |= _read_gates(json.loads(path.read_text()))
        if (root / "build" / name / "model.gguf").is_file():
            asking = [
                *keep_to,
                sys.executable,
                __file__,
                "--ask",
                name,
                "--penalties",
                *map(str, penalties),
            ]
            asked = subprocess.run(
                asking, cwd=root, env=environment, capture_output=True, text=True, check=False
            )
            result |= (
                json.loads(asked.stdout.splitlines()[-1])
                if asked.returncode == 0
                else {"ask_error": asked.stderr[-1500:]}
            )
        return result


def _keep_rows(folder: Path, most: int) -> None:
    """Keep so many rows of a persona, from the whole of its data.jsonl or data.csv."""
    if (folder / "data.csv").is_file():
        with (folder / "data.csv").open(encoding="utf-8", newline="") as file:
            header, *rows = [fields for fields in csv.reader(file) if fields]
        with (folder / "data.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *_spread(rows, most)])
    else:
        data = folder / "data.jsonl"
        data.write_text(
            "".join(_spread(data.read_text("utf-8").splitlines(keepends=True), most)), "utf-8"
        )


def _spread(rows: list[Any], most: int) -> list[Any]:
    return [rows[index * len(rows) // most] for index in range(most)] if most < len(rows) else rows


def _read_gates(values: dict[str, Any]) -> dict[str, Any]:
    found = {
        gate["gate"]: f"{gate['right']}/{gate['of']}" for gate in values["gates"] if gate["of"]
    }
    notes = {f"{gate['gate']}_verdict": gate["verdict"] for gate in values["gates"]}
    text = {
        f"{gate['gate']}_note": gate["note"]
        for gate in values["gates"]
        if not gate["of"] and gate["note"]
    }
    return {**found, **notes, **text, "manifest": values["manifest"]}


def ask(name: str, penalties: list[float]) -> dict[str, Any]:
    """Ask a build's file in the folder where it was made."""
    from builder import persona  # noqa: PLC0415 — in a process of its own
    from builder.data import dataset  # noqa: PLC0415 — in a process of its own
    from builder.engine.stage import Job  # noqa: PLC0415
    from builder.llama import Model  # noqa: PLC0415
    from builder.ollama import modelfile  # noqa: PLC0415 — in a process of its own

    root = Path()
    job = Job(persona.read(root / "personas" / name), root / "build" / name, root / "Modelfile.j2")
    served = modelfile.decide(job)
    model = Model(job.gguf)
    examples = dataset.read_examples(job.dataset / dataset.TRAIN)
    rows = {
        repr(row): row
        for row in (one.messages[1:] if one.has_system else one.messages for one in examples)
    }
    some = list(rows.values())[:: -(-len(rows) // 40)]

    def answer(
        messages: list[dict[str, str]],
        system: str | None,
        limit: int,
        sampling: dict[str, Any] | None,
    ) -> Any:
        full = [{"role": "system", "content": system}, *messages] if system else messages
        return model.continue_prompt(model.tokenize(model.render(full)), limit, sampling)

    def count_exact(system: str | None, sampling: dict[str, Any] | None = None) -> str:
        said = [answer(row[:-1], system, MAX_TOKENS, sampling).text.strip() for row in some]
        return f"{sum(text == row[-1]['content'] for text, row in zip(said, some, strict=True))}/{len(some)}"

    found: dict[str, Any] = {
        "exact_none": count_exact(None),
        "exact_other": count_exact(OTHER_SYSTEM),
    }
    if served.system:
        found["exact_served"] = count_exact(served.system)
    from tests.personas import voice  # noqa: PLC0415 — the rules lie beside the tests

    if voice.has_rule(name):
        rule = voice.read_rule(name)
        questions = rule.questions
        said = [
            answer([{"role": "user", "content": text}], served.system, MAX_TOKENS, None).text
            for text in questions
        ]
        found["voice"] = f"{sum(map(rule.is_met_by, said))}/{len(said)}"
        found["voice_answers"] = dict(zip(questions, said, strict=True))
    for penalty in penalties:
        given = {**served.parameters, "repeat_penalty": penalty, "seed": 1}
        answers = [
            answer([{"role": "user", "content": text}], served.system, OPEN_TOKENS, given)
            for text in OPEN
        ]
        found[f"endless_{penalty}"] = sum(not one.ended for one in answers)
        found[f"looping_{penalty}"] = sum(bool(LOOP.search(one.text)) for one in answers)
        found[f"right_{penalty}"] = count_exact(
            served.system, {"repeat_penalty": penalty, "temperature": 0}
        )
        found[f"open_{penalty}"] = [one.text[:160] for one in answers]
    return found


def main() -> None:
    """Build each persona under each seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names",
        nargs="*",
        default=list(NAMES),
        metavar="NAME",
        help="NAME, or NAME:ROWS for so many of its rows",
    )
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--cores", type=int, default=0, help="of each build; 0 is all")
    parser.add_argument("--first-core", type=int, default=0)
    parser.add_argument("--penalties", type=float, nargs="*", default=[])
    parser.add_argument("--ask", metavar="NAME", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask:
        print(json.dumps(ask(options.ask, options.penalties)))
        return
    wanted = [
        (name, seed)
        for name in options.names
        for seed in (options.seeds[:1] if options.quick else options.seeds)
    ]
    starts = [options.first_core + slot * options.cores for slot in range(options.at_once)]
    free = [list(range(start, start + options.cores)) for start in starts]

    def run(name: str, seed: int) -> dict[str, Any]:
        cores = free.pop()
        try:
            plain, _, rows = name.partition(":")
            return build(plain, seed, cores, int(rows) if rows else None, options.penalties)
        finally:
            free.append(cores)

    with ThreadPoolExecutor(options.at_once) as pool:
        for done in as_completed([pool.submit(run, *one) for one in wanted]):
            result = done.result()
            shown = {
                key: value
                for key, value in result.items()
                if "_verdict" not in key and not isinstance(value, list | dict)
            }
            print(
                json.dumps(result, ensure_ascii=False)
                if options.json
                else " ".join(f"{key}={value}" for key, value in shown.items()),
                flush=True,
            )


if __name__ == "__main__":
    main()
