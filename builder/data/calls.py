"""The calls in a row's messages, and their results."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from builder.data.template import Message
from builder.data.tools import Tool, list_names, order_keys, read_name
from builder.data.values import describe_kind, read_json, read_text
from builder.escapes import quote

Call = dict[str, Any]
# The keys of OpenAI's messages, the newer first; a message has only one of them.
KEYS = ("tool_calls", "function_call")
# ShareGPT's role for calls, whose text is the call as JSON.
CALLING_ROLES = ("function_call",)
RESULT_ROLES = ("tool", "function", "observation")
# The types of JSON Schema. A value of another type than these is not compared.
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def read_calls(turn: dict[str, Any], number: int) -> list[Call]:
    """Read the calls of an assistant's message, if any.

    Raises:
        ValueError: A call is not as it must be.

    """
    given = turn.get("tool_calls") or turn.get("function_call") or []
    return parse_calls(given, f"turn {number}")


def parse_calls(given: Any, where: str) -> list[Call]:
    """Read a call or a list of calls, or either as JSON text.

    Raises:
        ValueError: A call is not as it must be.

    """
    given = read_json(given, f"the call of {where}")
    listed = given if isinstance(given, list) else [given]
    return [_read_call(call, f"call {at} of {where}") for at, call in enumerate(listed, start=1)]


def _read_call(call: Any, where: str) -> Call:
    function = call.get("function", call) if isinstance(call, dict) else call
    if not isinstance(function, dict):
        raise ValueError(f"{where} is {describe_kind(function)}, expected an object")
    if "name" not in function:
        raise ValueError(f"{where} has no 'name', expected that of a function")
    name = read_name(function["name"], f"'name' of {where}")
    arguments = read_json(function.get("arguments"), f"'arguments' of {where}")
    if not isinstance(arguments, dict):
        raise ValueError(
            f"'arguments' of {where} is {describe_kind(arguments)}, expected an object"
        )
    # Ollama keeps the order of arguments, but not that of keys inside of them.
    ordered = {key: order_keys(item, f"an argument of {where}") for key, item in arguments.items()}
    made: Call = {"type": "function", "function": {"name": name, "arguments": ordered}}
    if call.get("id") is not None:
        made["id"] = read_text(call["id"], f"'id' of {where}")
    return made


def read_result(turn: dict[str, Any], content: str, number: int) -> Message:
    """Make the message of a result."""
    made = {"role": "tool", "content": content}
    for key in ("tool_call_id", "name"):
        if turn.get(key) is not None:
            made[key] = read_text(turn[key], f"{key!r} of turn {number}")
    return made


def check_calls(
    messages: list[Message], tools: Sequence[Tool], open_names: Collection[str] = ()
) -> None:
    """Check that each call is of a declared function, and that results follow calls.

    Args:
        messages: The conversation.
        tools: The functions that it declares.
        open_names: The functions that accept undeclared arguments.

    Raises:
        ValueError: This is not the case.

    """
    waiting: list[Call] = []
    names = list_names(tools)
    for number, message in enumerate(messages, start=1):
        if message["role"] == "tool":
            _take_result(message, waiting, number)
            continue
        if waiting:
            name = waiting[0]["function"]["name"]
            what = f"turn {number} is the {message['role']}'s before the result of {name!r}"
            raise ValueError(f"{what}, expected a tool's message")
        waiting = list(message.get("tool_calls", []))
        for call in waiting:
            _check_call(call, tools, names, number, open_names)


def _take_result(message: Message, waiting: list[Call], number: int) -> None:
    """Remove the call of a result from those that wait: by its id, or else the first."""
    if not waiting:
        what = f"turn {number} is a tool's result, and no call before it waits for one"
        raise ValueError(f"{what}, expected an assistant's message with 'tool_calls' before it")
    wanted = message.get("tool_call_id")
    ids = [call.get("id") for call in waiting]
    if wanted is None or not any(ids):
        waiting.pop(0)
    elif wanted in ids:
        waiting.pop(ids.index(wanted))
    else:
        what = f"turn {number} answers the call {quote(wanted)}, which does not wait for a result"
        raise ValueError(f"{what}, expected {' or '.join(quote(one) for one in ids if one)}")


def _find_misfits(place: str, value: Any, declared: Any) -> Iterator[tuple[str, Any, str]]:
    """Find what is not as declared in an argument: the place, the value, and what was expected.

    What a schema says in another form, such as `anyOf`, is not compared.
    """
    if not isinstance(declared, dict):
        return
    if expected := _find_expected(value, declared):
        yield place, value, expected
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _find_misfits(f"{place}[{at}]", item, declared.get("items"))
    elif isinstance(value, dict):
        for key in _read_list(declared, "required"):
            if key not in value:
                yield place, value, f"the key {quote(key)}"
        properties = declared.get("properties")
        known = properties if isinstance(properties, dict) else {}
        for key, item in value.items():
            yield from _find_misfits(f"{place}.{key}", item, known.get(key))


def _find_expected(value: Any, declared: dict[str, Any]) -> str:
    """Say what was declared in place of a value; "" if the value fits."""
    names = [name for name in _read_list(declared, "type") if isinstance(name, str)]
    if names and not any(_is_of(value, name) for name in names):
        return f"the type {' or '.join(names)}"
    choices = _read_list(declared, "enum")
    return " or ".join(map(quote, choices)) if choices and value not in choices else ""


def _read_list(declared: dict[str, Any], key: str) -> list[Any]:
    """Read a list of a schema, which may be one text; [] if it is something else."""
    listed = declared.get(key)
    return [listed] if isinstance(listed, str) else listed if isinstance(listed, list) else []


def _is_of(value: Any, name: str) -> bool:
    """Say whether a value is of a type of JSON Schema, in which true is not a number."""
    if name not in TYPES:
        return True
    return isinstance(value, TYPES[name]) and isinstance(value, bool) is (name == "boolean")


def _check_call(
    call: Call,
    tools: Sequence[Tool],
    names: list[str],
    number: int,
    open_names: Collection[str],
) -> None:
    function = call["function"]
    name = function["name"]
    if not tools:
        what = f"turn {number} calls {quote(name)}, and the row has no 'tools'"
        raise ValueError(f"{what}, expected the functions that it may call")
    if name not in names:
        what = f"turn {number} calls {quote(name)}, which its 'tools' do not declare"
        raise ValueError(f"{what}, expected {' or '.join(map(quote, names))}")
    declared = tools[names.index(name)]["function"]["parameters"]
    where = f"turn {number} calls {quote(name)}"
    for key in declared.get("required", []):
        if key not in function["arguments"]:
            raise ValueError(f"{where} without {quote(key)}, expected what its tool requires")
    properties = declared["properties"]
    for key, argument in function["arguments"].items():
        for place, value, expected in _find_misfits(key, argument, properties.get(key)):
            raise ValueError(f"{where} with {place} {quote(value)}, expected {expected}")
    for key in function["arguments"] if properties and name not in open_names else ():
        if key not in properties:
            known = " or ".join(map(quote, properties))
            what = f"turn {number} passes {quote(name)} the argument {quote(key)}"
            raise ValueError(f"{what}, which it does not declare, expected {known}")
