"""The base stage: choose the base, pin its revisions, and copy the small files of the base."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from builder import files
from builder.bases import admission, base, choose, families, fetch, memory, sizes
from builder.bases.choose import Pins
from builder.bases.facts import Facts
from builder.bases.family import Family
from builder.bases.sizes import Sizes
from builder.engine import stage
from builder.engine.inputs import Tree, maybe_file, not_compared, shown_as
from builder.engine.stage import Work
from builder.errors import ToolError
from builder.machine import Machine, find_memory_bytes
from builder.project import Build

NAME, VERSION = "base", 5
WORDS = "chooses the base"
unavailable = stage.always_available
worker = stage.main_process
checkpoint = stage.never_resumed
SMALL_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
)
log = logging.getLogger("builder")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The chosen base, and the settings that it depends on."""

    source: str = shown_as("base")
    typed: str = shown_as("--base")
    four_bit: bool | None = shown_as("training.four_bit")
    """None if the family and the size decide."""
    template: str = shown_as("data.template")
    """Some bases are refused only with their own template."""
    identity_words: tuple[str, ...] = shown_as("base.identity_words")
    folder: Tree | None = maybe_file()
    """The files of a base in a folder; any other base is identified by its revision."""
    pins: Pins = not_compared()
    """The revisions in base.lock; `health` compares them with the build's."""


def inputs(build: Build, /) -> Inputs:
    """Choose the base by `--base`, the last build, the manifest and the machine."""
    typed = build.options.base or _read_choice(build)
    facts = base.peek(build.base) or {}
    source = choose.choose(
        build.persona.manifest.base,
        typed,
        facts.get("source"),
        build.machine,
        is_now=bool(build.options.base),
    )
    folder = files.expand_home(source)
    return Inputs(
        source=source,
        typed=typed or "not typed",
        four_bit=build.persona.manifest.training.four_bit,
        template=build.persona.manifest.data.template,
        identity_words=build.persona.manifest.base.identity_words,
        # `check` refuses a folder that is no base, whose files may be a whole disk.
        folder=Tree(folder) if (folder / "config.json").is_file() else None,
        pins=choose.read_pins(build.base_lock).get(source, {}),
    )


def check(build: Build, /) -> None:
    """Refuse what cannot be a base, before its files are read or fetched.

    Raises:
        ToolError: It is a folder without a base, or its name is that of none.

    """
    source = inputs(build).source
    try:
        choose.check_source(source)
    except ToolError as error:
        place = _find_place(build, source)
        raise ToolError(*(place + problem for problem in error.problems), hint=error.hint) from None


def _find_place(build: Build, source: str) -> str:
    """Name the option or the key of the manifest that gives the base."""
    if build.options.base:
        return "--base: "
    key, given = build.machine.kind, build.persona.manifest.base
    return f"{build.persona.where('base', key)}: " if getattr(given, key) == source else ""


def output(build: Build, /) -> Path:
    """`base/`: base.json, tokenizer, chat template and config."""
    return build.base


def health(build: Build, /) -> str | None:
    """Compare the revisions in base.lock with those of the build, and the machine's precision.

    A base that was chosen on a CPU is 16 bit. Before it is trained, a GPU may take it in 4
    bit; a trained build stays as it is.
    """
    chosen = build.read_base()
    if not chosen.four_bit and not build.adapter.exists():
        found = sizes.read(files.read_json(build.base / "config.json") or {})
        asked = build.persona.manifest.training.four_bit
        if _takes_four_bit(asked, chosen.family, found, build.machine):
            return f"is in 16 bit, and {build.machine.name} trains it in 4 bit"
    if chosen.kind == "folder":
        return None
    pins = choose.read_pins(build.base_lock).get(chosen.source, {})
    pinned = pins.get("revision")
    if pinned == chosen.revision:
        return None
    shown = f"pins {chosen.source} at {pinned}" if pinned else f"does not pin {chosen.source}"
    return f"{build.base_lock.name} {shown}, the build is of {chosen.revision}"


def note(build: Build, /) -> None:
    """Pin the revisions in base.lock, and remember `--base`."""
    chosen = build.read_base()
    if chosen.kind != "folder":
        choose.write_pins(build.base_lock, chosen)
    if build.options.base:
        files.write_json(build.base_choice, {"base": build.options.base})


def run(inputs: Inputs, work: Work, /) -> str:
    """Resolve the revisions, refuse a base that cannot be built on, and copy its small files.

    Raises:
        ToolError: There is no such base, or it cannot be built on; the message says why.

    """
    if work.machine.refused:
        log.warning("%s; the CPU is used", work.machine.refused)
    if inputs.typed == "cpu" and work.machine.kind == "gpu":
        log.warning(
            "%s trains it: --base cpu names a base alone; to train on the CPU build with "
            "CUDA_VISIBLE_DEVICES=-1",
            work.machine.name,
        )
    chosen = choose.resolve(inputs.source, inputs.pins)
    folder = fetch.find_small_files(chosen)
    admission.check(
        chosen.source,
        folder,
        inputs.template,
        fetch.list_files(chosen),
        is_repository=chosen.kind == "hub",
    )
    known = Facts(folder)
    family = families.recognise(known.config, known.end_of_turn)
    if family.is_derived:
        log.warning(
            "%s is of no family in docs/bases.md: what is known of it is derived from its files; "
            "it ends a turn with %s",
            chosen.source,
            known.end_of_turn,
        )
    found = sizes.read(known.config)
    if _takes_four_bit(inputs.four_bit, family, found, work.machine):
        chosen = choose.take_four_bit(chosen, inputs.pins)
    _tell_memory(chosen, work.machine, found)
    work.out.mkdir()
    for name in SMALL_FILES:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, work.out / name)
    facts = asdict(replace(chosen, family_name=family.name, identity_words=inputs.identity_words))
    (work.out / base.FACTS).write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", "utf-8")
    return chosen.source if chosen.kind == "embedded" else f"{chosen.source}, {family.name}"


def _takes_four_bit(
    asked: bool | None,  # noqa: FBT001 — the value of a setting
    family: Family,
    found: Sizes | None,
    machine: Machine,
) -> bool:
    """Say whether a machine trains a base in 4 bit: the manifest decides, or else its size."""
    if machine.kind != "gpu":
        return False
    return family.advises_four_bit(found.weights if found else None) if asked is None else asked


def _tell_memory(chosen: base.Base, machine: Machine, found: Sizes | None) -> None:
    """Say how much memory training needs, before the weights are fetched.

    Raises:
        ToolError: The weights do not fit into the memory.

    """
    if chosen.kind == "embedded":  # it fits on every machine
        return
    need, has_bytes = memory.estimate(chosen, machine, found), find_memory_bytes(machine)
    if need is None or not has_bytes:
        return
    if warning := memory.check(chosen.source, need, has_bytes):
        log.warning("%s", warning)
    else:
        log.info("%s: training needs %s", chosen.source, need.describe())


def _read_choice(build: Build) -> str | None:
    """Read the last `--base`: `gpu`, `cpu` or a base."""
    choice = files.read_json(build.base_choice)
    return str(choice["base"]) if isinstance(choice, dict) and choice.get("base") else None
