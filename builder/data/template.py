"""Turns conversations into text, token ids and a loss mask; no other module does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.bases.chat_template import UNRENDERABLE, check_limits
from builder.bases.family import Family
from builder.data.builtin import ALPACA, CHATML
from builder.data.probes import CALLED, CALLED_TOOL, PROBE
from builder.data.tools import Tool
from builder.data.values import escape_in_json
from builder.errors import DataError, ToolError
from builder.sandbox import LimitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

IGNORED = -100  # ignore_index of torch.nn.functional.cross_entropy
Message = dict[str, Any]
"""A message for a chat template: a role, a text, and calls if there are any."""


@dataclass(frozen=True)
class Encoded:
    """A conversation as token ids with its loss mask, both of length T."""

    ids: list[int]
    loss_mask: list[bool]

    def labels(self) -> list[int]:
        """Give the ids where the loss is computed, and -100 elsewhere."""
        pairs = zip(self.ids, self.loss_mask, strict=True)
        return [token if is_label else IGNORED for token, is_label in pairs]


class Template:
    """A chat template with its tokenizer.

    Args:
        folder: The folder with the base's tokenizer and chat template.
        kind: `base`, `chatml` or `alpaca`.
        family: The base's family, which may replace its chat template.

    Attributes:
        jinja: The template.
        owner: The origin of the template: the base's family, or `data.template`.
        why_no_tools: Why it does not render tools, if the base's own template does.
        eos: The tokenizer's EOS token, which may end conversations rather than turns.
        end_of_turn: The token that the template ends each reply with.
        end_of_turn_id: Its id, at which generation stops.
        special_tokens: Those that no message may hold, the longest first.

    Raises:
        ToolError: The base has no chat template, or it adds a system text, or it does not end
            each reply with the same special token.

    """

    def __init__(self, folder: Path, kind: str, family: Family) -> None:
        from transformers import AutoTokenizer  # noqa: PLC0415 — takes seconds

        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        except Exception as error:  # noqa: BLE001 — its libraries can raise anything
            reason = str(error).strip().partition("\n")[0][:120]
            msg = f"{folder}: the base's tokenizer cannot be loaded ({reason}), expected it whole"
            raise ToolError(msg, hint="fetch the base again, or take another") from None
        self.eos = str(self.tokenizer.eos_token)
        # White space can be an added token too, such as line ends in Gemma's vocabulary.
        every = self.tokenizer.added_tokens_decoder.values()
        added = [token for token in every if str(token).strip()]
        tokens = sorted(map(str, added), key=lambda text: (-len(text), text))
        self._hint = _other_template(kind, tokens)
        written = {"chatml": CHATML, "alpaca": ALPACA.replace("EOS", self.eos)}
        self.jinja = written.get(kind) or self._own(folder, family)
        self.owner = f'data.template = "{kind}"' if kind in written else family.name
        self.why_no_tools = None if kind in written else family.why_no_tools
        try:
            self._probe = self._render(self.jinja, PROBE)
            markup = self._render(self.jinja, PROBE[:-1])
        except UNRENDERABLE as error:
            msg = f"{folder}: the chat template cannot render two turns ({error}), expected it to"
            raise ToolError(msg, hint=self._hint) from None
        self.end_of_turn = self._find_end_of_turn(folder, tokens)
        self.end_of_turn_id = int(self.tokenizer.convert_tokens_to_ids(self.end_of_turn))
        marked = {self.end_of_turn, *(str(token) for token in added if token.special)}
        self.special_tokens = [
            text for text in tokens if text in marked or _is_markup(text, markup)
        ]
        self._special = _any_of(self.special_tokens)

    def _own(self, folder: Path, family: Family) -> str:
        own = self.tokenizer.chat_template
        template = family.chat_template(own if isinstance(own, str) else None)
        if template is None:
            msg = f"{folder}: the base has no chat template, expected one"
            raise ToolError(msg, hint=self._hint)
        try:
            added = self._render(template, [{"role": "user", "content": "?"}]).split("?")[0]
        except UNRENDERABLE as error:
            msg = f"{folder}: the chat template cannot render a question ({error}), expected it to"
            raise ToolError(msg, hint=self._hint) from None
        if "system" in added.lower():
            what = f"adds a system text of its own ({added!r})"
            msg = f"{folder}: the base's chat template {what}, expected none"
            raise ToolError(msg, hint=self._hint)
        return template

    def _find_end_of_turn(self, folder: Path, tokens: list[str]) -> str:
        """Find the token after each reply of the rendered probe; white space may precede it."""
        ending = re.compile(r"\s*(" + _any_of(tokens).pattern + ")")
        replies = [message["content"] for message in PROBE if message["role"] == "assistant"]
        found = [ending.match(self._probe.partition(reply)[2]) for reply in replies]
        first, last = (match[1] if match else None for match in found)
        if first is None or last is None:
            msg = f"{folder}: the chat template ends a reply with no special token, expected one"
            raise ToolError(msg, hint=self._hint)
        if first != last:
            both = f"the last reply with {last!r} and those before it with {first!r}"
            msg = f"{folder}: the chat template ends {both}, expected one end-of-turn token"
            raise ToolError(msg, hint=self._hint)
        return first

    def _render(self, jinja: str, messages: Sequence[Mapping[str, Any]], **options: Any) -> str:
        return str(
            self.tokenizer.apply_chat_template(
                list(messages), chat_template=jinja, tokenize=False, **options
            )
        )

    def check_limits(
        self, conversations: Iterable[Sequence[Message]], tools: Sequence[list[Tool]]
    ) -> None:
        """Render conversations in a separate process, before they are rendered in this one.

        Args:
            conversations: The conversations.
            tools: The functions that each declares.

        Raises:
            ToolError: The template exceeds the limits.

        """
        try:
            check_limits(self.jinja, conversations, self.tokenizer.special_tokens_map, tools)
        except LimitError as error:
            msg = f"the chat template {error.message}, expected one of a few milliseconds a row"
            raise ToolError(msg, hint=self._hint) from None

    def render(
        self, messages: Sequence[Mapping[str, Any]], tools: list[dict[str, Any]] | None = None
    ) -> str:
        """Render a conversation up to its answer."""
        return self._render(self.jinja, messages, add_generation_prompt=True, tools=tools)

    def tokenize(self, text: str) -> list[int]:
        """Tokenize rendered text, without adding a BOS."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    @property
    def adds_bos(self) -> bool:
        """Whether the tokenizer adds a BOS to plain text."""
        return bool(self.tokenizer("a")["input_ids"][0] == self.tokenizer.bos_token_id)

    def special_in(self, text: str) -> str | None:
        """Find the first special token in a text."""
        match = self._special.search(text)
        return match[0] if match else None

    @cached_property
    def knows_tools(self) -> bool:
        """Whether it renders functions, calls and results."""
        try:
            declared = self.render(CALLED[:1], [CALLED_TOOL])
            called = self._render(self.jinja, CALLED, tools=[CALLED_TOOL])
        except UNRENDERABLE:
            return False
        return CALLED_TOOL["function"]["name"] in declared and all(
            word in called for word in ("upward", "downward", "inward")
        )

    def encode(self, messages: Sequence[Message], tools: list[Tool] | None = None) -> Encoded:
        """Encode a conversation, with labels on each reply and its end-of-turn token.

        Tokens after the last label are left out, as they would cost time and teach nothing. They
        include the EOS that some templates (Phi) write after the last end-of-turn token, which is
        not a label: generation stops before it.

        Args:
            messages: The conversation; calls are part of a reply, and results are not.
            tools: The functions that it declares.

        Raises:
            DataError: The template cannot render the conversation or changes a reply, or a reply
                cannot be separated from its prompt or does not end with the end-of-turn token.

        """
        try:
            text = self._render(self.jinja, messages, tools=tools or None)
            replies = [at for at, message in enumerate(messages) if message["role"] == "assistant"]
            spans = [self._reply_span(text, messages, at, tools or None) for at in replies]
        except UNRENDERABLE as error:
            msg = f"the chat template cannot render it ({error}), expected turns that it can render"
            raise DataError(msg, hint=self._hint) from None
        coded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, offsets = list(coded["input_ids"]), coded["offset_mapping"]
        mask = [False] * len(ids)
        for begin, stop in spans:
            if any(start < begin < end for start, end in offsets):
                msg = "a reply's first token begins before it, expected no blank at its start"
                raise DataError(msg)
            last = None
            for at, (start, end) in enumerate(offsets):
                # The end-of-turn token may extend past its text: Phi's includes the line end.
                if begin <= start < stop and end > start:
                    mask[at], last = True, ids[at]
            if last != self.end_of_turn_id:
                raise self._no_end_of_turn()
        if not spans:
            raise self._no_end_of_turn()
        length = len(mask) - mask[::-1].index(True)
        return Encoded(ids[:length], mask[:length])

    def _no_end_of_turn(self) -> DataError:
        msg = f"a reply does not end with {self.end_of_turn!r}, expected the model to learn to stop"
        return DataError(msg)

    def _reply_span(
        self, text: str, messages: Sequence[Message], index: int, tools: list[Tool] | None
    ) -> tuple[int, int]:
        """Find where a reply begins in the rendered text, and where its end-of-turn token ends."""
        prompt = self._render_prompt(messages, index, tools)
        if not text.startswith(prompt):
            msg = "the chat template renders a prompt otherwise once it is answered"
            msg += ", expected the same text"
            raise DataError(msg, hint=self._hint)
        end = text.find(self.end_of_turn, len(prompt))
        if end < 0:
            raise self._no_end_of_turn()
        reply = text[len(prompt) : end]
        if messages[index]["content"].strip() not in reply:
            if messages[index].get("tool_calls"):
                msg = "the chat template leaves out words beside a call, expected the call alone"
            else:
                msg = "the chat template changes a reply's words, expected them as they are written"
            raise DataError(msg, hint=self._hint)
        for call in messages[index].get("tool_calls", []):
            function = call["function"]
            words = (function["name"], *function["arguments"])
            if any(word not in reply and escape_in_json(word) not in reply for word in words):
                name = function["name"]
                msg = f"the chat template leaves out the call of {name!r}, expected it in the reply"
                raise DataError(msg, hint=self._hint)
        return len(prompt), end + len(self.end_of_turn)

    def _render_prompt(
        self, messages: Sequence[Message], index: int, tools: list[Tool] | None
    ) -> str:
        if index:
            return self.render(messages[:index], tools)
        # Few templates render an empty conversation. The prompt is the text before the reply,
        # without what the template writes between a prompt and a reply (white space).
        marked = {**messages[0], "content": PROBE[0]["content"]}
        every = self._render(self.jinja, [marked, *messages[1:]], tools=tools)
        before = every.partition(marked["content"])[0]
        prompt = self._render(self.jinja, PROBE[:1], add_generation_prompt=True)
        blank = self._probe.removeprefix(prompt).partition(PROBE[1]["content"])[0]
        return before.removesuffix(blank)


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    """Compile a pattern that matches any of the texts, preferring earlier ones."""
    return re.compile("|".join(map(re.escape, texts)) or r"(?!)")


def _is_markup(text: str, markup: str) -> bool:
    """Say whether a token marks turns, although the vocabulary does not declare it special.

    Examples are Gemma's <start_of_turn> and DeepSeek's <｜User｜> in some releases.
    """
    return text.startswith("<|") or (text[0] in "<[" and text in markup)


def _other_template(kind: str, tokens: list[str]) -> str | None:
    """Suggest another template: ChatML if its tokens are in the vocabulary, or else Alpaca."""
    if kind == "alpaca":
        return None
    other = "chatml" if kind == "base" and "<|im_end|>" in tokens else "alpaca"
    return f'set data.template = "{other}"'
