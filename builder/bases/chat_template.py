"""A chat template rendered without transformers, which takes seconds to import."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

if TYPE_CHECKING:
    from jinja2.parser import Parser

# What a template raises on a conversation that it cannot render, by itself or by what it lacks.
UNRENDERABLE = (TemplateError, TypeError)


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
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals.update(raise_exception=_raise, strftime_now=_strftime_now)
    values = {"add_generation_prompt": False, "tools": None, "documents": None, **options}
    return environment.from_string(jinja).render(messages=list(messages), **tokens, **values)


def _to_json(value: Any, indent: int | None = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, **options)


def _raise(message: str) -> None:
    raise TemplateError(message)


def _strftime_now(form: str) -> str:
    return dt.datetime.now().strftime(form)  # noqa: DTZ005 — local time, as transformers does
