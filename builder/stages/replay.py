"""The replay stage: the base's own answers to general prompts, trained on too, so that nothing is forgotten."""

from __future__ import annotations

import collections
import hashlib
import itertools
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

from builder import files, progress
from builder.bases import base, baseline, fetch
from builder.data import dataset
from builder.data.dataset import Example
from builder.data.template import Message, Template
from builder.data.texts import normalise
from builder.engine.stage import Job
from builder.errors import DataError
from builder.evaluation import questions
from builder.llama import Answer, Model
from builder.machine import find_accelerator
from builder.training import loading

NAME = "replay"
VERSION = 3
HEAVY = True
MAX_TOKENS = 48
# Room in the model that is loaded here, which train can then use too: training.max_length's default.
MAX_ROW_TOKENS = 1024
# Bumped when what is taken of the base's answers changes, and what comes prepared must be renewed.
ANSWERS_VERSION = 2
# Of what is replayed, at most so much are greetings, thanks and goodbyes: a small base answers them with nonsense.
COURTESY_SHARE = 1 / 3
SENTENCE = re.compile(r".+?(?:(?<!\d)[.!?](?=\s|$)|[。！？])", re.DOTALL)


def inputs(job: Job) -> list[Path]:
    """The base, the rows and the schedule, which say how many are wanted, and the trained template."""
    names = (dataset.TRAIN, dataset.PROFILE, dataset.SCHEDULE, dataset.TEMPLATE)
    return [job.base / "base.json", *(job.dataset / name for name in names)]


def settings(job: Job) -> dict[str, Any]:
    """The prompts, the words that are left out, and the system text that half of them carry."""
    manifest = job.persona.manifest
    return {
        "prompts": _hash_of("replay.jsonl"),
        "courtesy": _hash_of("courtesy.jsonl"),
        "courtesy share": COURTESY_SHARE,
        **manifest.settings("identity"),
        **manifest.system_settings(),
    }


def output(job: Job) -> Path:
    """`replay.jsonl`: encoded like the rows of `dataset/`."""
    return job.replay


def health(_job: Job) -> str | None:
    """Nothing outside is needed."""
    return None


def run(job: Job, out: Path) -> str:
    """Take the base's answers from the cache, or let it answer once, and encode as many as are wanted."""
    profile = dataset.read_profile(job.dataset)
    chosen = base.read(job.base)
    wanted = profile.schedule.replayed
    if not wanted:
        out.write_text("")
        return "none wanted"
    template = Template(job.base, job.persona.manifest.data.template, chosen.family)
    name = f"{_slug(chosen, template.jinja)}.json"
    pairs = files.read_kept(NAME, name)
    if pairs is None:
        pairs = _ask(job, chosen, template)
        files.write_json(files.cache_folder() / NAME / name, pairs)
    words = (*job.persona.manifest.own_words, *chosen.family.identity_words, *template.special)
    trained = dataset.read_examples(job.dataset / dataset.TRAIN)
    asked = set(map(normalise, dataset.list_messages(trained, "user")))
    courtesy = [
        pair
        for pair in list_courtesy(profile.languages or ["en"], round(COURTESY_SHARE * wanted))
        if normalise(pair["ask"]) not in asked
    ]
    examples: list[Example] = []
    for pair in [*courtesy, *leave_out(pairs, words)]:
        try:
            examples.append(
                _encode(job, template, pair, profile.schedule.system_repeats, len(examples))
            )
        except DataError:  # the base wrote something that its template cannot hold
            continue
        if len(examples) == wanted:
            break
    dataset.write_examples(out, examples)
    own = len(examples) - len(courtesy)
    told = f"{own} of the base's own answers" + (
        f", all there are of {wanted - len(courtesy)}" if len(examples) < wanted else ""
    )
    return f"{told}, {len(courtesy)} greetings and thanks" if courtesy else told


def _encode(
    job: Job, template: Template, pair: dict[str, str], system_repeats: int, number: int
) -> Example:
    """Encode an answer; every other one carries the served system text, where the rows do."""
    messages = [
        {"role": "user", "content": pair["ask"]},
        {"role": "assistant", "content": pair["answer"]},
    ]
    has_system = bool(system_repeats) and number % 2 == 0
    if has_system:
        messages.insert(0, {"role": "system", "content": str(job.persona.manifest.ollama.system)})
    coded = template.encode(messages)
    return Example(messages, coded.ids, coded.labels(), has_system=has_system)


