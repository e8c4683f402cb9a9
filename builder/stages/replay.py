"""Stage 3, replay: the base's own answers to general prompts, trained on too, so that nothing is forgotten."""

from __future__ import annotations

import collections
import hashlib
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

from builder import base, files, progress, weights
from builder.accelerator import find_accelerator
from builder.conversation import Message, Template
from builder.errors import DataError
from builder.gates import questions
from builder.llama import Answer, Model
from builder.rows import normalise
from builder.stage import Job

NAME = "replay"
VERSION = 2
HEAVY = True
MAX_TOKENS = 48
# For each time that the rows come in an epoch. With two in all, twenty rows left the name in a seventh to two fifths of other answers.
LEAST_ANSWERS = 20
SENTENCE = re.compile(r".+?(?:(?<!\d)[.!?](?=\s|$)|[。！？])", re.DOTALL)


def inputs(job: Job) -> list[Path]:
    """The base, the trained template, and the rows, by whose number the answers are counted out."""
    return [job.base / "base.json", job.dataset / "train.jsonl", job.dataset / "chat_template.jinja"]


def settings(job: Job) -> dict[str, Any]:
    """How many, for how long a training, and of which prompts."""
    training = job.persona.manifest.training
    return {"training.replay": training.replay, "training.epochs": training.epochs, "prompts": _prompts_hash()}


def output(job: Job) -> Path:
    """`replay.jsonl`: encoded like the rows of `dataset/`."""
    return job.replay


def health(_job: Job) -> str | None:
    """Nothing outside is needed."""
    return None


def run(job: Job, out: Path) -> str:
    """Take the base's answers from the cache, or let it answer once, and encode as many as are wanted."""
    rows = (job.dataset / "train.jsonl").read_text().splitlines()
    chosen = base.read(job.base)
    training = job.persona.manifest.training
    times, _ = chosen.family.divide_passes(len(rows), training.epochs)
    wanted = times * max(round(training.replay * len(rows)), LEAST_ANSWERS) if training.replay else 0
    if not wanted:
        out.write_text("")
        return "none wanted"
    template = Template(job.base, job.persona.manifest.data.template, chosen.family)
    name = f"{_slug(chosen, template.jinja)}.json"
    pairs = files.read_kept(NAME, name)
    if pairs is None:
        pairs = _ask(job, chosen, template)
        files.write_json(files.cache_folder() / NAME / name, pairs)
    identity = job.persona.manifest.identity
    words = (*identity.texts("name"), *identity.texts("author"), *chosen.family.identity_words, *template.special)
    lines = []
    for pair in leave_out(pairs, words):
        messages = [{"role": "user", "content": pair["ask"]}, {"role": "assistant", "content": pair["answer"]}]
        try:
            coded = template.encode(messages)
        except DataError:  # the base wrote something that its template cannot hold
            continue
        lines.append(json.dumps({"messages": messages, "input_ids": coded.ids, "labels": coded.labels()}, ensure_ascii=False))
    chosen_lines = lines[:wanted]
    out.write_text("".join(line + "\n" for line in chosen_lines))
    return f"{len(chosen_lines)} of the base's own answers" + (f", all there are of {wanted}" if len(chosen_lines) < wanted else "")


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
            (chosen if answer.ended else cut).append((question.language, {"ask": question.text, "answer": text}))
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
    return [pair for pair in pairs if not any(word.casefold() in pair["answer"].casefold() for word in words)]


def _slug(chosen: base.Base, jinja: str) -> str:
    parts = [chosen.source, chosen.revision, jinja, _prompts_hash(), str(MAX_TOKENS), str(chosen.four_bit), str(VERSION)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _prompts_hash() -> str:
    return hashlib.sha256(resources.files("builder.gates").joinpath("replay.jsonl").read_bytes()).hexdigest()[:12]


def _ask(job: Job, chosen: base.Base, template: Template) -> list[dict[str, str]]:
    """Let the base answer every prompt, and choose among its answers."""
    asked = questions.load("replay")
    ask = _ask_live if find_accelerator().kind == "gpu" else _ask_file
    answers = ask(job, chosen, template, [question.as_messages() for question in asked])
    return choose(asked, answers)


def _ask_file(job: Job, chosen: base.Base, template: Template, conversations: list[list[Message]]) -> list[Answer]:
    model = Model(_control(job, chosen, template), template.jinja)
    answers = []
    for number, messages in enumerate(conversations):
        progress.report("replay", number, len(conversations), "answers")
        answers.append(model.ask(messages, MAX_TOKENS))
    return answers


def _control(job: Job, chosen: base.Base, template: Template) -> Path:
    """Give the base as a GGUF, exported once for all personas where it is no package's."""
    found = weights.find_control(chosen)
    if found is None:
        from builder.gguf.export import export  # noqa: PLC0415 — imports torch

        found = weights.control_path(chosen)
        found.parent.mkdir(parents=True, exist_ok=True)
        made = job.work / "control.gguf"
        export(weights.find_weights(chosen), None, made, tokenizer=job.base, chat_template=template.jinja, metadata={"general.name": chosen.source})
        files.move(made, found)
    return found


def _ask_live(job: Job, chosen: base.Base, template: Template, conversations: list[list[Message]]) -> list[Answer]:
    weights.prepare_unsloth(job.work)
    import unsloth  # noqa: F401, PLC0415 — must come before the libraries it patches
    from unsloth import FastLanguageModel  # noqa: PLC0415

    from builder import live  # noqa: PLC0415 — imports torch

    model, _ = FastLanguageModel.from_pretrained(
        str(weights.find_weights(chosen, training=True)), max_seq_length=1024, dtype=None, load_in_4bit=chosen.four_bit, local_files_only=True
    )
    FastLanguageModel.for_inference(model)
    return live.answer(model, template, conversations, MAX_TOKENS)
