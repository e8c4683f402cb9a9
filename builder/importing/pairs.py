"""A question and its answer under two of many names, whatever else stands beside them."""

from __future__ import annotations

from typing import Any

from builder.importing.conversation import Conversation, join_parts

NAME = "questions and answers"
# As data sets, exports of forms and people name their columns; the first that is there counts.
QUESTIONS = (
    *("prompt", "instruction", "question", "query", "user", "human", "ask", "q", "input"),
    *("frage", "anweisung", "eingabe", "demande", "问题", "问", "提问", "指令"),
)
ANSWERS = (
    *("completion", "output", "response", "answer", "assistant", "reply", "chosen", "a"),
    *("antwort", "ausgabe", "réponse", "reponse", "回答", "答案", "答", "输出"),
)
# Stanford Alpaca's `input` stands below its instruction.
CONTEXTS = ("input", "context")


def recognises(value: dict[str, Any]) -> bool:
    """Say whether a record is of this format."""
    names = _by_name(value)
    return any(name in names for name in QUESTIONS) and any(name in names for name in ANSWERS)


def read(value: dict[str, Any]) -> Conversation:
    """Read the question, with what it is about, and the answer.

    Raises:
        ValueError: One of them is no text.

    """
    names, conversation = _by_name(value), Conversation()
    question = next(name for name in QUESTIONS if name in names)
    answer = next(name for name in ANSWERS if name in names)
    contexts = [names.get(name) for name in CONTEXTS if name != question]
    asked = [join_parts(conversation, part).strip() for part in (names[question], *contexts)]
    if not asked[0]:
        return conversation
    conversation.add("system", join_parts(conversation, names.get("system")))
    conversation.add("user", "\n".join(filter(None, asked)))
    conversation.add("assistant", join_parts(conversation, names[answer]))
    return conversation


def describe() -> str:
    """Say which names are known, for a sentence about a record that has none of them."""
    return f"one of {', '.join(QUESTIONS[:6])} and one of {', '.join(ANSWERS[:5])}"


def _by_name(value: dict[str, Any]) -> dict[str, Any]:
    return {str(key).strip().casefold(): item for key, item in value.items()}
