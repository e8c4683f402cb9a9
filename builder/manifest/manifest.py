"""The tables of persona.toml: the types, defaults and descriptions of keys, and their rules."""

from __future__ import annotations

import collections
import os
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from builder.escapes import quote
from builder.gguf.quantisation import BY_NAME, DEFAULT
from builder.manifest import recipes
from builder.manifest.fields import (
    InnerPath,
    OneOf,
    Text,
    Texts,
)
from builder.manifest.gate_settings import Gates
from builder.manifest.identity import Identity
from builder.manifest.ollama import Ollama
from builder.manifest.packaged import check_packs
from builder.manifest.training import Training, find_recipe
from builder.tables import Settings


class Base(Settings):
    """The base model that is trained, for machines with and without a GPU."""

    gpu: Text = Field(
        "unsloth/Qwen3-4B-Instruct-2507",
        description="With a GPU: a Hugging Face repository, or a folder.",
    )
    cpu: Text = Field(
        "smollm2-135m-instruct",
        description="Without one: the embedded base, a repository, or a folder.",
    )
    identity_words: tuple[Text, ...] = Field(
        (),
        strict=False,
        description="What the base calls itself and its makers, where its family is not known.",
    )


class Data(Settings):
    """Where the conversations are and how they become text."""

    files: tuple[InnerPath, ...] = Field(
        ("data.jsonl",),
        strict=False,
        description=(
            "Files inside the folder: .jsonl, .json, .csv, .tsv, .parquet. Without it "
            "`data.jsonl`, or else the one `data.csv`, `.tsv`, `.json` or `.parquet` that is there."
        ),
    )
    packs: Annotated[tuple[str, ...], AfterValidator(check_packs)] = Field(
        (),
        strict=False,
        description="Rows that ship with the package: `identity/en` teaches name and author.",
    )
    format: Literal["auto", "alpaca", "sharegpt", "messages", "prompt_completion"] = Field(
        "auto", description="How a row is laid out; `auto` recognises it by its keys."
    )
    template: Literal["base", "chatml", "alpaca"] = Field(
        "base",
        description=(
            "The chat template trained and served under; `base` is the base's own, its default "
            "system text taken out."
        ),
    )
    held_out: float | None = Field(
        None,
        ge=0,
        le=0.5,
        description=(
            "Share of the questions never trained on, whose loss is compared with the base's. "
            "Without it 0.1 of your own rows from a hundred of them on, and 0.1 of the rows of "
            "packs from a hundred on; a number applies to both."
        ),
    )
    placeholders: bool = Field(
        default=True,
        description=(
            "Whether {{ name }} and {{ author }} in rows are filled in; false leaves braces as "
            "they are."
        ),
    )

    @model_validator(mode="after")
    def _there_are_rows(self) -> Data:
        if not self.files and not self.packs:
            msg = "files and packs are both empty, expected a file or a pack"
            raise ValueError(msg)
        return self

    @field_validator("files")
    @classmethod
    def _files_differ(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse a file that is named twice, whose rows would count twice."""
        counts = collections.Counter(map(os.path.normpath, paths))
        repeated = [path for path in paths if counts[os.path.normpath(path)] > 1]
        if repeated:
            raise ValueError(f"{quote(repeated[-1])} appears twice, expected each file once")
        return paths


class Export(Settings):
    """How the model file is written."""

    quantisation: Annotated[str, OneOf(tuple(BY_NAME))] = Field(
        DEFAULT.name,
        description="Types of the file's tensors: from smallest to most exact.",
    )


class Question(Settings):
    """One question of the smoke stage."""

    ask: Text = Field(description="What the user says.")
    must: Texts = Field((), description="Texts that the answer must all contain (ignoring case).")
    must_not: Texts = Field((), description="Texts that the answer must not contain.")

    @model_validator(mode="after")
    def _can_be_met(self) -> Question:
        for wanted in self.must:
            for unwanted in self.must_not:
                if unwanted.casefold() in wanted.casefold():
                    told = f"must has {quote(wanted)} and must_not {quote(unwanted)}"
                    raise ValueError(f"{told}, expected texts that one answer can meet")
        return self


class Smoke(Settings):
    """What the finished model is asked before it is registered."""

    questions: tuple[Question, ...] = Field(
        (),
        strict=False,
        description="Questions in addition to the gates' own, asked with the served system text.",
    )
    max_tokens: int | None = Field(
        None,
        ge=8,
        le=8192,
        description=(
            "Greatest length of an answer in tokens, before which it must end by itself; 192, or "
            "twice the longest reply."
        ),
    )


class Manifest(Settings):
    """The whole of persona.toml."""

    kind: Literal["identity", "voice", "format"] | None = Field(
        None,
        description=(
            "What the persona is, which decides epochs, replay and gates; by default found from "
            "its data."
        ),
    )
    identity: Identity | None = None
    base: Base = Base()
    data: Data = Data()
    training: Training = Training()
    export: Export = Export()
    ollama: Ollama = Ollama()
    smoke: Smoke = Smoke()
    gates: Gates = Gates()

    @model_validator(mode="before")
    @classmethod
    def _follow_recipe(cls, given: Any) -> Any:
        """Use the chat template of the recipe in `[training]`."""
        if not isinstance(given, dict) or isinstance(given.get("data"), Data):
            return given
        data = recipes.fill(find_recipe(given.get("training")), "data", given.get("data", {}))
        return {**given, "data": data} if data else given

    @model_validator(mode="after")
    def _an_identity_has_a_name(self) -> Manifest:
        if self.kind == "identity" and self.identity is None:
            msg = 'kind is "identity" and there is no [identity], expected one with a name'
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _packs_have_a_name_to_teach(self) -> Manifest:
        if self.data.packs and self.identity is None:
            msg = "data.packs teach a name and there is no [identity], expected one, or no packs"
            raise ValueError(msg)
        return self

    def texts(self, field: Literal["name", "author"]) -> list[str]:
        """List all wordings of the name or the author; empty without an identity."""
        return self.identity.texts(field) if self.identity else []

    @property
    def own_words(self) -> list[str]:
        """All wordings of the name and the author."""
        return self.identity.own_words if self.identity else []

    def placeholders(self, language: str) -> dict[str, str]:
        """Give `{{ name }}` and `{{ author }}` in a language, or else in the first one."""
        return self.identity.placeholders(language) if self.identity else {}

    @property
    def dropped(self) -> dict[str, str]:
        """Settings that have no effect because of another one, and that one's name."""
        if bool(self.ollama.system) == bool(self.training.system_share):
            return {}
        pair = ("ollama.system", "training.system_share")
        name, by = pair if self.ollama.system else reversed(pair)
        return {name: by}

    @property
    def trained_system(self) -> str | None:
        """The system text that rows are trained with; None if none is served or trained."""
        return (self.ollama.system or None) if self.training.system_share else None
