"""The result of every format: a conversation of messages that can be trained on."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from builder.data.template import Message
from builder.data.values import describe_kind
from builder.manifest.fields import is_visible

SYSTEM_MESSAGES = "system messages"
THOUGHTS = "thoughts"
UNANSWERED = "messages at an end without an answer"


# Why a conversation ends early, and what it then loses. What the model would not see must not be
# answered: that would teach it to guess.
WITH_TOOLS = "conversations with calls of tools"
WITH_PARTS = "conversations with images or other parts"
WITH_WEIGHTS = "conversations with answers of weight 0"
CUTS = {
    WITH_TOOLS: "answers that used a tool, and what follows them",
    WITH_PARTS: "messages with images or other parts, and what follows them",
    WITH_WEIGHTS: "answers of weight 0, and what follows them",
}
# Kinds of parts in exports of OpenAI's and Anthropic's clients, 2023 to 2026.
THOUGHT_PARTS = ("thinking", "redacted_thinking", "reasoning")
TOOL_PARTS = ("tool_use", "tool_result", "tool_call")
TRANSCRIPT, RECORDING = "audio_transcription", re.compile(r".*audio.*_asset_pointer")


@dataclass
class Conversation:
    """A conversation that is being read."""

    messages: list[Message] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """How much of each kind was left out."""
    is_cut: bool = False
    """Whether the rest is left out."""
    unusable: str = ""
    """Why the whole conversation is left out, or ""."""

    def add(self, role: str, text: str) -> None:
        """Add a text; neighbours of one role are merged, and blank texts are skipped."""
        text = text.strip()
        if self.is_cut or not is_visible(text):
            return
        if role == "system" and self.messages and self.messages[-1]["role"] != "system":
            self.leave_out(SYSTEM_MESSAGES)
        elif self.messages and self.messages[-1]["role"] == role:
            self.messages[-1]["content"] += f"\n\n{text}"
        else:
            self.messages.append({"role": role, "content": text})

    def leave_out(self, kind: str) -> None:
        """Count something that is left out; after a cut, all is."""
        self.left_out[kind] += not self.is_cut

    def cut(self, kind: str, role: str = "assistant") -> None:
        """Leave out all from here on, and what was already said of an answer.

        Args:
            kind: One of `CUTS`.
            role: The role of the message that holds what the model would not see.

        """
        self.leave_out(CUTS[kind])
        while role == "assistant" and self.messages and self.messages[-1]["role"] == "assistant":
            self.messages.pop()
        if not any(message["role"] == "assistant" for message in self.messages):
            self.unusable = self.unusable or kind
        self.is_cut = True

    def end(self) -> None:
        """Remove messages after the last answer; all, if nobody asks or it is unusable."""
        kept = self.messages
        while kept and kept[-1]["role"] != "assistant":
            self.left_out[UNANSWERED] += kept.pop()["role"] == "user"
        if self.unusable or not any(message["role"] == "user" for message in kept):
            kept.clear()

    def join_parts(self, role: str, content: Any) -> str:
        """Join the content of a message: a text, or the texts in a list of parts.

        Thoughts are left out, and so is a recording beside its transcript. Any other part without a
        text, such as an image, cuts the conversation.

        Raises:
            ValueError: It is neither.

        """
        if content is None or isinstance(content, str):
            return content or ""
        if not isinstance(content, list):
            msg = f"contains a message that is {describe_kind(content)}, expected text or parts"
            raise ValueError(msg)
        texts, kinds = [], [_read_kind(part) for part in content]
        for kind, part in zip(kinds, content, strict=True):
            text = part.get("text") if isinstance(part, dict) else part
            if kind in THOUGHT_PARTS:
                self.leave_out(THOUGHTS)
            elif kind in TOOL_PARTS:
                self.cut(WITH_TOOLS)
            elif isinstance(text, str):
                texts.append(text)
            elif not (TRANSCRIPT in kinds and RECORDING.fullmatch(kind)):
                self.cut(WITH_PARTS, role)
        return "\n".join(texts)


def _read_kind(part: Any) -> str:
    """Read the kind of a part: OpenAI's and Anthropic's `type`, ChatGPT's `content_type`."""
    kinds = part if isinstance(part, dict) else {}
    return str(kinds.get("type") or kinds.get("content_type") or "text")
