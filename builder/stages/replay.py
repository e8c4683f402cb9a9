"""The replay stage: get the base's own answers, to train on them too, against forgetting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder import files, workers
from builder.bases import base, baseline
from builder.bases.base import Base
from builder.data import dataset, languages, questions, replay
from builder.data.replay import Completion, Pair
from builder.data.template import Template
from builder.data.texts import normalise
from builder.engine import stage
from builder.engine.inputs import File, Tree, dropped_settings, shown_as
from builder.engine.stage import Work
from builder.project import Build

NAME, VERSION = "replay", 4
WORDS = "asks the base"
check = stage.nothing_to_check
health = stage.always_healthy
unavailable = stage.always_available
note = stage.nothing_to_note
checkpoint = stage.never_resumed


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The base, the rows and their schedule, and the persona's names and system text."""

    base: Tree
    rows: File
    profile: File
    schedule: File
    chat_template: File
    template: str = shown_as("data.template")
    own_words: tuple[str, ...] = shown_as("identity")
    """The name and the author; replayed answers that hold one are left out."""
    system: str | None = shown_as("ollama.system")
    """The system text that half of the answers are trained with, or None."""
    prompts: str = shown_as("the prompts")
    """A hash of the prompts and greetings that come with the project."""
    dropped: dict[str, str] = dropped_settings()


def inputs(build: Build, /) -> Inputs:
    """Declare the base, the files of the dataset, and settings of the manifest."""
    manifest = build.persona.manifest
    return Inputs(
        base=Tree(build.base),
        rows=File(build.dataset / dataset.TRAIN),
        profile=File(build.dataset / dataset.PROFILE),
        schedule=File(build.dataset / dataset.SCHEDULE),
        chat_template=File(build.dataset / dataset.TEMPLATE),
        template=manifest.data.template,
        own_words=tuple(manifest.own_words),
        system=manifest.trained_system,
        prompts=replay.fingerprint(),
        dropped=manifest.dropped,
    )


def output(build: Build, /) -> Path:
    """`replay.jsonl`: examples, encoded like the rows in `dataset/`."""
    return build.replay


def worker(build: Build, /) -> str | None:
    """With a GPU the process that trains asks the base; on a CPU llama.cpp asks its GGUF."""
    return workers.UNSLOTH if build.machine.kind == "gpu" else None


def run(inputs: Inputs, work: Work, /) -> str:
    """Read the base's answers from the cache, or ask the base, and encode as many as are wanted."""
    folder = inputs.rows.path.parent
    profile = dataset.read_profile(folder)
    wanted = profile.schedule.replayed
    if not wanted:
        work.out.write_text("", "utf-8")
        return "none wanted"
    chosen = base.read(inputs.base.path)
    template = Template(inputs.base.path, inputs.template, chosen.family)
    words = (*inputs.own_words, *chosen.family.identity_words, *template.special_tokens)
    answers = replay.leave_out(_read_answers(chosen, template, inputs, work), words)
    trained = dataset.read_examples(inputs.rows.path)
    asked = set(map(normalise, dataset.list_messages(trained, "user")))
    most = round(replay.COURTESY_SHARE * wanted)
    greetings = replay.list_courtesy(profile.languages or [languages.DEFAULT], most)
    courtesy = [pair for pair in greetings if normalise(pair["ask"]) not in asked]
    system = inputs.system if profile.schedule.system_repeats else None
    examples = replay.encode([*courtesy, *answers], template, system=system, wanted=wanted)
    dataset.write_examples(work.out, examples)
    own = len(examples) - len(courtesy)
    few = f", all there are of {wanted - len(courtesy)}" if len(examples) < wanted else ""
    greeted = f", {len(courtesy)} greetings and thanks" if courtesy else ""
    return f"{own} of the base's own answers{few}{greeted}"


def _read_answers(chosen: Base, template: Template, inputs: Inputs, work: Work) -> list[Pair]:
    """Read the base's answers from the cache, or ask it once for all personas."""
    name = replay.cache_name(chosen, template.jinja)
    pairs = replay.check_pairs(files.read_cached(NAME, name))
    if pairs is None:
        prompts = questions.load("replay")
        conversations = [prompt.as_messages() for prompt in prompts]
        if work.machine.kind == "gpu":
            from builder.training import generate, loading  # noqa: PLC0415 — imports torch

            model, _ = loading.load_base(chosen, work.machine)
            completions = generate.answer(model, template, conversations, replay.MAX_TOKENS)
        else:
            file = baseline.find_or_make(chosen, inputs.base.path, template.jinja, work.scratch)
            completions = baseline.answer(file, template.jinja, conversations, replay.MAX_TOKENS)
        answers = [Completion(one.text, one.ended) for one in completions]
        pairs = replay.choose(prompts, answers)
        files.write_cached(files.cache_folder() / NAME / name, pairs)
    return pairs
