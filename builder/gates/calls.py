"""Gate calls: rows with tools are answered by a call of the right function."""

from __future__ import annotations

import ast
import json
import re

from builder.data.calls import Call, check_calls, parse_calls
from builder.data.questions import Question
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Result, count, does_not_apply, judge_count
from builder.evaluation.subject import Subject
from builder.llama import Answer, Model

NAME = "calls"
TOLD = "calls the right function, as declared, for {right} of {of} rows with tools"
FAILED = TOLD
ADVICE = "add rows that ask for the function in other words, and rows that declare it and answer"
IS_TOLD = True
# LFM2 writes calls as a list in Python.
PYTHON_CALLS = re.compile(r"\[\s*[A-Za-z_][\w.]*\(.*\)\s*\]", re.DOTALL)


def questions(subject: Subject, _share: float) -> list[Question]:
    """List conversations of rows up to their call; they are few, and all are asked."""
    return list(subject.calls)


def is_right(_subject: Subject, question: Question, answer: Answer) -> bool:
    """Say whether the answer is a call of the row's function with arguments as declared."""
    tools = question.as_tools() or []
    try:
        calls = find_calls(answer.text)
        check_calls([{"role": "assistant", "content": "", "tool_calls": calls}], tools)
    except ValueError:
        return False
    return answer.ended and bool(calls) and calls[0]["function"]["name"] in question.must


def judge(evidence: Evidence) -> Result:
    """Compare the share of right calls with `gates.calls`."""
    if not evidence.answered:
        return does_not_apply(NAME, "")
    if not _can_be_read(evidence.model, evidence.answered[0].question):
        return does_not_apply(NAME, "its base writes calls in a form that this gate cannot read")
    counted = count(NAME, evidence.subject, evidence.answered, is_right)
    return judge_count(counted, evidence.subject.gates.limit(NAME))


def find_calls(text: str) -> list[Call]:
    """Find the calls in an answer, as JSON objects with a name and arguments or as Python's.

    Raises:
        ValueError: A call is none.

    """
    found, decoder, end = [], json.JSONDecoder(), 0
    for match in re.finditer(r"\{", text):
        if match.start() < end:
            continue
        try:
            value, end = decoder.raw_decode(text, match.start())
        except ValueError:
            continue
        if "name" in value and isinstance(value.get("arguments"), dict):
            found.append(value)
    return parse_calls(found or _find_python_calls(text), "the answer")


def _find_python_calls(text: str) -> list[Call]:
    match = PYTHON_CALLS.search(text)
    try:
        listed = ast.parse(match[0], mode="eval").body if match else None
        return [
            {
                "name": ast.unparse(call.func),
                "arguments": {
                    str(word.arg): ast.literal_eval(word.value) for word in call.keywords
                },
            }
            for call in (listed.elts if isinstance(listed, ast.List) else ())
            if isinstance(call, ast.Call) and not call.args
        ]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _can_be_read(model: Model, question: Question) -> bool:
    """Say whether a call is found in what the chat template makes of one."""
    call = {
        "type": "function",
        "id": "southeast",
        "function": {"name": "outward", "arguments": {"upward": "downward"}},
    }
    messages = question.as_messages()
    answered = [*messages, {"role": "assistant", "content": "", "tool_calls": [call]}]
    prompt = model.render(messages, question.as_tools())
    written = model.render(answered, question.as_tools()).removeprefix(prompt)
    found = find_calls(written)
    return [one["function"] for one in found] == [call["function"]]
