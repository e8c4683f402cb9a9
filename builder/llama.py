"""The client of llama-cpp-python: loads a GGUF, and generates answers."""

from __future__ import annotations

import codecs
import contextlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder import files
from builder.cpu import count_cores
from builder.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

MAX_CONTEXT_TOKENS = 4096
CHUNK_TOKENS = 512
REPEAT_LAST_N = 64  # llama-server's and Ollama's default
BYTES_A_THREAD = 150_000_000


@dataclass(frozen=True)
class Answer:
    """An answer: text, ids, logit margins, and whether it ended by itself."""

    text: str
    ids: list[int]
    margins: list[float]
    """The logit of each token minus that of the next likeliest, in nats; the end-of-turn token's is
    the last. A cached answer only has the smallest."""
    ended: bool


def identify(path: Path) -> str:
    """Identify a file's content and llama.cpp's version: if either differs, answers may too."""
    return f"{files.sha256(path)} llama-cpp-python {importlib.metadata.version('llama-cpp-python')}"


def _threads(path: Path) -> int:
    """Choose the number of threads: more would slow a small file down."""
    return min(count_cores(), max(2, path.stat().st_size // BYTES_A_THREAD))


class Model:
    """A loaded GGUF with a chat template.

    Args:
        path: The file.
        chat_template: A Jinja template to use instead of the file's own.

    Raises:
        ToolError: llama.cpp cannot load it, or there is no template.

    """

    def __init__(self, path: Path, chat_template: str | None = None) -> None:
        import llama_cpp  # noqa: PLC0415 — loads llama.cpp
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter  # noqa: PLC0415

        try:
            self.llama = llama_cpp.Llama(
                str(path),
                n_ctx=MAX_CONTEXT_TOKENS,
                n_batch=CHUNK_TOKENS,
                n_gpu_layers=0,
                n_threads=_threads(path),
                verbose=False,
            )
        except (ValueError, OSError) as error:
            msg = f"{path}: llama.cpp cannot load it ({error}), expected a GGUF"
            raise ToolError(msg) from None
        self._api: Any = llama_cpp
        facts = self.llama.metadata
        self.eos = self.llama.token_eos()
        eos = self.decode([self.eos])
        bos = self.decode([self.llama.token_bos()]) if self.llama.token_bos() >= 0 else ""
        self.adds_bos = facts.get("tokenizer.ggml.add_bos_token") == "true"
        template = chat_template or facts.get("tokenizer.chat_template")
        if template is None:
            msg = f"{path}: has no chat template, expected the trained one"
            raise ToolError(msg)
        self.formatter = Jinja2ChatFormatter(template, eos_token=eos, bos_token=bos)
        self.facts: dict[str, str] = dict(facts)
        self.bos = bos

    def render(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None
    ) -> str:
        """Render a conversation up to its answer."""
        return str(self.formatter(messages=messages, tools=tools).prompt)

    def tokenize(self, text: str) -> list[int]:
        """Tokenize rendered text as llama-server does."""
        add_bos = self.adds_bos and not (self.bos and text.startswith(self.bos))
        return list(self.llama.tokenize(text.encode(), add_bos=add_bos, special=True))

    def ask(self, messages: list[dict[str, str]], max_tokens: int) -> Answer:
        """Answer greedily."""
        return self.continue_prompt(self.tokenize(self.render(messages)), max_tokens)

    def continue_prompt(
        self, prompt: list[int], max_tokens: int, sampling: dict[str, Any] | None = None
    ) -> Answer:
        """Continue a prompt up to an end-of-turn token or *max_tokens*.

        Args:
            prompt: Token ids.
            max_tokens: Tokens after which the answer is cut off.
            sampling: temperature, top_k, top_p, min_p, repeat_penalty and seed; None is greedy.

        """
        made = list(self._generate(prompt, max_tokens, sampling))
        ended = bool(made) and self._is_end(made[-1][0])
        ids = [token for token, _ in made[: len(made) - ended]]
        return Answer(self.decode(ids), ids, [margin for _, margin in made], ended=ended)

    def stream(
        self, prompt: list[int], max_tokens: int, sampling: dict[str, Any] | None = None
    ) -> Iterator[str]:
        """Continue a prompt, and yield the text piece by piece."""
        decoder = codecs.getincrementaldecoder("utf-8")(
            "replace"
        )  # a character may consist of several tokens
        for token, _ in self._generate(prompt, max_tokens, sampling):
            if not self._is_end(token):
                yield decoder.decode(self.llama.detokenize([token], special=True))
        yield decoder.decode(b"", final=True)

    def _generate(
        self, prompt: list[int], max_tokens: int, sampling: dict[str, Any] | None = None
    ) -> Iterator[tuple[int, float]]:
        """Yield each token, the end-of-turn token too, with the likeliest one's logit margin."""
        import numpy as np  # noqa: PLC0415

        self.llama.reset()
        self.llama.eval(prompt)
        with contextlib.ExitStack() as stack:
            sampler = (
                stack.enter_context(self._sampler(sampling, prompt))
                if sampling is not None
                else None
            )
            for _ in range(max_tokens):
                logits = self._logits(-1)
                second, first = np.partition(logits, -2)[-2:]
                token = int(logits.argmax()) if sampler is None else self._sample(sampler)
                yield token, float(first - second)
                if self._is_end(token):
                    return
                self.llama.eval([token])

    def _is_end(self, token: int) -> bool:
        return bool(
            self._api.llama_vocab_is_eog(self._api.llama_model_get_vocab(self.llama.model), token)
        )

    @contextlib.contextmanager
    def _sampler(self, sampling: dict[str, Any], prompt: list[int]) -> Iterator[Any]:
        """Make a chain of llama.cpp's samplers that has seen the prompt, as llama-server does.

        llama-cpp-python 0.3.36 makes a new chain for each token, so its repeat penalty has no
        effect.
        """
        api = self._api
        chain = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())
        temperature = float(sampling.get("temperature", 0))
        stages = [
            api.llama_sampler_init_penalties(
                self.llama.n_vocab(), REPEAT_LAST_N, float(sampling["repeat_penalty"]), 0.0, 0.0
            )
        ]
        if temperature > 0:
            stages += [
                api.llama_sampler_init_top_k(int(sampling["top_k"])),
                api.llama_sampler_init_top_p(float(sampling["top_p"]), 1),
                api.llama_sampler_init_min_p(float(sampling["min_p"]), 1),
                api.llama_sampler_init_temp(temperature),
                api.llama_sampler_init_dist(int(sampling["seed"])),
            ]
        else:
            stages.append(api.llama_sampler_init_greedy())
        for stage in stages:
            api.llama_sampler_chain_add(chain, stage)
        for token in prompt:
            api.llama_sampler_accept(chain, token)
        try:
            yield chain
        finally:
            api.llama_sampler_free(chain)  # and its stages with it

    def _sample(self, sampler: Any) -> int:
        return int(self._api.llama_sampler_sample(sampler, self.llama.ctx, -1))

    def _logits(self, index: int) -> np.ndarray[Any, Any]:
        import numpy as np  # noqa: PLC0415

        logits: np.ndarray[Any, Any] = np.ctypeslib.as_array(
            self._api.llama_get_logits_ith(self.llama.ctx, index), shape=(self.llama.n_vocab(),)
        )
        return logits

    def next_log_probs(self, ids: list[int]) -> np.ndarray[Any, Any]:
        """Compute the log-probabilities of the next token after each token of a text.

        Args:
            ids: At most 512 token ids, T of them.

        Returns:
            Natural logarithms, shape (T, V), float32.

        """
        import numpy as np  # noqa: PLC0415

        self.llama.reset()
        self._api.llama_memory_clear(self._api.llama_get_memory(self.llama.ctx), True)
        batch = self._api.llama_batch_init(len(ids), 0, 1)
        try:
            batch.n_tokens = len(ids)
            for position, token in enumerate(ids):
                batch.token[position], batch.pos[position], batch.n_seq_id[position] = (
                    token,
                    position,
                    1,
                )
                batch.seq_id[position][0], batch.logits[position] = 0, True
            if code := self._api.llama_decode(self.llama.ctx, batch):
                what = f"decoding {len(ids)} tokens ended with {code}"
                msg = f"llama.cpp: {what}, expected their logits"
                raise ToolError(msg)
            logits = np.stack([self._logits(position) for position in range(len(ids))])  # (T, V)
        finally:
            self._api.llama_batch_free(batch)
        logits -= logits.max(axis=1, keepdims=True)
        logs: np.ndarray[Any, Any] = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return logs

    def decode(self, ids: list[int]) -> str:
        """Turn ids into text, including special tokens."""
        return self.llama.detokenize(ids, special=True).decode(errors="replace") if ids else ""
