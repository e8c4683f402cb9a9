"""What the makers of each family publish, as far as a client of packages can fetch it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.bases.tokenizers import read_embedded
from tests.bases.vocabularies import read_llama_cpp, read_trl

Fetched = tuple[Callable[[str], str], str]
"""Reads a chat template, and its name there."""


@dataclass(frozen=True, kw_only=True)
class Original:
    """A family's checkpoints, by their small files."""

    family: str
    config: dict[str, Any]
    """config.json as its makers write it: the keys that tell it apart."""
    eos: str
    """The tokenizer's, which need not end a turn."""
    bos: str | None = None
    tokens: tuple[str, ...] = ()
    """Further special tokens that its chat template writes."""
    templates: tuple[Fetched, ...] = ()
    """Its original chat templates, the newest first."""
    form: str = ""
    """A chat template of its form, where no original can be fetched."""
    without_tools: tuple[str, ...] = ()
    """Those of its chat templates that know none, though newer ones do."""
    has_one_call: bool = False
    """Whether a message may make one call alone."""
    has_words: bool = True
    """Whether words beside a call are written."""

    @property
    def special(self) -> tuple[str, ...]:
        """All of its special tokens, its BOS first and its EOS last."""
        inner = tuple(token for token in self.tokens if token not in (self.bos, self.eos))
        return (*((self.bos,) if self.bos and self.bos != self.eos else ()), *inner, self.eos)

    def fit_calls(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Take out of a conversation the calls, their results and the words that it leaves out."""
        made: list[dict[str, Any]] = []
        for message in messages:
            fitted = dict(message)
            if calls := message.get("tool_calls"):
                fitted["tool_calls"] = calls[:1] if self.has_one_call else calls
                fitted["content"] = message["content"] if self.has_words else ""
            is_second = bool(made) and message["role"] == made[-1]["role"] == "tool"
            if not (is_second and self.has_one_call):
                made.append(fitted)
        return made

    def read_template(self) -> str:
        """Read the newest chat template; skip where it cannot be fetched."""
        if not self.templates:
            return self.form
        read, name = self.templates[0]
        return read(name)


def trl(*names: str) -> tuple[Fetched, ...]:
    """Name chat templates that TRL holds."""
    return tuple((read_trl, name) for name in names)


def llama_cpp(*names: str) -> tuple[Fetched, ...]:
    """Name chat templates that llama.cpp holds."""
    return tuple((read_llama_cpp, name) for name in names)


CHATML = ("<|im_start|>", "<|im_end|>")
LLAMA = ("<|start_header_id|>", "<|end_header_id|>")
GEMMA = ("<start_of_turn>", "<end_of_turn>")
MISTRAL = (
    *("[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
    *("[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"),
    *("[TOOL_CALLS]", "[ARGS]"),
)
GRANITE = ("<|start_of_role|>", "<|end_of_role|>")
PHI = ("<|user|>", "<|assistant|>", "<|system|>", "<|end|>")

ORIGINALS = (
    Original(
        family="qwen3-2507",
        config={"model_type": "qwen3", "max_position_embeddings": 262144},
        eos="<|im_end|>",
        tokens=CHATML,
        templates=trl("qwen3_instruct_2507"),
    ),
    Original(
        family="qwen3",
        config={"model_type": "qwen3", "max_position_embeddings": 40960},
        eos="<|im_end|>",
        tokens=CHATML,
        templates=(*trl("qwen3"), *llama_cpp("Qwen-Qwen3-0.6B")),
    ),
    Original(
        family="qwen2.5",
        config={"model_type": "qwen2", "vocab_size": 152064},
        eos="<|im_end|>",
        tokens=CHATML,
        templates=trl("qwen2_5"),
    ),
    Original(
        family="qwen3.5",
        config={"model_type": "qwen3_5", "text_config": {"model_type": "qwen3_5_text"}},
        eos="<|im_end|>",
        tokens=CHATML,
        templates=trl("qwen3_5_think", "qwen3_5_nothink", "qwen3_6"),
    ),
    Original(
        family="llama3",
        config={"model_type": "llama", "vocab_size": 128256},
        eos="<|eot_id|>",
        bos="<|begin_of_text|>",
        tokens=LLAMA,
        templates=trl("llama3_2", "llama3_1", "llama3"),
        without_tools=("llama3",),
        has_one_call=True,
        has_words=False,
    ),
    Original(
        family="gemma3",
        config={"model_type": "gemma3_text"},
        eos="<eos>",
        bos="<bos>",
        tokens=GEMMA,
        templates=trl("gemma3"),
    ),
    Original(
        family="gemma3-image-text",
        config={"model_type": "gemma3", "vision_config": {}},
        eos="<eos>",
        bos="<bos>",
        tokens=GEMMA,
        templates=trl("gemma3"),
    ),
    Original(
        family="gemma4",
        config={"model_type": "gemma4", "text_config": {"hidden_size_per_layer_input": 256}},
        eos="<eos>",
        bos="<bos>",
        tokens=("<|turn>", "<turn|>"),
        templates=trl("gemma4_v5", "gemma4_v4", "gemma4_v3", "gemma4_v2", "gemma4"),
    ),
    Original(
        family="mistral-7b",
        config={"model_type": "mistral", "vocab_size": 32768},
        eos="</s>",
        bos="<s>",
        tokens=MISTRAL,
        form=(
            "<s>{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }}[/INST]"
            "{% else %} {{ m.content }}</s>{% endif %}{% endfor %}"
        ),
        has_words=False,
    ),
    Original(
        family="mistral-nemo",
        config={"model_type": "mistral", "vocab_size": 131072},
        eos="</s>",
        bos="<s>",
        tokens=MISTRAL,
        templates=llama_cpp("mistralai-Mistral-Nemo-Instruct-2407"),
        has_words=False,
    ),
    Original(
        family="ministral3",
        config={"model_type": "mistral3", "text_config": {"model_type": "ministral3"}},
        eos="</s>",
        bos="<s>",
        tokens=MISTRAL,
        templates=llama_cpp("mistralai-Ministral-3-14B-Reasoning-2512"),
    ),
    Original(
        family="smollm2",
        config={"model_type": "llama", "vocab_size": 49152},
        eos="<|im_end|>",
        tokens=CHATML,
        templates=((read_embedded, "chat_template.jinja"),),
    ),
    Original(
        family="smollm3",
        config={"model_type": "smollm3"},
        eos="<|im_end|>",
        tokens=CHATML,
        templates=llama_cpp("HuggingFaceTB-SmolLM3-3B"),
    ),
    Original(
        family="granite4",
        config={"model_type": "granitemoehybrid"},
        eos="<|end_of_text|>",
        tokens=GRANITE,
        templates=llama_cpp("ibm-granite-granite-4.0", "ibm-granite-granite-4.1"),
    ),
    Original(
        family="phi4-mini",
        config={"model_type": "phi3", "vocab_size": 200064},
        eos="<|endoftext|>",
        tokens=PHI,
        form=(
            "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
            "{% if add_generation_prompt %}<|assistant|>{% else %}<|endoftext|>{% endif %}"
        ),
    ),
    Original(
        family="lfm2",
        config={"model_type": "lfm2"},
        eos="<|im_end|>",
        bos="<|startoftext|>",
        tokens=CHATML,
        templates=trl("lfm2_2_5", "lfm2_2_5_v2", "lfm2", "lfm2_v2"),
    ),
    Original(
        family="olmo2",
        config={"model_type": "olmo2"},
        eos="<|endoftext|>",
        bos="<|endoftext|>",
        form=(
            "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}"
            "{{ eos_token if m.role == 'assistant' }}"
            "{{ '\n' if m.role != 'assistant' or not loop.last }}"
            "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
        ),
    ),
)
BY_FAMILY = {original.family: original for original in ORIGINALS}
