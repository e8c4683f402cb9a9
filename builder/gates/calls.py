"""Gate calls: the model answers rows with tools with a call of the right function."""

from __future__ import annotations

from dataclasses import replace

from builder.data.calls import check_calls
from builder.data.questions import Question
from builder.data.written_calls import Form, find_form
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Result, count, does_not_apply, judge_count
from builder.evaluation.subject import Subject
from builder.llama import Answer, Model

NAME = "calls"
TOLD = "calls the right function, as declared, for {right} of {of} rows with tools"
FAILED = TOLD
ADVICE = "add rows that ask for the function in other words, and rows that declare it and answer"
IS_TOLD = True


def questions(subject: Subject, _share: float) -> list[Question]:
    """List conversations up to their call; they are few, so all are asked."""
    return list(subject.calls)


def is_right(question: Question, answer: Answer, form: Form) -> bool:
    """Say whether the answer is a call of the row's function, with arguments as declared.

    Args:
        question: The conversation up to the row's call.
        answer: The model's answer.
        form: How the base writes calls.

    """
    return answer.ended and _is_right_text(question, answer.text, form)


def judge(evidence: Evidence) -> Result:
    """Compare the share of right calls with `gates.calls`.

    Rows whose own call, in the base's form, would not count as right are left out.
    """
    answered = evidence.answered
    too_long = evidence.subject.too_long_calls
    notes = [f"rows that are too long to be asked: {too_long}"] if too_long else []
    if not answered:
        return does_not_apply(NAME, "".join(notes))
    forms = {one.question: _find_form(evidence.model, one.question) for one in answered}
    readable = {question: form for question, form in forms.items() if form is not None}
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


def _is_right_text(question: Question, text: str, form: Form) -> bool:
    tools = question.as_tools() or []
    wanted = question.as_calls()[0]["function"]["name"]
    try:
        calls = form.read_calls(text, tools)
        check_calls([{"role": "assistant", "content": "", "tool_calls": calls}], tools)
    except ValueError:
        return False
    return bool(calls[0]["function"]["name"] == wanted)


def _find_form(model: Model, question: Question) -> Form | None:
    """Find the form in which the base writes the row's own call; None if it cannot be read."""
    messages, tools, calls = question.as_messages(), question.as_tools(), question.as_calls()
    prompt = model.render(messages, tools)
    answered = [*messages, {"role": "assistant", "content": "", "tool_calls": calls}]
    written = model.render(answered, tools)
    if not written.startswith(prompt):
        return None
    written = written.removeprefix(prompt)
    form = find_form(written, calls, tools or [])
    return form if form and _is_right_text(question, written, form) else None
