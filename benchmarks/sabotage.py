"""Makes damaged builds by real faults, each at its place, and shows which gate catches each.

Run as: .venv/bin/python benchmarks/sabotage.py [--all] [--json] [NAME]

NAME is a built persona (algieba). Faults that need a daemon use the one at OLLAMA_HOST, and are named as skipped without
one; those that need training run with --all. `--json` prints one object a fault: fault, meant, caught (by which gate, or
null), said. Ends with 1 where a fault got through.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from builder import files, llama, persona
from builder.bases import base, families, fetch
from builder.data import dataset
from builder.data.template import IGNORED, Template
from builder.engine.stage import Job, Options, run_in_child
from builder.errors import GateError, PersonaError, ToolError
from builder.evaluation import distance, examination, reference
from builder.gates import fidelity
from builder.gguf import export, merge
from builder.gguf.quantisation import Quantisation
from builder.ollama import client, verification
from builder.stages import parity, register, render, train

LEFT_OUT_LAYER = 15
OTHER_QUANTISATION = Quantisation("q2_k", 10, 3.0, 1.0)


@dataclass(frozen=True)
class Fault:
    """One fault: what is damaged, by which gate it must be caught, and how it is made."""

    name: str
    meant: str
    make: Callable[[Job], None]
    """Raises what the build would raise."""
    needs: str = "build"


def main() -> int:
    """Make every fault that can be made here; print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", default="algieba")
    parser.add_argument("--all", action="store_true", help="also the faults that need training")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not (ROOT / "build" / options.name / "smoke.json").is_file():
        parser.error(
            f"build/{options.name}: is not there whole, expected a finished build to damage; `just build {options.name}` makes one"
        )
    logging.getLogger().addHandler(
        logging.NullHandler()
    )  # else the converter lets every library print between the table's lines
    rows = []
    for fault in FAULTS:
        rows.append(run(fault, options.name, can_train=options.all))
        print(
            json.dumps(rows[-1])
            if options.json
            else f"{rows[-1]['fault']:<52} {rows[-1]['meant']:<12} {rows[-1]['caught'] or '-':<12} {rows[-1]['said'][:90]}",
            flush=True,
        )
    return (
        1
        if any(
            row["caught"] != row["meant"] and not row["said"].startswith("skipped") for row in rows
        )
        else 0
    )


def run(fault: Fault, name: str, *, can_train: bool, root: Path = ROOT) -> dict[str, str | None]:
    """Make one fault in a copy of a build, and say what caught it."""
    row = {
        "fault": fault.name,
        "meant": fault.meant,
        "caught": None,
        "said": "nothing: it got through",
    }
    if fault.needs == "training" and not can_train:
        return {**row, "said": "skipped: needs training; --all makes it"}
    if fault.needs == "daemon" and not _has_daemon():
        return {**row, "said": "skipped: no Ollama answers here"}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(root / "personas" / name, copy / "personas" / name)
        shutil.copytree(
            root / "build" / name,
            copy / "build" / name,
            symlinks=True,
            ignore=shutil.ignore_patterns(".work", "answers.json"),
        )
        shutil.copy(ROOT / "Modelfile.j2", copy)
        read = persona.read(copy / "personas" / name)
        renamed = read.manifest.ollama.model_copy(update={"model": f"sabotage-{name}"})
        read = read.model_copy(
            update={"manifest": read.manifest.model_copy(update={"ollama": renamed})}
        )
        job = Job(
            read,
            copy / "build" / name,
            copy / "Modelfile.j2",
            Options(),
            copy / "work" / "register-0",
        )
        job.work.mkdir(parents=True)
        try:
            fault.make(job)
        except PersonaError as error:
            return {
                **row,
                "caught": error.problems[0].split(":")[0]
                if isinstance(error, GateError)
                else "render",
                "said": " ".join(error.problems[0].split()),
            }
        return row


def _has_daemon() -> bool:
    try:
        client.connect(allow_remote=False)
    except ToolError:
        return False
    return True


def _adapter(change: Callable[[str, Any], Any]) -> Callable[[Job], None]:
    """Export with every half of the adapter changed, and examine the file."""

    def make(job: Job) -> None:
        from safetensors.torch import load_file, save_file  # noqa: PLC0415 — imports torch

        path = job.adapter / "adapter_model.safetensors"
        save_file({key: change(key, value) for key, value in load_file(path).items()}, path)
        _export(job)
        _hold_against_reference(job)

    return make


