"""The border to llama-cpp-python: quantising a file, and asking one questions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import ToolError

QUANTIZED_AS = "q4_k_m"
MAX_CONTEXT_TOKENS = 4096
CHUNK_TOKENS = 512


@dataclass(frozen=True)
class Answer:
    """What a file answered: its text, ids, each id's lead over the next likeliest, and whether it ended by itself."""

    text: str
    ids: list[int]
    margins: list[float]
    """In nats, one an id, the end's own last."""
    ended: bool


def quantize(source: Path, out: Path) -> None:
    """Quantise a GGUF to Q4_K_M with llama.cpp's own quantiser.

    Raises:
        ToolError: The quantiser refused.

    """
    import llama_cpp  # noqa: PLC0415 — loads llama.cpp

    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M
    code = llama_cpp.llama_model_quantize(str(source).encode(), str(out).encode(), parameters)
    if code:
        msg = f"{source}: llama.cpp's quantiser ended with {code}, expected {out.name}"
        raise ToolError(msg)


class Model:
    """A GGUF, asked greedily through the chat template it carries.

    Raises:
        ToolError: llama.cpp cannot load it.

    """

    def __init__(self, path: Path) -> None:
        import llama_cpp  # noqa: PLC0415 — loads llama.cpp
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter  # noqa: PLC0415

        try:
            self.llama = llama_cpp.Llama(str(path), n_ctx=MAX_CONTEXT_TOKENS, n_batch=CHUNK_TOKENS, n_gpu_layers=0, verbose=False)
        except (ValueError, OSError) as error:
            msg = f"{path}: llama.cpp cannot load it ({error}), expected a GGUF"
            raise ToolError(msg) from None
        self._api: Any = llama_cpp
        facts = self.llama.metadata
        self.eos = self.llama.token_eos()
        eos = self._piece(self.eos)
        bos = self._piece(self.llama.token_bos()) if self.llama.token_bos() >= 0 else ""
        self.adds_bos = facts.get("tokenizer.ggml.add_bos_token") == "true"
        self.formatter = Jinja2ChatFormatter(facts["tokenizer.chat_template"], eos_token=eos, bos_token=bos)
        self.bos = bos

    def _piece(self, token: int) -> str:
        return str(self.llama.detokenize([token], special=True).decode(errors="replace"))

    def render(self, messages: list[dict[str, str]]) -> str:
        """Render a conversation that awaits its answer through the file's own template."""
        return str(self.formatter(messages=messages).prompt)

    def tokenize(self, text: str) -> list[int]:
        """Turn rendered text into ids, as the server does."""
        add_bos = self.adds_bos and not (self.bos and text.startswith(self.bos))
        return list(self.llama.tokenize(text.encode(), add_bos=add_bos, special=True))

    def ask(self, messages: list[dict[str, str]], max_tokens: int) -> Answer:
        """Answer greedily, one token at a time."""
        return self.continue_prompt(self.tokenize(self.render(messages)), max_tokens)

    def continue_prompt(self, prompt: list[int], max_tokens: int) -> Answer:
        """Continue a prompt greedily until an end token or *max_tokens*."""
        import numpy as np  # noqa: PLC0415

        self.llama.reset()
        self.llama.eval(prompt)
        ids: list[int] = []
        margins: list[float] = []
        vocabulary = self.llama.n_vocab()
        model = self._api.llama_model_get_vocab(self.llama.model)
        while len(ids) < max_tokens:
            logits = np.ctypeslib.as_array(self._api.llama_get_logits_ith(self.llama.ctx, -1), shape=(vocabulary,))
            second, first = np.partition(logits, -2)[-2:]
            token = int(logits.argmax())
            margins.append(float(first - second))
            if self._api.llama_vocab_is_eog(model, token):
                return Answer(self._text(ids), ids, margins, ended=True)
            ids.append(token)
            self.llama.eval([token])
        return Answer(self._text(ids), ids, margins, ended=False)

    def _text(self, ids: list[int]) -> str:
        return self.llama.detokenize(ids, special=True).decode(errors="replace") if ids else ""
