"""Reads calls from text, in the forms in which chat templates write them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from builder.data.calls import Call, parse_calls
from builder.data.tools import NAME, Tool

Reader = Callable[[str, Sequence[Tool]], tuple[list[Any], int]]
"""Finds calls of these tools in a text, and the beginning of the first one."""
# Ministral 3 writes a name, followed by a token and the arguments as JSON.
NAMED_CALLS = re.compile(rf"({NAME.pattern})\[ARGS\]")
# Qwen3.5 writes tags; an argument that is text has no quotes.
TAGGED_ARGUMENT = re.compile(r"<parameter=([^>\n]+)>\n(.*?)\n</parameter>\n", re.DOTALL)
TAGGED_CALL = re.compile(
    rf"<function=({NAME.pattern})>\n((?:<parameter=[^>\n]+>\n.*?\n</parameter>\n)*)</function>",
    re.DOTALL,
)
# LFM2 writes a list of calls in Python.
PYTHON_CALLS = re.compile(r"\[\s*[A-Za-z_][\w.]*\(.*\)\s*\]", re.DOTALL)


@dataclass(frozen=True)
class Form:
    """The form in which a base writes calls."""

    read: Reader
    markup: str
    """What its chat template writes before a call; elsewhere, llama.cpp's server and Ollama read a
    call as text."""

    def read_calls(self, text: str, tools: Sequence[Tool]) -> list[Call]:
        """Read the calls of these tools in a text.

        Raises:
            ValueError: There are none where the base writes them, or a call is wrong.

        """
        found, begin = self.read(text, tools)
        before = text[:begin].rstrip()
        if not found or not (before.endswith(self.markup) if self.markup else not before):
            raise ValueError("the answer has no call where the base writes calls")
        return parse_calls(found, "the answer")


def find_form(text: str, calls: Sequence[Call], tools: Sequence[Tool]) -> Form | None:
    """Find the form in which a text, written by a chat template, holds exactly these calls."""
    for read in READERS:
        _, begin = read(text, tools)
        form = Form(read, text[:begin].strip())
        try:
            read_back = form.read_calls(text, tools)
        except ValueError:
            continue
        if [one["function"] for one in read_back] == [one["function"] for one in calls]:
            return form
    return None


def _read_objects(text: str, _: Sequence[Tool], *, arguments: str) -> tuple[list[Any], int]:
    """Read JSON objects with a name and arguments."""
    found, begin, decoder, end = list[Any](), 0, json.JSONDecoder(), 0
    for match in re.finditer(r"\{", text):
        if match.start() < end:
            continue
        try:
            value, after = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        if "name" in value and isinstance(value.get(arguments), dict):
            begin = begin if found else match.start()
            found.append({"name": value["name"], "arguments": value[arguments]})
        end = after
    return found, begin


def _read_named(text: str, _: Sequence[Tool]) -> tuple[list[Any], int]:
    """Read names that are followed by `[ARGS]` and a JSON object."""
    found, begin, decoder = list[Any](), 0, json.JSONDecoder()
    for match in NAMED_CALLS.finditer(text):
        try:
            arguments = decoder.raw_decode(text, match.end())[0]
        except (ValueError, RecursionError):
            continue
        begin = begin if found else match.start()
        found.append({"name": match[1], "arguments": arguments})
    return found, begin


def _read_tagged(text: str, tools: Sequence[Tool]) -> tuple[list[Any], int]:
    """Read tags; arguments that are declared as text stay text, as in llama.cpp's server."""
    declared = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
    found, begin = list[Any](), 0
    for match in TAGGED_CALL.finditer(text):
        properties = declared.get(match[1], {}).get("properties", {})
        arguments = {
            key: _read_value(value, properties.get(key, {}).get("type"))
            for key, value in TAGGED_ARGUMENT.findall(match[2])
        }
        begin = begin if found else match.start()
        found.append({"name": match[1], "arguments": arguments})
    return found, begin


def _read_value(text: str, kind: Any) -> Any:
    if kind == "string":
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _read_python(text: str, _: Sequence[Tool]) -> tuple[list[Any], int]:
    """Read a list of calls in Python, with literals as arguments."""
    if not (written := PYTHON_CALLS.search(text)):
        return [], 0
    try:
        listed = ast.parse(written[0], mode="eval").body
        found = [
            {
                "name": ast.unparse(call.func),
                "arguments": {
                    str(word.arg): ast.literal_eval(word.value) for word in call.keywords
                },
            }
            for call in (listed.elts if isinstance(listed, ast.List) else ())
            if isinstance(call, ast.Call) and not call.args
        ]
        # Converted through JSON, which has no sets and only text as keys.
        return list(json.loads(json.dumps(found))), written.start()
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        return [], 0


READERS: tuple[Reader, ...] = (
    partial(_read_objects, arguments="arguments"),
    partial(_read_objects, arguments="parameters"),  # Llama 3
    _read_named,
    _read_tagged,
    _read_python,
)