def _export(job: Job, **changes: Any) -> None:
    job.gguf.unlink()
    given = {
        "tokenizer": job.base,
        "chat_template": (job.dataset / "chat_template.jinja").read_text(),
        "metadata": {"general.name": "sabotage"},
    }
    _quietly(
        lambda: export.export(
            fetch.find_weights(base.read(job.base)), job.adapter, job.gguf, **{**given, **changes}
        )
    )


def _quietly(work: Callable[[], None]) -> None:
    """Keep the converter's and llama.cpp's chatter off the table."""
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 2)
        try:
            work()
        finally:
            os.dup2(kept, 2)


def _hold_against_reference(job: Job) -> None:
    chosen, model, said = base.read(job.base), llama.Model(job.gguf), reference.read(job.reference)
    result = fidelity.judge(
        model, distance.measure(model, said), chosen.family, four_bit=chosen.four_bit
    )
    if result.verdict == "fail":
        raise GateError(f"fidelity: {result.note}")


def _layer_left_out(job: Job) -> None:
    true = merge.read_changes
    calls = iter((False, True))

    def without_a_layer(adapter: Path) -> dict[str, Any]:
        """Leave a layer out in the merge, not in the check."""
        is_check = next(calls)
        return {
            name: change
            if is_check or f"layers.{LEFT_OUT_LAYER}." not in name
            else replace(change, scale=0.0)
            for name, change in true(adapter).items()
        }

    with mock.patch.object(merge, "read_changes", without_a_layer):
        _export(job)


def _alpha_off(job: Job) -> None:
    path = job.adapter / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "lora_alpha": config["lora_alpha"] * 8}))
    _export(job)
    _hold_against_reference(job)


def _unpermuted(job: Job) -> None:
    from conversion.llama import LlamaModel  # noqa: PLC0415 — the rule that is broken here

    with mock.patch.object(LlamaModel, "permute", staticmethod(lambda weights, *_: weights)):
        _export(job)
    _hold_against_reference(job)


def _other_quantisation(job: Job) -> None:
    true = llama.quantize

    def to_another(source: Path, out: Path, _: Quantisation) -> None:
        true(source, out, OTHER_QUANTISATION)

    with mock.patch.object(llama, "quantize", to_another):
        _export(job)
    _hold_against_reference(job)


def _other_template(job: Job) -> None:
    _export(
        job,
        chat_template=(job.dataset / "chat_template.jinja")
        .read_text()
        .replace("\\n", "\\n\\n", 1)
        .replace("user", "human", 1)
        + " ",
    )
    parity.run(job, job.parity)


def _other_end(job: Job) -> None:
    folder = job.work / "tokenizer"
    shutil.copytree(job.base, folder)
    for name, change in (
        ("tokenizer_config.json", {"eos_token": "<|endoftext|>"}),
        ("config.json", {"eos_token_id": 0}),
    ):
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    _export(job, tokenizer=folder)
    parity.run(job, job.parity)


def _second_bos(job: Job) -> None:
    import gguf  # noqa: PLC0415 — loads the module whose rule is broken here

    true = gguf.GGUFWriter.add_add_bos_token
    with mock.patch.object(
        gguf.GGUFWriter, "add_add_bos_token", lambda self, _value: true(self, value=True)
    ):
        _export(job)
    parity.run(job, job.parity)


def _system_in_template(job: Job) -> None:
    job.template.write_text(job.template.read_text() + 'SYSTEM "You are Qwen, made by Alibaba."\n')
    render.run(job, job.build / "Modelfile.new")


def _served_with(**changes: Any) -> Callable[[Job], None]:
    """Send the daemon something else than was decided."""

    def make(job: Job) -> None:
        true = verification.body
        with mock.patch.object(
            verification, "body", lambda served, sha256: {**true(served, sha256), **changes}
        ):
            register.run(job, job.receipt)

    return make


