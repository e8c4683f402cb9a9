"""The facts in a base's small files: config, tokenizer and chat template, read in a second."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from builder import files
from builder.bases.chat_template import UNRENDERABLE, render
from builder.errors import ToolError

# Rendered to find what follows a reply. No template holds these words.
QUESTION, REPLY = "northward", "southward"
NAMED_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token")


@dataclass(frozen=True)
class Facts:
    """The facts in a base's small files; those of a missing or broken file are empty."""

    folder: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        """The content of config.json."""
        return self._table("config.json")

    @cached_property
    def tokenizer_config(self) -> dict[str, Any]:
        """The content of tokenizer_config.json."""
        return self._table("tokenizer_config.json")

    @cached_property
    def tokenizer(self) -> dict[str, Any]:
        """The content of tokenizer.json: megabytes, which take a tenth of a second to read."""
        return self._table("tokenizer.json")

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """All tokens of tokenizer.json with their ids, including added tokens."""
        vocabulary = self.tokenizer.get("model", {}).get("vocab", {})
        # SentencePiece's Unigram lists tokens with their scores.
        is_list = isinstance(vocabulary, list)
        texts = enumerate(entry[0] for entry in vocabulary) if is_list else ()
        found = {text: at for at, text in texts} if is_list else dict(vocabulary)
        for token in self.tokenizer.get("added_tokens", []):
            found[token["content"]] = token["id"]
        return found

    @cached_property
    def added_tokens(self) -> list[str]:
        """The texts of the added tokens, the longest first."""
        listed = self.tokenizer_config.get("added_tokens_decoder", {}).values()
        listed = [*listed, *self.tokenizer.get("added_tokens", [])]
        texts = {token["content"] for token in listed if token["content"].strip()}
        return sorted({*texts, *self.tokens.values()}, key=lambda text: (-len(text), text))

    @cached_property
    def tokens(self) -> dict[str, str]:
        """The tokens named in tokenizer_config.json, such as `eos_token`."""
        found: dict[str, str] = {}
        for name in NAMED_TOKENS:
            token = self.tokenizer_config.get(name)
            text = token.get("content") if isinstance(token, dict) else token
            found |= {name: text} if text else {}
        return found

    @cached_property
    def chat_template(self) -> str | None:
        """The base's own chat template, or None."""
        path = self.folder / "chat_template.jinja"
        if path.is_file():
            return files.read_text(path)
        template = self.tokenizer_config.get("chat_template")
        if isinstance(template, list):  # several, by name
            by_name = {entry["name"]: entry["template"] for entry in template}
            return by_name.get("default")
        return template if isinstance(template, str) else None

    @cached_property
    def end_of_turn(self) -> str:
        """The token that the base's own chat template writes after a reply, or else its EOS."""
        turns = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": REPLY}]
        after = self._render([*turns, turns[0]]).partition(REPLY)[2].lstrip()
        following = (token for token in self.added_tokens if after.startswith(token))
        return next(following, None) or self.tokens.get("eos_token", "")

    @cached_property
    def always_thinks(self) -> bool:
        """Whether a prompt begins a thought, even with thinking switched off."""
        question = [{"role": "user", "content": QUESTION}]
        prompt = self._render(question, add_generation_prompt=True, enable_thinking=False)
        return prompt.rstrip().endswith(("<think>", "[THINK]"))

    def _render(self, messages: list[dict[str, str]], **options: Any) -> str:
        try:
            return render(self.chat_template or "", messages, self.tokens, **options)
        except UNRENDERABLE:
            return ""

    def _table(self, name: str) -> dict[str, Any]:
        value = files.read_json(self.folder / name)
        return value if isinstance(value, dict) else {}


def read_eos(folder: Path) -> str:
    """Read the text of the EOS token from tokenizer_config.json.

    Raises:
        ToolError: The file does not name one.

    """
    if token := Facts(folder).tokens.get("eos_token"):
        return token
    path = folder / "tokenizer_config.json"
    msg = f"{path}: names no EOS token, expected what the base stage wrote"
    raise ToolError(msg, hint="build the persona with --discard")