def list_courtesy(languages: list[str], most: int) -> list[dict[str, str]]:
    """List greetings, thanks and goodbyes with fitting answers, as many of each of the languages."""
    lines = (
        resources.files("builder.data").joinpath("courtesy.jsonl").read_text("utf-8").splitlines()
    )
    pairs = [json.loads(line) for line in lines]
    spoken = [[pair for pair in pairs if pair["language"] == language] for language in languages]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*spoken))
    return [{"ask": pair["ask"], "answer": pair["answer"]} for pair in turns if pair][:most]


def choose(asked: list[questions.Question], answers: list[Answer]) -> list[dict[str, str]]:
    """Choose what is worth training on, in the order in which it is taken.

    Args:
        asked: The prompts.
        answers: The base's, in the same order, each cut off after `MAX_TOKENS`.

    Returns:
        Objects of `ask` and `answer`: first what ended by itself, then the first sentence of what did not, in the language
        that is behind. A base that seldom ends in one of them would else teach its persona no endings there.

    """
    chosen: list[tuple[str, dict[str, str]]] = []
    cut: list[tuple[str, dict[str, str]]] = []
    for question, answer in zip(asked, answers, strict=True):
        text = answer.text.strip() if answer.ended else first_sentence(answer.text)
        if text and (answer.ended or normalise(text) != normalise(question.text)):
            (chosen if answer.ended else cut).append(
                (question.language, {"ask": question.text, "answer": text})
            )
    while cut:
        spoken = collections.Counter(language for language, _ in chosen)
        chosen.append(cut.pop(min(range(len(cut)), key=lambda index: spoken[cut[index][0]])))
    return [pair for _, pair in chosen]


def first_sentence(text: str) -> str:
    """Give the first whole sentence of a text; nothing where it ends before that."""
    found = SENTENCE.match(text.strip())
    return found.group().strip() if found else ""


def leave_out(pairs: list[dict[str, str]], words: tuple[str, ...]) -> list[dict[str, str]]:
    """Leave out the answers that hold one of the words, in whatever case."""
    return [
        pair
        for pair in pairs
        if not any(word.casefold() in pair["answer"].casefold() for word in words)
    ]


def _slug(chosen: base.Base, jinja: str) -> str:
    parts = [
        chosen.source,
        chosen.revision,
        jinja,
        _hash_of("replay.jsonl"),
        str(MAX_TOKENS),
        str(chosen.four_bit),
        str(ANSWERS_VERSION),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _hash_of(name: str) -> str:
    return hashlib.sha256(resources.files("builder.data").joinpath(name).read_bytes()).hexdigest()[
        :12
    ]


def _ask(job: Job, chosen: base.Base, template: Template) -> list[dict[str, str]]:
    """Let the base answer every prompt, and choose among its answers."""
    asked = questions.load("replay", "builder.data")
    ask = _ask_live if find_accelerator().kind == "gpu" else _ask_file
    answers = ask(job, chosen, template, [question.as_messages() for question in asked])
    return choose(asked, answers)


def _ask_file(
    job: Job, chosen: base.Base, template: Template, conversations: list[list[Message]]
) -> list[Answer]:
    model = Model(_control(job, chosen, template), template.jinja)
    answers = []
    for number, messages in enumerate(conversations):
        progress.report("replay", number, len(conversations), "answers")
        answers.append(model.ask(messages, MAX_TOKENS))
    return answers


def _control(job: Job, chosen: base.Base, template: Template) -> Path:
    """Give the base as a GGUF, exported once for all personas where it is no package's."""
    found = baseline.find_control(chosen)
    if found is None:
        from builder.gguf.export import export  # noqa: PLC0415 — imports torch

        found = baseline.control_path(chosen)
        found.parent.mkdir(parents=True, exist_ok=True)
        made = job.work / "control.gguf"
        export(
            fetch.find_weights(chosen),
            None,
            made,
            tokenizer=job.base,
            chat_template=template.jinja,
            metadata={"general.name": chosen.source},
        )
        files.move(made, found)
    return found


def _ask_live(
    job: Job, chosen: base.Base, template: Template, conversations: list[list[Message]]
) -> list[Answer]:
    loading.prepare_unsloth(job.work)
    model, _ = loading.load(
        fetch.find_weights(chosen, training=True),
        find_accelerator(),
        four_bit=chosen.four_bit,
        max_tokens=MAX_ROW_TOKENS,
    )
    from unsloth import FastLanguageModel  # noqa: PLC0415 — imported by `load`

    from builder.training import generate  # noqa: PLC0415 — imports torch

    FastLanguageModel.for_inference(model)
    return generate.answer(model, template, conversations, MAX_TOKENS)
