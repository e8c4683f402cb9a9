"""A chat template rendered without transformers, which takes seconds to import."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from builder import sandbox
from builder.sandbox import LimitError, RenderingError

if TYPE_CHECKING:
    from jinja2.parser import Parser

# What a template raises on a conversation that it cannot render: by itself, by what it lacks, or
# by any of its expressions.
UNRENDERABLE = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)
DEFAULTS = {"add_generation_prompt": False, "tools": None, "documents": None}
# Of processor time; the longest template known, Gemma 4's, takes a thousandth of it.
MOST_CPU_S_EACH = 0.1
# Of the JSON of conversations that one process renders; parsed they take at most some tens of times
# as many bytes.
MOST_BATCH_CHARACTERS = 8 << 20


class _Generation(Extension):
    """The tag `generation` of some templates, which marks replies; its body is rendered."""

    tags = {"generation"}  # noqa: RUF012 — as Extension declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def render(
    jinja: str,
    messages: Sequence[Mapping[str, Any]],
    tokens: Mapping[str, str],
    **options: Any,
) -> str:
    """Render a conversation as transformers does.

    Args:
        jinja: The template's text; it runs in a sandbox.
        messages: The conversation.
        tokens: `bos_token`, `eos_token` and others by their names in tokenizer_config.json.
        options: `add_generation_prompt`, `tools`, `enable_thinking`: variables of the template.

    Raises:
        UNRENDERABLE: The template refuses the conversation, or is broken.

    Source:
        transformers 5.17, utils/chat_template_utils.py: what the environment holds.

    """
    values = {**DEFAULTS, **options, **tokens, "messages": list(messages)}
    return "".join(compile_template(jinja)(values))


def check_limits(
    jinja: str,
    conversations: Iterable[Sequence[Mapping[str, Any]]],
    tokens: Mapping[str, str],
    tools: Sequence[list[dict[str, Any]]] = (),
) -> None:
    """Render conversations, answered and awaiting an answer, under limits of time and size.

    A template that only cannot render them passes.

    Args:
        jinja: The template's text.
        conversations: The conversations.
        tokens: As `render` takes them.
        tools: What each conversation declares, in their order; none where it is empty.

    Raises:
        LimitError: It takes more than it may.

    """
    values = (
        {
            **DEFAULTS,
            **tokens,
            "messages": list(messages),
            "tools": declared or None,
            "add_generation_prompt": is_asked,
        }
        for messages, declared in itertools.zip_longest(conversations, tools)
        for is_asked in (False, True)
    )
    for batch in _divide(values):
        most_cpu_s = sandbox.MOST_CPU_S + math.ceil(len(batch) * MOST_CPU_S_EACH)
        try:
            sandbox.render(__name__, jinja, batch, is_check=True, most_cpu_s=most_cpu_s)
        except LimitError:
            raise
        except RenderingError:  # which whoever renders it tells
            return


def _divide(values: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Divide values into batches, so that rows together do not reach the limit of memory."""
    batch: list[dict[str, Any]] = []
    size = 0
    for value in values:
        batch.append(value)
        size += len(json.dumps(value))
        if size >= MOST_BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def compile_template(jinja: str) -> Callable[[dict[str, Any]], Iterable[str]]:
    """Compile a chat template, to be rendered piece by piece."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals.update(raise_exception=_raise, strftime_now=_strftime_now)
    return environment.from_string(jinja).generate


def _to_json(value: Any, indent: int | None = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, **options)


def _raise(message: str) -> None:
    raise TemplateError(message)


def _strftime_now(form: str) -> str:
    return dt.datetime.now().strftime(form)  # noqa: DTZ005 — local time, as transformers does
