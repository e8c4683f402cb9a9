"""The functions that a row declares, in the form in which Ollama passes them on."""

import json
import re

import pytest

from builder.data.tools import find_open, read_tools


def declare(parameters, **more):
    """Declare one function."""
    return [{"type": "function", "function": {"name": "add", "parameters": parameters, **more}}]


NESTED = {
    "required": ["b"],
    "additionalProperties": False,
    "properties": {
        "b": {"minimum": 1, "description": "x", "type": ["number"], "enum": [2.0, 1.5]},
        "a": {"description": "", "type": "object", "properties": {"z": {}}, "required": []},
        "c": {"type": "array", "items": {"type": "string", "description": "d"}},
        "d": {"anyOf": [{"type": "null"}, {"type": "string"}], "default": None},
    },
    "type": "object",
}


def test_tools_are_written_as_ollama_writes_them():
    """Keys that it does not know go, and the others stand in its order; parameters keep theirs."""
    (tool,) = read_tools(declare(NESTED, strict=True))

    assert json.dumps(tool) == (
        '{"type": "function", "function": {"name": "add", "description": "", "parameters": '
        '{"type": "object", "required": ["b"], "properties": '
        '{"b": {"type": "number", "description": "x", "enum": [2, 1.5]}, '
        '"a": {"type": "object", "properties": {"z": {}}}, '
        '"c": {"type": "array", "items": {"description": "d", "type": "string"}}, '
        '"d": {"anyOf": [{"type": "null"}, {"type": "string"}]}}}}}'
    )
    assert read_tools([tool]) == [tool]


def test_what_ollama_does_not_pass_on_is_named():
    """At every depth, and nothing that it passes on."""
    left_out, nothing = set(), set()
    tools = read_tools(declare(NESTED, strict=True), left_out)
    read_tools(tools, nothing)

    assert left_out == {"additionalProperties", "minimum", "strict"}
    assert nothing == set()


def test_a_function_may_take_other_arguments_than_it_declares():
    """A JSON schema says so by `additionalProperties`."""
    given = [*declare({"additionalProperties": True}), {"name": "sub"}, *declare(NESTED)]

    assert find_open(given[:2]) == find_open(json.dumps(given[:2])) == {"add"}
    assert find_open(given[1:]) == find_open(None) == set()


@pytest.mark.parametrize(
    "given",
    [
        [{"name": "add"}],
        '[{"name": "add"}]',
        [{"function": {"name": "add", "parameters": None, "description": None}}],
        declare({}),
        declare({"type": "object", "properties": None, "required": None}),
    ],
)
def test_a_function_may_be_declared_without_parameters(given):
    """Ollama refuses one without: an empty schema stands in its place. Tables hold JSON text."""
    (tool,) = read_tools(given)

    assert tool["function"] == {
        "name": "add",
        "description": "",
        "parameters": {"type": "object", "properties": {}},
    }


@pytest.mark.parametrize("given", [None, [], ""])
def test_a_row_may_declare_nothing(given):
    """Exporters write every key."""
    assert read_tools(given) == []


deep = []
for _ in range(900):
    deep = [deep]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{", "'tools' is '{', expected JSON"),
        ({"name": "add"}, "'tools' is an object, expected a list of functions"),
        (["add"], "tool 1 is text, expected an object"),
        ([{"type": "code"}], "tool 1 has type 'code', expected 'function'"),
        (0, "'tools' is a number, expected a list of functions"),
        (False, "'tools' is a boolean, expected a list of functions"),
        ({}, "'tools' is an object, expected a list of functions"),
        ([{"type": None}], "tool 1 has type null, expected 'function'"),
        ([{"name": "add", "description": 0}], "'description' of 'add' is a number, expected text"),
        ([{"name": "add", "description": []}], "'description' of 'add' is a list, expected text"),
        (declare({"type": 0}), "'parameters' of 'add' are of type a number, expected 'object'"),
        (declare({"properties": []}), "the properties of 'parameters' of 'add' are a list"),
        (declare({"required": 0}), "'required' of 'parameters' of 'add' is 0, expected a list"),
        (declare({"$defs": 3}), "'$defs' of 'parameters' of 'add' is a number, expected an object"),
        (declare({"properties": {"a": {"description": 0}}}), "'description' of 'a' is a number"),
        ([{"type": "function"}], "tool 1 has no function with a 'name', expected one"),
        ([{"function": {}}], "tool 1 has no function with a 'name', expected one"),
        ([{"name": 4}], "the name of tool 1 is a number, expected text"),
        ([{"name": 'a"b'}], "the name of tool 1 is 'a\"b', expected at most 64 Latin letters"),
        ([{"name": "add"}, {"name": "add"}], "two tools are called 'add', expected each name once"),
        ([{"name": "add", "description": 4}], "'description' of 'add' is a number, expected text"),
        (declare([]), "'parameters' of 'add' is a list, expected a JSON schema"),
        (declare({"type": "array"}), "'parameters' of 'add' are of type 'array', expected"),
        (declare({"properties": [1]}), "the properties of 'parameters' of 'add' are a list"),
        (declare({"properties": {"a": 1}}), "the property 'a' is a number, expected an object"),
        (declare({"required": ["a"]}), "'add' requires 'a', which it has no property for"),
        (declare({"required": "a"}), "'required' of 'parameters' of 'add' is 'a', expected a list"),
        (declare({"properties": {"a": {"enum": [1 << 60]}}}), "'a' contains a number beyond 2^53"),
        (declare({"properties": {"a": {"anyOf": 5}}}), "'anyOf' of 'a' is a number, expected a"),
        (declare({"properties": {"a": {"enum": 5}}}), "'enum' of 'a' is a number, expected a list"),
        (declare({"properties": {"a": {"type": 5}}}), "'type' of 'a' is 5, expected text or a"),
        (declare({"properties": {"a": {"type": {"x": 1}}}}), "'type' of 'a' is {'x': 1}, expected"),
        (declare({"properties": {"a": {"type": ["null", 1]}}}), "'type' of 'a' is ['null', 1]"),
        ('[{"name": "add", "description": "a\\u0000b"}]', "'tools': contains the character U+0000"),
        (declare({"items": deep}), "'tools' is nested too deeply, expected at most 64 levels"),
    ],
)
def test_a_mistake_of_a_tool_is_one_sentence(given, message):
    """It says which tool, what it holds and what was expected."""
    with pytest.raises(ValueError, match=re.escape(message)):
        read_tools(given)
