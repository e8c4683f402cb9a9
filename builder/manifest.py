"""The tables of persona.toml: every key with its type, default and meaning, and the rules between them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from builder.gate_settings import Gates
from builder.packaged import check_packs
from builder.tables import Table, Text

# The name in Ollama, `[[host/]namespace/]model[:tag]`: types/model/name.go of
# github.com/ollama/ollama 0.34.2.
MODEL_PATTERN = re.compile(
    r"(?:(?:[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}/)?"  # host
    r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}/)?"  # namespace
    r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"  # model
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}))?"
)
# Where internal/modelref/modelref.go of the same reads a place into the tag: `nova:local` is
# shown and deleted as `nova`, and `nova:cloud` is another machine's.
PLACE_PATTERN = re.compile(r"local|cloud|.*-cloud", re.IGNORECASE)
LANGUAGE_PATTERN = re.compile(r"[a-z]{2,3}")


# transformers seeds numpy too, which takes 32 bits.
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
TextByLanguage = Text | dict[str, Text]


def _inside_folder(path: str) -> str:
    """Refuse a path that leaves the persona's own folder."""
    if Path(path).is_absolute() or ".." in Path(path).parts or "\0" in path:
        msg = f"{path!r} leaves the persona's folder, expected a path inside it"
        raise ValueError(msg)
    return path


def _is_model_name(name: str) -> str:
    """Refuse what Ollama would not take as a model's name."""
    match = MODEL_PATTERN.fullmatch(name)
    if match is None:
        form = "model, namespace/model or host/namespace/model, and an optional ':tag'"
        form += ", each of letters, digits, '_', '.' and '-'"
        msg = f"{name!r} is not a name Ollama takes, expected {form}"
        raise ValueError(msg)
    if PLACE_PATTERN.fullmatch(match["tag"] or ""):
        msg = f"{name!r} has a tag that tells Ollama where a model runs, expected another tag"
        raise ValueError(msg)
    return name


class Identity(Table):
    """Who the persona is; what `{{ name }}` and `{{ author }}` in the data become. A voice or a format needs neither."""

    name: TextByLanguage = Field(
        description="What it calls itself: one text, or one per language (`en`, `zh`)."
    )
    author: TextByLanguage | None = Field(
        None, description="Who made it: one text, or one per language."
    )

    @model_validator(mode="after")
    def _languages_agree(self) -> Identity:
        for value in (self.name, self.author):
            if isinstance(value, dict):
                if not value:
                    msg = "no language is given, expected a text or at least one `language = text`"
                    raise ValueError(msg)
                wrong = [key for key in value if not LANGUAGE_PATTERN.fullmatch(key)]
                if wrong:
                    msg = f"{wrong[0]!r} is not a language, expected a code such as 'en' or 'zh'"
                    raise ValueError(msg)
        if (
            isinstance(self.name, dict)
            and isinstance(self.author, dict)
            and set(self.name) != set(self.author)
        ):
            missing = [
                f"{field} has no {language!r}"
                for field, value, other in (
                    ("name", self.name, self.author),
                    ("author", self.author, self.name),
                )
                for language in sorted(set(other) - set(value))
            ]
            raise ValueError(", ".join(missing) + ", expected the same languages in both")
        return self

    def languages(self) -> list[str]:
        """List the languages that have a text of their own; none where there is one text for all."""
        keyed = [value for value in (self.name, self.author) if isinstance(value, dict)]
        return sorted(set().union(*keyed))

    def placeholders(self, language: str) -> dict[str, str]:
        """Give the values of `{{ name }}` and `{{ author }}`, where they are given, in a language or else the first."""

        def pick(value: TextByLanguage) -> str:
            return (
                value if isinstance(value, str) else value.get(language, next(iter(value.values())))
            )

        author = {} if self.author is None else {"author": pick(self.author)}
        return {"name": pick(self.name), **author}

    @property
    def own_words(self) -> list[str]:
        """Every wording of the name and the author."""
        return list(dict.fromkeys([*self.texts("name"), *self.texts("author")]))

    def texts(self, field: Literal["name", "author"]) -> list[str]:
        """List every wording of the name, or of the author where one is given."""
        value = self.name if field == "name" else self.author
        if value is None:
            return []
        return [value] if isinstance(value, str) else list(dict.fromkeys(value.values()))


class Base(Table):
    """The model the persona grows from, by what the machine has."""

    gpu: Text = Field(
        "unsloth/Qwen3-4B-Instruct-2507",
        description="With a GPU: a Hugging Face repository, or a folder.",
    )
    cpu: Text = Field(
        "smollm2-135m-instruct",
        description="Without one: the embedded base, a repository, or a folder.",
    )


class Data(Table):
    """Where the conversations are and how they become text."""

    files: tuple[Annotated[str, AfterValidator(_inside_folder)], ...] = Field(
        ("data.jsonl",),
        description="Files inside the folder: .jsonl, .json, .csv, .tsv or .parquet; none with packs.",
    )
    packs: Annotated[tuple[str, ...], AfterValidator(check_packs)] = Field(
        (),
        description="Rows that ship with the package: `identity/en` teaches name and author.",
    )
    format: Literal["auto", "alpaca", "sharegpt", "messages", "prompt_completion"] = Field(
        "auto", description="How a row is laid out; `auto` tells by its keys."
    )
    template: Literal["base", "chatml", "alpaca"] = Field(
        "base",
        description="The chat template trained and served under; `base` is the base's own, its default system text taken out.",
    )
    held_out: float | None = Field(
        None,
        ge=0,
        le=0.5,
        description="Share of the questions never trained on, whose loss is compared with the base's; 0.1 from a hundred rows on, 0 below.",
    )
    placeholders: bool = Field(
        default=True,
        description="Whether {{ name }} and {{ author }} in rows are filled in; false leaves braces as they are.",
    )

    @model_validator(mode="after")
    def _there_are_rows(self) -> Data:
        if not self.files and not self.packs:
            msg = "files and packs are both empty, expected a file or a pack"
            raise ValueError(msg)
        return self