def _older_blob(job: Job) -> None:
    older = job.work / "older.gguf"
    shutil.copyfile(job.gguf, older)
    with older.open("ab") as file:
        file.write(b"\0" * 64)
    daemon = client.connect(allow_remote=False)
    daemon.upload(older, files.sha256(older))
    true = verification.verify

    def swapped(*arguments: Any, **options: Any) -> list[dict[str, Any]]:
        compared = true(*arguments, **options)
        _, _, name, served = arguments
        body = verification.body(served, files.sha256(older))
        daemon.create({**body, "model": name})
        return compared

    with mock.patch.object(verification, "verify", swapped):
        register.run(job, job.receipt)


def _trained(
    change: Callable[[Job], None], gate: str, epochs: float | None = None
) -> Callable[[Job], None]:
    """Train on a damaged dataset, as long as an honest build or for so many epochs, and examine the file."""

    def make(job: Job) -> None:
        change(job)
        shutil.rmtree(job.adapter)
        if epochs:
            profile = dataset.read_profile(job.dataset)
            replace(profile, schedule=replace(profile.schedule, epochs=epochs)).write(job.dataset)
        job.adapter.mkdir()
        run_in_child(train, job, job.adapter, job.work / "train.log")
        _export(job)
        problems = examination.examine(job, 0.25).problems()
        mine = [problem for problem in problems if problem.startswith((gate, "manifest"))]
        if mine:
            raise GateError(
                next(
                    (problem for problem in mine if problem.startswith(gate)), f"{gate}: {mine[0]}"
                )
            )

    return make


def _change_rows(
    job: Job, change: Callable[[dict[str, Any]], dict[str, Any]], keep: int | None = None
) -> None:
    path = job.dataset / "train.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()][:keep]
    path.write_text("".join(json.dumps(change(row), ensure_ascii=False) + "\n" for row in rows))


def _no_end(job: Job) -> None:
    job.replay.write_text("")
    _change_rows(job, lambda row: {**row, "labels": [*row["labels"][:-1], IGNORED]})


def _misspelt(job: Job) -> None:
    template = Template(job.base, "base", base.read(job.base).family)
    name = job.persona.title

    def change(row: dict[str, Any]) -> dict[str, Any]:
        messages = [
            {**message, "content": message["content"].replace(name, name[::-1])}
            for message in row["messages"]
        ]
        coded = template.encode(messages)
        return {**row, "messages": messages, "input_ids": coded.ids, "labels": coded.labels()}

    _change_rows(job, change)


def _three_rows(job: Job) -> None:
    job.replay.write_text("")
    _change_rows(job, lambda row: row, keep=3)


FAULTS = (
    Fault("the adapter zeroed", "fidelity", _adapter(lambda _key, value: value * 0)),
    Fault(
        "the adapter's sign flipped",
        "fidelity",
        _adapter(lambda key, value: -value if "lora_B" in key else value),
    ),
    Fault(
        "the adapter merged twice",
        "fidelity",
        _adapter(lambda key, value: value * 2 if "lora_B" in key else value),
    ),
    Fault("one layer left out", "fidelity", _layer_left_out),
    Fault("alpha wrong by 8", "fidelity", _alpha_off),
    Fault("q and k rows unpermuted in the export", "fidelity", _unpermuted),
    Fault("quantised to another type than asked", "fidelity", _other_quantisation),
    Fault("another template in the file than trained", "parity", _other_template),
    Fault("another EOS in the file's metadata", "parity", _other_end),
    Fault("a second BOS", "parity", _second_bos),
    Fault("Modelfile.j2 with a SYSTEM that names somebody else", "render", _system_in_template),
    Fault(
        "the daemon told a SYSTEM that names somebody else",
        "served",
        _served_with(system="You are Qwen, made by Alibaba."),
        "daemon",
    ),
    Fault(
        "the stop list lost on the way to the daemon",
        "served",
        _served_with(parameters={"temperature": 0.2}),
        "daemon",
    ),
    Fault(
        "a TEMPLATE with one newline more",
        "parity",
        _served_with(template=families.CHATML_GO.replace("\n", "\n\n", 1)),
        "daemon",
    ),
    Fault("the daemon serving an older blob under the name", "served", _older_blob, "daemon"),
    Fault("no end-of-turn token in training", "end", _trained(_no_end, "end"), "training"),
    Fault("the name misspelt in the data", "recall", _trained(_misspelt, "recall"), "training"),
    Fault(
        "thirty epochs on three rows",
        "leak_in",
        _trained(_three_rows, "leak_in", epochs=30),
        "training",
    ),
)
if __name__ == "__main__":
    sys.exit(main())
