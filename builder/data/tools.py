"""Reads the functions that a row declares, in the form that Ollama gives a chat template."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from builder.data.values import (
    describe_choice,
    describe_kind,
    read_json,
    read_text,
)
from builder.escapes import quote

Tool = dict[str, Any]
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# The keys of a tool that Ollama 0.34.2 reads (api/types.go), in the order in which it writes them.
FUNCTION_KEYS = ("name", "description", "parameters")
PARAMETERS_KEYS = ("type", "$defs", "items", "required", "properties")
PROPERTY_KEYS = ("anyOf", "type", "items", "description", "enum", "properties", "required")
# The largest integer that all JSON parsers keep; llama.cpp and Ollama change larger ones.
MOST_WHOLE = 1 << 53


def read_tools(given: Any, left_out: set[str] | None = None) -> list[Tool]:
    """Read the `tools` of a row, in the form in which a served model gets them.

    Ollama passes on only some keys of a JSON schema, in its own order; they are trained in that
    form.

    Args:
        given: A list of functions, or such a list as JSON text; None and "" mean none.
        left_out: The keys that Ollama does not pass on are added to it.

    Raises:
        ValueError: A tool is wrong.

    """
    given = [] if given in (None, "") else read_json(given, "'tools'")
    if not isinstance(given, list):
        raise ValueError(f"'tools' is {describe_kind(given)}, expected a list of functions")
    lost = set() if left_out is None else left_out
    tools = [_read_tool(tool, f"tool {number}", lost) for number, tool in enumerate(given, start=1)]
    names = list_names(tools)
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two tools are called {quote(twice)}, expected each name once")
    return tools


def list_names(tools: Sequence[Tool]) -> list[str]:
    """List the names of functions."""
    return [tool["function"]["name"] for tool in tools]


def find_open(given: Any) -> set[str]:
    """Find the functions that accept undeclared arguments, in `tools` that were read before."""
    functions = [tool.get("function", tool) for tool in read_json(given or [], "'tools'")]
    is_open = [(one.get("parameters") or {}).get("additionalProperties") for one in functions]
    return {one["name"] for one, more in zip(functions, is_open, strict=True) if more}


def _read_tool(tool: Any, where: str, left_out: set[str]) -> Tool:
    if not isinstance(tool, dict):
        raise ValueError(f"{where} is {describe_kind(tool)}, expected an object")
    if tool.get("type", "function") != "function":
        raise ValueError(f"{where} has type {describe_choice(tool['type'])}, expected 'function'")
    function = tool.get("function", tool if "name" in tool else None)
    if not isinstance(function, dict) or "name" not in function:
        raise ValueError(f"{where} has no function with a 'name', expected one")
    name = read_name(function["name"], f"the name of {where}")
    parameters = function.get("parameters")
    if not isinstance(parameters, dict | None):
        kind = describe_kind(parameters)
        raise ValueError(f"'parameters' of {name!r} is {kind}, expected a JSON schema")
    made = {
        "name": name,
        # llama.cpp writes an empty description if there is none.
        "description": _read_description(function, repr(name)),
        "parameters": _order_parameters(parameters or {}, name, left_out),
    }
    left_out |= _list_filled(function) - {*FUNCTION_KEYS, "type"}
    return {"type": "function", "function": made}


def read_name(value: Any, where: str) -> str:
    """Read the name of a function.

    Raises:
        ValueError: It is not valid.

    """
    name = read_text(value, where)
    if not NAME.fullmatch(name):
        what = "at most 64 Latin letters, digits, dots, _ and -"
        raise ValueError(f"{where} is {quote(name)}, expected {what}")
    return name


def order_keys(value: Any, where: str) -> Any:
    """Convert a value as Ollama does: with sorted keys in each object, and 1.0 as 1.

    Raises:
        ValueError: It contains a number that would be changed.

    Source:
        encoding/json of Go: an object becomes a map, which is written with sorted keys.

    """
    if isinstance(value, dict):
        return {key: order_keys(value[key], where) for key in sorted(value)}
    if isinstance(value, list):
        return [order_keys(item, where) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where} contains {value}, expected a finite number")
    if isinstance(value, int | float) and abs(value) > MOST_WHOLE:
        raise ValueError(f"{where} contains a number beyond 2^53, expected it as text")
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, float) and "e" in repr(value):  # Go writes it differently
        raise ValueError(f"{where} contains {value}, expected a number from 0.0001 on, or text")
    return value


def _list_filled(value: dict[str, Any]) -> set[str]:
    return {key for key, item in value.items() if item is not None}


def _order_parameters(parameters: dict[str, Any], name: str, left_out: set[str]) -> dict[str, Any]:
    kind = parameters.get("type")
    if kind not in (None, "object"):
        what = f"'parameters' of {name!r} are of type {describe_choice(kind)}"
        raise ValueError(f"{what}, expected 'object'")
    where = f"'parameters' of {name!r}"
    properties = _order_properties(parameters.get("properties"), where, left_out)
    required = _read_required(parameters, where)
    if missing := [key for key in required if key not in properties]:
        what = f"{name!r} requires {quote(missing[0])}, which it has no property for"
        raise ValueError(f"{what}, expected one")
    if not isinstance(definitions := parameters.get("$defs"), dict | None):
        raise ValueError(f"'$defs' of {where} is {describe_kind(definitions)}, expected an object")
    made = {key: order_keys(parameters.get(key), name) for key in ("$defs", "items")}
    left_out |= _list_filled(parameters) - set(PARAMETERS_KEYS)
    values = {"type": "object", **made, "required": required or None, "properties": properties}
    return {key: value for key, value in values.items() if value is not None}


def _order_properties(properties: Any, where: str, left_out: set[str]) -> dict[str, Any]:
    if properties is None:
        return {}
    if not isinstance(properties, dict):
        kind = describe_kind(properties)
        raise ValueError(f"the properties of {where} are {kind}, expected an object")
    filled = {key: value for key, value in properties.items() if value is not None}
    return {key: _order_property(value, quote(key), left_out) for key, value in filled.items()}


def _order_property(value: Any, where: str, left_out: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"the property {where} is {describe_kind(value)}, expected an object")
    nested = value.get("properties")
    choices = _read_list(value, "anyOf", where)
    made = {
        "anyOf": [_order_property(choice, where, left_out) for choice in choices] or None,
        "type": _read_type(value, where),
        "items": order_keys(value.get("items"), where),
        "description": _read_description(value, where) or None,
        "enum": order_keys(_read_list(value, "enum", where), where) or None,
        "properties": None if nested is None else _order_properties(nested, where, left_out),
        "required": _read_required(value, where) or None,
    }
    left_out |= _list_filled(value) - set(PROPERTY_KEYS)
    return {key: made[key] for key in PROPERTY_KEYS if made[key] is not None}


def _read_description(value: dict[str, Any], where: str) -> str:
    description = value.get("description")
    return "" if description is None else read_text(description, f"'description' of {where}")


def _read_list(value: dict[str, Any], key: str, where: str) -> list[Any]:
    listed = [] if value.get(key) is None else value[key]
    if not isinstance(listed, list):
        raise ValueError(f"{key!r} of {where} is {describe_kind(listed)}, expected a list")
    return listed


def _read_type(value: dict[str, Any], where: str) -> str | list[str] | None:
    kinds = value.get("type")
    listed = kinds if isinstance(kinds, list) else [] if kinds is None else [kinds]
    if not all(isinstance(kind, str) for kind in listed):
        raise ValueError(f"'type' of {where} is {quote(kinds)}, expected text or a list of texts")
    return listed[0] if len(listed) == 1 else listed or None


def _read_required(value: dict[str, Any], where: str) -> list[str]:
    required = [] if value.get("required") is None else value["required"]
    if not isinstance(required, list) or not all(isinstance(key, str) for key in required):
        raise ValueError(f"'required' of {where} is {quote(required)}, expected a list of names")
    return required
