"""Gate calls: rows with tools are answered by a call of the right function."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import replace
from typing import Any

from builder.data.calls import Call, check_calls, parse_calls
from builder.data.questions import Question
from builder.data.values import describe_kind
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Result, count, does_not_apply, judge_count
from builder.evaluation.subject import Subject
from builder.llama import Answer, Model

NAME = "calls"
TOLD = "calls the right function, as declared, for {right} of {of} rows with tools"
FAILED = TOLD
ADVICE = "add rows that ask for the function in other words, and rows that declare it and answer"
IS_TOLD = True
# By the types of a JSON schema.
SCHEMA_KINDS = {
    "string": "text",
    "number": "a number",
    "integer": "a number",
    "boolean": "a boolean",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
# LFM2 writes calls as a list in Python.
PYTHON_CALLS = re.compile(r"\[\s*[A-Za-z_][\w.]*\(.*\)\s*\]", re.DOTALL)


def questions(subject: Subject, _share: float) -> list[Question]:
    """List conversations of rows up to their call; they are few, and all are asked."""
    return list(subject.calls)


def is_right(question: Question, answer: Answer, markup: str) -> bool:
    """Say whether the answer is a call of the row's function with arguments as declared.

    Args:
        question: The conversation up to the row's call.
        answer: What the model answered.
        markup: What the base's chat template writes before a call; llama.cpp's server and Ollama
            take what stands elsewhere for text.

    """
    return answer.ended and _is_right_text(question, answer.text, markup)


def judge(evidence: Evidence) -> Result:
    """Compare the share of right calls with `gates.calls`.

    A row whose own call, as the base writes it, would not be right here is left out.
    """
    answered = evidence.answered
    too_long = evidence.subject.too_long_calls
    notes = [f"rows that are too long to be asked: {too_long}"] if too_long else []
    if not answered:
        return does_not_apply(NAME, "".join(notes))
    markups = {one.question: _find_markup(evidence.model, one.question) for one in answered}
    readable = {question: markup for question, markup in markups.items() if markup is not None}
    if not readable:
        note = "its base writes calls in a form that this gate cannot read"
        return replace(does_not_apply(NAME, note), marks=(None,) * len(answered))
    kept = [one for one in answered if one.question in readable]
    counted = count(
        NAME,
        evidence.subject,
        kept,
        lambda _, question, answer: is_right(question, answer, readable[question]),
    )
    marks = iter(counted.marks)
    if left_out := len(answered) - len(kept):
        notes.append(f"rows whose calls this gate cannot read: {left_out}")
    counted = replace(
        counted,
        marks=tuple(next(marks) if one.question in readable else None for one in answered),
        note=", ".join(notes),
    )
    return judge_count(counted, evidence.subject.gates.limit(NAME))


def find_calls(text: str) -> tuple[list[Call], int]:
    """Find the calls in an answer, as JSON objects with a name and arguments or as Python's.

    Returns:
        The calls, and where the first of them begins.

    Raises:
        ValueError: A call is none.

    """
    found, begin, decoder, end = list[Any](), 0, json.JSONDecoder(), 0
    for match in re.finditer(r"\{", text):
        if match.start() < end:
            continue
        try:
            value, after = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        if "name" in value and isinstance(value.get("arguments"), dict):
            begin = begin if found else match.start()
            found.append(value)
        end = after
    if not found and (written := PYTHON_CALLS.search(text)):
        found, begin = _read_python_calls(written[0]), written.start()
    return parse_calls(found, "the answer"), begin


def _read_python_calls(text: str) -> list[Any]:
    try:
        listed = ast.parse(text, mode="eval").body
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
        # Through JSON, which has neither sets nor keys that are no text.
        return list(json.loads(json.dumps(found)))
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        return []


def _is_right_text(question: Question, text: str, markup: str) -> bool:
    tools = question.as_tools() or []
    wanted = question.as_calls()[0]["function"]["name"]
    try:
        calls, begin = find_calls(text)
        check_calls([{"role": "assistant", "content": "", "tool_calls": calls}], tools)
    except ValueError:
        return False
    before = text[:begin].rstrip()
    is_marked = before.endswith(markup) if markup else not before
    declared = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
    return (
        is_marked
        and bool(calls)
        and calls[0]["function"]["name"] == wanted
        and all(_are_of_type(call["function"], declared) for call in calls)
    )


def _are_of_type(function: dict[str, Any], declared: dict[str, Any]) -> bool:
    properties = declared[function["name"]]["properties"]
    for key, value in function["arguments"].items():
        kinds = properties.get(key, {}).get("type")
        named = [SCHEMA_KINDS.get(kind) for kind in (kinds if isinstance(kinds, list) else [kinds])]
        if None not in named and describe_kind(value) not in named:
            return False
    return True


def _find_markup(model: Model, question: Question) -> str | None:
    """Find what the chat template writes before the row's own call; None if it cannot be read."""
    messages, tools, calls = question.as_messages(), question.as_tools(), question.as_calls()
    prompt = model.render(messages, tools)
    answered = [*messages, {"role": "assistant", "content": "", "tool_calls": calls}]
    written = model.render(answered, tools)
    if not written.startswith(prompt):
        return None
    written = written.removeprefix(prompt)
    try:
        found, begin = find_calls(written)
    except ValueError:
        return None
    markup = written[:begin].strip()
    is_same = [one["function"] for one in found] == [one["function"] for one in calls]
    return markup if is_same and _is_right_text(question, written, markup) else None