class Training(Table):
    """How the adapter is trained; what is left out comes from the base's family."""

    rank: int = Field(16, ge=1, le=256, description="Rank of the adapter's matrices.")
    alpha: int | None = Field(None, ge=1, description="Adapter scale times rank; by base.")
    learning_rate: float | None = Field(
        None, gt=0, lt=1, description="Peak learning rate, of an adapter's A; by base."
    )
    learning_rate_ratio: float | None = Field(
        None,
        ge=1,
        le=100,
        description="Learning rate of an adapter's B over that of its A (LoRA+); by base.",
    )
    epochs: float | None = Field(
        None,
        gt=0,
        le=100,
        description="How often each row is trained on; by kind and number of rows.",
    )
    max_steps: int | None = Field(None, ge=1, description="Optimiser steps; wins over `epochs`.")
    four_bit: bool = Field(
        default=True,
        description="On a GPU, train on 4-bit weights (QLoRA); a CPU trains on 16 bit where it computes bfloat16, else on 32.",
    )
    batch_size: int | None = Field(None, ge=1, description="Rows in one forward pass; by base.")
    gradient_accumulation: int = Field(1, ge=1, description="Forward passes in one optimiser step.")
    warmup_steps: int = Field(5, ge=0, description="Steps until the peak learning rate.")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's decay.")
    replay: float | None = Field(
        None,
        ge=0,
        le=4,
        description="Answers of the base itself trained on for each row, against forgetting; by kind.",
    )
    system_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the repeats of each row that carry `ollama.system` in training; with 0 a changed system text trains nothing again.",
    )
    max_length: int = Field(
        1024, ge=16, le=32768, description="Longest row, in tokens; a longer one is an error."
    )
    lora_seed: Seed = Field(3407, description="Seed of the adapter's first values.")
    seed: Seed = Field(213, description="Seed of the order of rows.")


class Export(Table):
    """How the model is written."""

    quantisation: Literal["q4_k_m", "q5_k_m", "q6_k", "q8_0", "f16"] = Field(
        "q4_k_m", description="Types of the file's tensors: from smallest to most exact."
    )


class Ollama(Table):
    """What the daemon is told."""

    model: Annotated[str, AfterValidator(_is_model_name)] | None = Field(
        None, description="Name in Ollama; the folder's name by default."
    )
    system: str | None = Field(None, description="System text served with every conversation.")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Ollama parameters over the base family's."
    )
    license: str | None = Field(None, description="Licence text or name, kept in the model.")


class Question(Table):
    """One question of the smoke stage."""

    ask: Text = Field(description="What the user says.")
    must: tuple[Text, ...] = Field(
        (), description="Texts of which the answer holds every one (case is ignored)."
    )
    must_not: tuple[Text, ...] = Field((), description="Texts of which the answer holds none.")


class Smoke(Table):
    """What the finished model is asked before it is registered."""

    questions: tuple[Question, ...] = Field(
        (), description="Questions beside the gates' own, asked with the served system text."
    )
    max_tokens: int | None = Field(
        None,
        ge=8,
        le=8192,
        description="Tokens within which an answer must end by itself; 192, or twice the longest reply.",
    )


class Manifest(Table):
    """The whole of persona.toml."""

    kind: Literal["identity", "voice", "format"] | None = Field(
        None,
        description="What the persona is, which decides epochs, replay and gates; told by its data.",
    )
    identity: Identity | None = None
    base: Base = Base()
    data: Data = Data()
    training: Training = Training()
    export: Export = Export()
    ollama: Ollama = Ollama()
    smoke: Smoke = Smoke()
    gates: Gates = Gates()

    @model_validator(mode="after")
    def _an_identity_has_a_name(self) -> Manifest:
        if self.kind == "identity" and self.identity is None:
            msg = 'kind is "identity" and there is no [identity], expected one with a name'
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _packs_have_a_name_to_teach(self) -> Manifest:
        if self.data.packs and self.identity is None:
            msg = "data.packs teach a name and there is no [identity], expected one with a name"
            raise ValueError(msg)
        return self

    def texts(self, field: Literal["name", "author"]) -> list[str]:
        """List every wording of the name or the author; none where there is none."""
        return self.identity.texts(field) if self.identity else []

    @property
    def own_words(self) -> list[str]:
        """Every wording of the name and the author."""
        return self.identity.own_words if self.identity else []

    def placeholders(self, language: str) -> dict[str, str]:
        """Give the values of `{{ name }}` and `{{ author }}`, where they are given, in a language or else the first."""
        return self.identity.placeholders(language) if self.identity else {}

    def settings(self, table: str) -> dict[str, Any]:
        """Give a table's values by the names that a reason shows; none of a table that is not given."""
        given: Table | None = getattr(self, table)
        return (
            {f"{table}.{key}": value for key, value in given.model_dump().items()} if given else {}
        )

    @property
    def trained_system(self) -> str | None:
        """The system text that rows carry in training; None where none is served, or none is trained."""
        return (self.ollama.system or None) if self.training.system_share else None

    def system_settings(self) -> dict[str, Any]:
        """Give what decides how rows carry the system text; with a share of 0 nothing of it does."""
        share = self.training.system_share if self.trained_system else None
        return {"ollama.system": self.trained_system, "training.system_share": share}
