"""The functions that a row declares, as Ollama passes them to a chat template."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from builder.data.values import describe_kind, order_keys, read_json, read_text
from builder.tables import show

Tool = dict[str, Any]
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# What Ollama 0.34.2 reads of a tool (api/types.go), in the order in which it writes it.
FUNCTION_KEYS = ("name", "description", "parameters")
PARAMETERS_KEYS = ("type", "$defs", "items", "required", "properties")
PROPERTY_KEYS = ("anyOf", "type", "items", "description", "enum", "properties", "required")


def read_tools(given: Any) -> list[Tool]:
    """Read the `tools` of a row, in the form in which a served model is shown them.

    Ollama reads some keys of a JSON schema and writes them in an order of its own; so are they
    trained.

    Args:
        given: A list of functions, or JSON text of one, as tables hold it; None is no tools.

    Raises:
        ValueError: A tool is not as it must be.

    """
    given = read_json(given, "'tools'") if given else []
    if not isinstance(given, list):
        raise ValueError(f"'tools' is {describe_kind(given)}, expected a list of functions")
    tools = [_read_tool(tool, f"tool {number}") for number, tool in enumerate(given, start=1)]
    names = list_names(tools)
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two tools are called {show(twice)}, expected each name once")
    return tools


def list_names(tools: Sequence[Tool]) -> list[str]:
    """List the names of functions."""
    return [tool["function"]["name"] for tool in tools]


def find_left_out(given: Any) -> set[str]:
    """Find the keys of `tools`, such as `read_tools` takes, that Ollama does not pass on."""
    functions = [tool.get("function", tool) for tool in read_json(given, "'tools'") or []]
    left = {key for one in functions for key in one if key not in (*FUNCTION_KEYS, "type")}
    for function in functions:
        parameters = function.get("parameters") or {}
        left |= _list_filled(parameters) - set(PARAMETERS_KEYS)
        left |= _find_left_out_of((parameters.get("properties") or {}).values())
    return left


def _find_left_out_of(properties: Iterable[dict[str, Any] | None]) -> set[str]:
    left: set[str] = set()
    for one in filter(None, properties):
        left |= _list_filled(one) - set(PROPERTY_KEYS)
        left |= _find_left_out_of((one.get("properties") or {}).values())
        left |= _find_left_out_of(one.get("anyOf") or [])
    return left


def _list_filled(value: dict[str, Any]) -> set[str]:
    return {key for key, item in value.items() if item is not None}


def _read_tool(tool: Any, where: str) -> Tool:
    if not isinstance(tool, dict):
        raise ValueError(f"{where} is {describe_kind(tool)}, expected an object")
    if tool.get("type", "function") != "function":
        raise ValueError(f"{where} is of type {show(tool['type'])}, expected 'function'")
    function = tool.get("function", tool if "name" in tool else None)
    if not isinstance(function, dict) or "name" not in function:
        raise ValueError(f"{where} has no function with a 'name', expected one")
    name = read_name(function["name"], f"the name of {where}")
    description = function.get("description")
    parameters = function.get("parameters")
    if not isinstance(parameters, dict | None):
        kind = describe_kind(parameters)
        raise ValueError(f"'parameters' of {name!r} is {kind}, expected a JSON schema")
    made = {
        "name": name,
        # llama.cpp writes one that is not there as an empty one.
        "description": read_text(description or "", f"'description' of {name!r}"),
        "parameters": _order_parameters(parameters or {}, name),
    }
    return {"type": "function", "function": made}


def read_name(value: Any, where: str) -> str:
    """Read the name of a function.

    Raises:
        ValueError: It is none.

    """
    name = read_text(value, where)
    if not NAME.fullmatch(name):
        what = "at most 64 Latin letters, digits, dots, _ and -"
        raise ValueError(f"{where} is {show(name)}, expected {what}")
    return name


def _order_parameters(parameters: dict[str, Any], name: str) -> dict[str, Any]:
    if (kind := parameters.get("type") or "object") != "object":
        raise ValueError(f"'parameters' of {name!r} are of type {show(kind)}, expected 'object'")
    properties = _order_properties(parameters.get("properties") or {}, f"'parameters' of {name!r}")
    required = _read_required(parameters, f"'parameters' of {name!r}")
    if missing := [key for key in required if key not in properties]:
        what = f"{name!r} requires {show(missing[0])}, which it has no property for"
        raise ValueError(f"{what}, expected one")
    made = {key: order_keys(parameters.get(key), name) for key in ("$defs", "items")}
    values = {"type": "object", **made, "required": required or None, "properties": properties}
    return {key: value for key, value in values.items() if value is not None}


def _order_properties(properties: Any, where: str) -> dict[str, Any]:
    if not isinstance(properties, dict):
        kind = describe_kind(properties)
        raise ValueError(f"the properties of {where} are {kind}, expected an object")
    filled = {key: value for key, value in properties.items() if value is not None}
    return {key: _order_property(value, show(key)) for key, value in filled.items()}


def _order_property(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"the property {where} is {describe_kind(value)}, expected an object")
    kinds, nested = value.get("type"), value.get("properties")
    choices = value.get("anyOf") or []
    made = {
        "anyOf": [_order_property(choice, where) for choice in choices] or None,
        "type": kinds[0] if isinstance(kinds, list) and len(kinds) == 1 else kinds,
        "items": order_keys(value.get("items"), where),
        "description": read_text(value.get("description") or "", f"'description' of {where}")
        or None,
        "enum": order_keys(value.get("enum"), where) or None,
        "properties": None if nested is None else _order_properties(nested, where),
        "required": _read_required(value, where) or None,
    }
    return {key: made[key] for key in PROPERTY_KEYS if made[key] is not None}


def _read_required(value: dict[str, Any], where: str) -> list[str]:
    required = value.get("required") or []
    if not isinstance(required, list) or not all(isinstance(key, str) for key in required):
        raise ValueError(f"'required' of {where} is {show(required)}, expected a list of names")
    return required
