"""The result of every format: a conversation of messages that can be trained on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from builder.data.template import Message
from builder.data.values import describe_kind
from builder.manifest.fields import is_visible

TOOL_MESSAGES = "answers that used a tool, and what follows them"
WITH_TOOLS = "conversations with calls of tools"
SYSTEM_MESSAGES = "system messages"
THOUGHTS = "thoughts"
WITH_PARTS = "conversations with images or other parts"
UNANSWERED = "messages at an end without an answer"


@dataclass
class Conversation:
    """A conversation that is being read."""

    messages: list[Message] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """How much of each kind was left out."""
    unusable: str = ""
    """Why the whole conversation is left out, or ""."""

    def add(self, role: str, text: str) -> None:
        """Add a text; neighbours of one role are merged, and blank texts are skipped."""
        text = text.strip()
        if not is_visible(text):
            return
        if role == "system" and self.messages and self.messages[-1]["role"] != "system":
            self.left_out[SYSTEM_MESSAGES] += 1
        elif self.messages and self.messages[-1]["role"] == role:
            self.messages[-1]["content"] += f"\n\n{text}"
        else:
            self.messages.append({"role": role, "content": text})

    def leave_out(self, kind: str) -> None:
        """Count something that is left out."""
        self.left_out[kind] += 1

    def end(self) -> None:
        """Remove messages after the last answer; all, if nobody asks or it is unusable."""
        kept = self.messages
        while kept and kept[-1]["role"] != "assistant":
            self.left_out[UNANSWERED] += kept.pop()["role"] == "user"
        if self.unusable or not any(message["role"] == "user" for message in kept):
            kept.clear()


def join_parts(conversation: Conversation, content: Any) -> str:
    """Join the content of a message: a text, or the texts in a list of parts.

    Raises:
        ValueError: It is neither.

    """
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        msg = f"holds a message that is {describe_kind(content)}, expected text or parts"
        raise ValueError(msg)
    texts = []
    for part in content:
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            texts.append(text)
        else:  # the answer is about what the model would not see
            conversation.unusable = WITH_PARTS
    return "\n".join(texts)
