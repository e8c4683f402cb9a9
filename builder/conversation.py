"""The one place where a conversation becomes text, token ids and a loss mask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.base import Family
from builder.errors import DataError, ToolError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

IGNORED = -100  # ignore_index of torch.nn.functional.cross_entropy
Message = dict[str, str]

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# The three headings are those of Stanford Alpaca's prompt; EOS stands for the base's own.
ALPACA = (
    "{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] + '\n\n' }}"
    "{% elif message['role'] == 'user' %}{{ '### Instruction:\n' + message['content'] + '\n\n' }}"
    "{% else %}{{ '### Response:\n' + message['content'] + 'EOS\n\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '### Response:\n' }}{% endif %}"
)
ALPACA_GO = (
    '{{ range .Messages }}{{ if eq .Role "system" }}{{ .Content }}\n\n{{ else if eq .Role "user" }}### Instruction:\n{{ .Content }}\n\n'
    "{{ else }}### Response:\n{{ .Content }}EOS\n\n{{ end }}{{ end }}### Response:\n"
)


@dataclass(frozen=True)
class Encoded:
    """A conversation as token ids, and which of them are learnt; both of length T."""

    ids: list[int]
    learnt: list[bool]

    def labels(self) -> list[int]:
        """Give the ids where they are learnt, -100 elsewhere."""
        return [token if learnt else IGNORED for token, learnt in zip(self.ids, self.learnt, strict=True)]


class Template:
    """A chat template together with the tokenizer it is used with.

    Args:
        folder: Holds the base's tokenizer and chat template.
        kind: `base`, `chatml` or `alpaca`.
        family: Says which default system text is to be taken out.

    Raises:
        ToolError: The base has no chat template, or one that adds a system text of its own.

    """

    def __init__(self, folder: Path, kind: str, family: Family) -> None:
        from transformers import AutoTokenizer  # noqa: PLC0415 — takes seconds

        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.eos = str(self.tokenizer.eos_token)
        added = self.tokenizer.added_tokens_decoder.values()
        self.special = sorted({str(token) for token in added if token.special or str(token).startswith("<|")}, key=len, reverse=True)
        self.jinja = {"chatml": CHATML, "alpaca": ALPACA.replace("EOS", self.eos)}.get(kind) or self._own(folder, family)

    def _own(self, folder: Path, family: Family) -> str:
        template = self.tokenizer.chat_template
        if not isinstance(template, str):
            msg = f"{folder}: the base has no chat template, expected one"
            raise ToolError(msg, hint='set data.template = "chatml"')
        template = template.replace(family.default_system, "") if family.default_system else template
        added = self._render(template, [{"role": "user", "content": "?"}]).split("?")[0]
        if "system" in added.lower():
            msg = f"{folder}: the base's chat template adds a system text of its own ({added!r}), expected none"
            raise ToolError(msg, hint='set data.template = "chatml"')
        return template

    def _render(self, jinja: str, messages: Sequence[Mapping[str, Any]], **options: Any) -> str:
        return str(self.tokenizer.apply_chat_template(list(messages), chat_template=jinja, tokenize=False, **options))

    def render(self, messages: Sequence[Mapping[str, Any]], tools: list[dict[str, Any]] | None = None) -> str:
        """Render a conversation that awaits its answer."""
        return self._render(self.jinja, messages, add_generation_prompt=True, tools=tools)

    def tokenize(self, text: str) -> list[int]:
        """Turn rendered text into ids; the template alone decides about BOS."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    @property
    def adds_bos(self) -> bool:
        """Whether the tokenizer puts a BOS before plain text."""
        return bool(self.tokenizer("a")["input_ids"][0] == self.tokenizer.bos_token_id)

    def special_in(self, text: str) -> str | None:
        """Find the first special token written out in a text."""
        return next((token for token in self.special if token in text), None)

    def encode(self, messages: Sequence[Message]) -> Encoded:
        """Turn a conversation into ids, learnt where the assistant speaks and ends.

        What follows the last learnt token is left off: it would cost time and teach nothing.

        Raises:
            DataError: A reply cannot be told from its prompt, or its end is not learnt.

        """
        text = self._render(self.jinja, messages)
        spans = [self._reply_span(text, messages, i) for i, message in enumerate(messages) if message["role"] == "assistant"]
        coded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        learnt = [any(begin <= start and end <= stop for begin, stop in spans) and end > start for start, end in coded["offset_mapping"]]
        if any(start < begin < end for start, end in coded["offset_mapping"] for begin, _ in spans):
            msg = "a reply's first token begins before the reply, expected a reply that starts with no blank"
            raise DataError(msg)
        length = len(learnt) - learnt[::-1].index(True) if True in learnt else 0
        encoded = Encoded(list(coded["input_ids"][:length]), learnt[:length])
        if not length or encoded.ids[-1] != self.tokenizer.eos_token_id:
            msg = f"the reply does not end with {self.eos!r}, expected the model to learn where to stop"
            raise DataError(msg)
        return encoded

    def _reply_span(self, text: str, messages: Sequence[Message], index: int) -> tuple[int, int]:
        prompt = self._render(self.jinja, messages[:index], add_generation_prompt=True)
        if not text.startswith(prompt):
            msg = "the chat template renders a prompt otherwise once it is answered, expected the same text"
            raise DataError(msg, hint='set data.template = "chatml"')
        end = text.find(self.eos, len(prompt) + len(messages[index]["content"]))
        return len(prompt), len(text) if end < 0 else end + len(self.eos)
