"""The table [ollama] of persona.toml: the model's name, system text, licence and parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WrapValidator, field_validator

from builder.escapes import quote
from builder.manifest.fields import MaybeText, ModelName
from builder.tables import Settings

# No model has a longer context, and no machine more layers, GPUs or threads.
MOST_TOKENS, MOST_UNITS = 1 << 20, 1 << 16
SHOWN_PROBLEMS = 3
# The special tokens of common families: ChatML, Llama, Gemma, Mistral, DeepSeek.
SPECIAL_TOKEN = re.compile(
    r"<\|[^|<>]+\|>|<\|\w+>|<\w+\|>|<｜[^｜<>]+｜>"
    r"|<(?:start|end)_of_turn>|</?s>|<(?:bos|eos|pad|unk)>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"
)


def find_special_tokens(text: str, eos: str | None = None) -> list[str]:
    """Say of each line that holds a special token that it does.

    Args:
        text: The text.
        eos: The base's EOS; None if it is not known yet.

    """
    problems = []
    for number, line in _number_lines(text):
        found = SPECIAL_TOKEN.search(line)
        token = found[0] if found else eos
        if token and token in line:
            problems.append(
                f"line {number} contains the special token {quote(token)}, expected plain text"
            )
    return problems


def _find_ends(text: str) -> list[str]:
    """Say of each line that would end a value in triple quotes that it does."""
    what = 'ends with """, which ends the value in a Modelfile; expected something after the """'
    ends = (number for number, line in _number_lines(text) if line.rstrip().endswith('"""'))
    return [f"line {number} {what}" for number in ends]


def _number_lines(text: str) -> list[tuple[int, str]]:
    # In Ollama's parser both characters end a line.
    return list(enumerate(re.split(r"\r\n|\r|\n", text), start=1))


def _fits_a_modelfile(text: str) -> str:
    _refuse(_find_ends(text))
    return text


def _is_plain_text(text: str) -> str:
    _refuse([*_find_ends(text), *find_special_tokens(text)])
    return text


def _is_stop(text: str) -> str:
    """Refuse what never ends an answer; blanks and line ends may."""
    if not text or "\0" in text:
        raise ValueError(f"is {quote(text)}, expected text")
    return _fits_a_modelfile(text)


def _refuse(problems: Sequence[str]) -> None:
    """Raise an error of the first few problems, if there are any."""
    if problems:
        more = len(problems) - SHOWN_PROBLEMS
        shown = [*problems[:SHOWN_PROBLEMS], *([f"and {more:,} more"] if more > 0 else [])]
        raise ValueError("; ".join(shown))


def _keep_whole(value: Any, read: Callable[[Any], float]) -> float:
    """Read a number, and keep a whole one as it was written: 0 and not 0.0."""
    number = read(value)
    return value if isinstance(value, int) else number


AS_WRITTEN = WrapValidator(_keep_whole)
Tokens = Annotated[int, Field(ge=0, le=MOST_TOKENS)]
TokensOrAll = Annotated[int, Field(ge=-1, le=MOST_TOKENS)]
Units = Annotated[int, Field(ge=0, le=MOST_UNITS)]
Share = Annotated[float, Field(ge=0, le=1), AS_WRITTEN]
Penalty = Annotated[float, Field(ge=-100, le=100), AS_WRITTEN]
Stop = Annotated[str, AfterValidator(_is_stop)]


# The names and types are those of api.Options and api.Runner (github.com/ollama/ollama 0.34.2,
# api/types.go).
class Parameters(Settings):
    """Ollama's parameters, which override those of the base's family."""

    refused_keys = MappingProxyType({"typical_p": "Ollama creates no model with it"})

    temperature: Annotated[float, Field(ge=0, le=100), AS_WRITTEN] | None = Field(
        None, description="How random answers are; 0 always takes the likeliest token."
    )
    top_k: Tokens | None = Field(
        None, description="Choose among this many of the likeliest tokens; 0 is all."
    )
    top_p: Share | None = Field(
        None, description="Choose among the likeliest tokens that reach this probability in all."
    )
    min_p: Share | None = Field(
        None, description="Leave out tokens below this share of the likeliest one's probability."
    )
    seed: Annotated[int, Field(ge=-1, le=(1 << 32) - 1)] | None = Field(
        None, description="Seed of random answers; -1 is another one each time."
    )
    num_ctx: Annotated[int, Field(ge=256, le=MOST_TOKENS)] | None = Field(
        None, description="Length of the context in tokens."
    )
    num_predict: TokensOrAll | None = Field(
        None, description="Greatest length of an answer in tokens; -1 is without end."
    )
    num_keep: TokensOrAll | None = Field(
        None, description="Tokens kept from the beginning when the context is full."
    )
    stop: list[Stop] | None = Field(
        None, description="Texts that end an answer, instead of those of the chat template."
    )
    repeat_penalty: Annotated[float, Field(ge=0.01, le=100), AS_WRITTEN] | None = Field(
        None, description="Makes tokens that were just written less likely; 1 does not."
    )
    repeat_last_n: TokensOrAll | None = Field(
        None, description="How many tokens back the penalties look; -1 is the whole context."
    )
    presence_penalty: Penalty | None = Field(
        None, description="Makes tokens that were written less likely, however often."
    )
    frequency_penalty: Penalty | None = Field(
        None, description="Makes tokens less likely each time that they were written."
    )
    num_gpu: Annotated[int, Field(ge=-1, le=MOST_UNITS)] | None = Field(
        None, description="Layers on the GPU; -1 leaves it to Ollama."
    )
    main_gpu: Units | None = Field(None, description="The GPU that holds what is not shared.")
    num_thread: Units | None = Field(None, description="CPU threads; 0 leaves it to Ollama.")
    num_batch: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = Field(
        None, description="Tokens of a prompt that are read at once."
    )
    draft_num_predict: Tokens | None = Field(
        None, description="Tokens that a draft model proposes at once."
    )
    use_mmap: bool | None = Field(None, description="Whether the file is mapped into memory.")

    @property
    def given(self) -> dict[str, Any]:
        """Those that the manifest sets, as they were written."""
        return self.model_dump(exclude_unset=True)


class Ollama(Settings):
    """What Ollama gets."""

    model: ModelName | None = Field(
        None, description="Name in Ollama; the folder's name by default."
    )
    system: MaybeText | None = Field(
        None, description="System text served with every conversation."
    )
    license: MaybeText | None = Field(None, description="Licence text or name, kept in the model.")
    parameters: Parameters = Parameters()

    @field_validator("system")
    @classmethod
    def _check_system(cls, text: str | None) -> str | None:
        return text and _is_plain_text(text)

    @field_validator("license")
    @classmethod
    def _check_license(cls, text: str | None) -> str | None:
        return text and _fits_a_modelfile(text)
