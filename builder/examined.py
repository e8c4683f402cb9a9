"""The inputs that the stages that ask a persona's model have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.data import languages
from builder.engine.inputs import File, Tree, not_compared, shown_as
from builder.evaluation import texts
from builder.evaluation.subject import Source
from builder.gguf.quantisation import BY_NAME
from builder.manifest import manifest
from builder.manifest.gate_settings import Gates
from builder.manifest.identity import Identity
from builder.project import Build

if TYPE_CHECKING:
    from builder.evaluation.examination import Material


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What decides the questions: the persona, how it is served, and the questions themselves."""

    dataset: Tree
    base: Tree
    identity: Identity | None
    gates: Gates
    system: str | None = shown_as("ollama.system")
    parameters: dict[str, Any] = shown_as("ollama.parameters")
    max_tokens: int | None = shown_as("smoke.max_tokens")
    questions: str = shown_as("the gates' questions")
    """A hash of the questions and texts that come with the project."""

    def source(self) -> Source:
        """Convert it for `builder.evaluation.subject`."""
        return Source(
            dataset=self.dataset.path,
            base=self.base.path,
            identity=self.identity,
            gates=self.gates,
            system=self.system,
            parameters=self.parameters,
            max_tokens=self.max_tokens,
        )


@dataclass(frozen=True, kw_only=True)
class ExaminedFile(Examined):
    """The finished file, and what it is compared with."""

    gguf: File
    reference: File
    answers: File
    own_questions: tuple[manifest.Question, ...] = shown_as("smoke.questions")
    quantisation: str = shown_as("export.quantisation")
    cache: Path = not_compared()

    def material(self) -> Material:
        """Convert it for `builder.evaluation.examination`."""
        from builder.evaluation.examination import Material  # noqa: PLC0415 — imports numpy

        return Material(
            **vars(self.source()),
            gguf=self.gguf.path,
            reference=self.reference.path,
            answers=self.answers.path,
            questions=self.own_questions,
            quantisation=BY_NAME[self.quantisation],
            cache=self.cache,
        )


def declare(build: Build) -> dict[str, Any]:
    """Give the fields of `Examined` for a build."""
    read = build.persona.manifest
    return {
        "dataset": Tree(build.dataset),
        "base": Tree(build.base),
        "identity": read.identity,
        "gates": read.gates,
        "system": read.ollama.system or None,
        "parameters": read.ollama.parameters.given,
        "max_tokens": read.smoke.max_tokens,
        "questions": f"{languages.hash_questions()} {texts.fingerprint()}",
    }


def declare_file(build: Build) -> dict[str, Any]:
    """Give the fields of `ExaminedFile` for a build."""
    return {
        **declare(build),
        "gguf": File(build.gguf),
        "reference": File(build.reference),
        "answers": File(build.answers),
        "own_questions": build.persona.manifest.smoke.questions,
        "quantisation": build.persona.manifest.export.quantisation,
        "cache": build.cache,
    }
