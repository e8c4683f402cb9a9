"""Renders a chat template without transformers, which takes seconds to import."""

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

# The errors of a template that cannot render a conversation: its own, and those of its expressions.
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
# The limit of CPU time for a conversation; the longest known template, Gemma 4's, needs a
# thousandth.
MOST_CPU_S_EACH = 0.1
# The most characters of JSON for one process; parsed, they need at most some tens of times as many
# bytes.
MOST_BATCH_CHARACTERS = 8 << 20


class _Generation(Extension):
    """The tag `generation` of some templates, which marks replies; only its body is rendered."""

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
        jinja: The template, which runs in Jinja's sandbox.
        messages: The conversation.
        tokens: `bos_token`, `eos_token` and others, named as in tokenizer_config.json.
        options: Further variables: `add_generation_prompt`, `tools`, `enable_thinking`.

    Raises:
        UNRENDERABLE: The template refuses the conversation, or is broken.

    Source:
        transformers 5.17, utils/chat_template_utils.py, for the environment.

    """
    values = {**DEFAULTS, **options, **tokens, "messages": list(messages)}
    return "".join(compile_template(jinja)(values))


def check_limits(
    jinja: str,
    conversations: Iterable[Sequence[Mapping[str, Any]]],
    tokens: Mapping[str, str],
    tools: Sequence[list[dict[str, Any]]] = (),
) -> None:
    """Render conversations, with and without a prompt for an answer, under limits of time and size.

    A template that fails otherwise passes.

    Args:
        jinja: The template.
        conversations: The conversations.
        tokens: As for `render`.
        tools: The functions that each conversation declares, in the same order; may be empty.

    Raises:
        LimitError: It exceeds the limits.

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
        except RenderingError:  # it is reported when the template is used
            return


def _divide(values: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Divide values into batches that stay under the limit of memory."""
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
    """Compile a chat template into a function that renders piece by piece."""
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
