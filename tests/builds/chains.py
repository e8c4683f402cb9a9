"""A base of each family with random weights, for the whole chain.

Of its architecture, vocabulary and chat template; config.json has the keys that tell its family.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bases.architectures import write_weights
from tests.bases.test_families import MISTRAL_7B, OLMO2, PHI
from tests.bases.tokenizers import Tokenizer, read_embedded, write_tokenizer
from tests.bases.vocabularies import read_llama_cpp, read_trl

ROW_STEP = 64
# Room for the longest shape of parity.
POSITIONS = 8192
CHATML = ("<|im_start|>", "<|im_end|>")
INST = ("[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]")
GRANITE = ("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>")
PHI_TOKENS = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|endoftext|>")


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A base of a family, of two layers."""

    family: str
    architecture: str
    """Of `tests.bases.architectures`."""
    tokenizer: Tokenizer
    template: tuple[Callable[[str], str], str] | str
    """Where the original chat template is read, or a text in its form."""
    config: dict[str, Any] = field(default_factory=dict)
    known_as: str | None = None
    """The pre-tokenizer, where the converter cannot know the vocabulary, which stands in."""

    def write(self, folder: Path) -> None:
        """Write the base into a folder."""
        folder.mkdir()
        read = self.template
        jinja = read if isinstance(read, str) else read[0](read[1])
        tokens = write_tokenizer(folder, self.tokenizer, jinja)
        ids = self._find_ids(folder)
        rows = -(-tokens // ROW_STEP) * ROW_STEP
        sizes = {"vocab_size": rows, "max_position_embeddings": POSITIONS}
        write_weights(self.architecture, folder, **{**sizes, **ids, **self.config})

    def _find_ids(self, folder: Path) -> dict[str, int | None]:
        added = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
        ids = {token["content"]: token["id"] for token in added}
        eos, bos = ids[self.tokenizer.eos], ids.get(self.tokenizer.bos or "")
        return {"eos_token_id": eos, "pad_token_id": eos, "bos_token_id": bos}


QWEN = Tokenizer(vocabulary="qwen3", eos="<|im_end|>", kind="Qwen2Tokenizer")
GEMMA = Tokenizer(vocabulary="gemma3", eos="<eos>", bos="<bos>", kind="GemmaTokenizer")
TEKKEN = Tokenizer(vocabulary="llama3_1", eos="</s>", bos="<s>", tokens=("<s>", "</s>", *INST))

CHAINS = (
    Chain(
        family="qwen3-2507",
        architecture="qwen3",
        tokenizer=QWEN,
        template=(read_trl, "qwen3_instruct_2507"),
        config={"max_position_embeddings": 262144},
    ),
    Chain(
        family="qwen3",
        architecture="qwen3",
        tokenizer=QWEN,
        template=(read_trl, "qwen3"),
        config={"max_position_embeddings": 40960},
    ),
    Chain(family="qwen2.5", architecture="qwen2", tokenizer=QWEN, template=(read_trl, "qwen2_5")),
    Chain(
        family="qwen3.5",
        architecture="qwen3.5",
        tokenizer=QWEN,
        template=(read_trl, "qwen3_5_think"),
    ),
    Chain(
        family="llama3",
        architecture="llama",
        tokenizer=Tokenizer(vocabulary="llama3_1", eos="<|eot_id|>", bos="<|begin_of_text|>"),
        template=(read_trl, "llama3_2"),
    ),
    Chain(
        family="gemma3",
        architecture="gemma3",
        tokenizer=GEMMA,
        template=(read_trl, "gemma3"),
        config={"vocab_size": 262144},
    ),
    Chain(
        family="gemma3-image-text",
        architecture="gemma3 with vision",
        tokenizer=GEMMA,
        template=(read_trl, "gemma3"),
    ),
    Chain(
        family="gemma4",
        architecture="gemma4",
        tokenizer=Tokenizer(vocabulary="gemma4", eos="<eos>", bos="<bos>", kind="GemmaTokenizer"),
        template=(read_trl, "gemma4_v5"),
        config={"hidden_size_per_layer_input": 256, "vocab_size_per_layer_input": 262144},
    ),
    Chain(
        family="mistral-7b",
        architecture="mistral",
        tokenizer=Tokenizer(
            vocabulary="llama2",
            eos="</s>",
            bos="<s>",
            tokens=("<s>", "</s>", *INST),
            kind="LlamaTokenizer",
        ),
        template=MISTRAL_7B,
        config={"vocab_size": 32768},
    ),
    Chain(
        family="mistral-nemo",
        architecture="mistral",
        tokenizer=TEKKEN,
        template=(read_llama_cpp, "mistralai-Mistral-Nemo-Instruct-2407"),
        config={"vocab_size": 131072},
        known_as="llama-bpe",
    ),
    Chain(
        family="ministral3",
        architecture="mistral3",
        tokenizer=TEKKEN,
        template=(read_llama_cpp, "mistralai-Ministral-3-14B-Reasoning-2512"),
        known_as="llama-bpe",
    ),
    Chain(
        family="smollm2",
        architecture="llama",
        tokenizer=Tokenizer(vocabulary="smollm2", eos="<|im_end|>", bos=None),
        template=(read_embedded, "chat_template.jinja"),
        config={"vocab_size": 49152},
    ),
    Chain(
        family="smollm3",
        architecture="smollm3",
        tokenizer=Tokenizer(vocabulary="llama3_1", eos="<|im_end|>", tokens=CHATML),
        template=(read_llama_cpp, "HuggingFaceTB-SmolLM3-3B"),
        known_as="llama-bpe",
    ),
    Chain(
        family="granite4",
        architecture="granite 4",
        tokenizer=Tokenizer(vocabulary="smollm2", eos="<|end_of_text|>", tokens=GRANITE),
        template=(read_llama_cpp, "ibm-granite-granite-4.0"),
        known_as="smollm",
    ),
    Chain(
        family="phi4-mini",
        architecture="phi3",
        tokenizer=Tokenizer(
            vocabulary="qwen3", eos="<|endoftext|>", tokens=PHI_TOKENS, kind="GPT2Tokenizer"
        ),
        template=PHI,
        config={"vocab_size": 200064},
        known_as="qwen2",
    ),
    Chain(
        family="lfm2",
        architecture="lfm2",
        tokenizer=Tokenizer(
            vocabulary="llama3_1",
            eos="<|im_end|>",
            bos="<|startoftext|>",
            tokens=("<|startoftext|>", *CHATML),
        ),
        template=(read_trl, "lfm2_2_5"),
        known_as="lfm2",
    ),
    Chain(
        family="olmo2",
        architecture="olmo2",
        tokenizer=Tokenizer(
            vocabulary="smollm2",
            eos="<|endoftext|>",
            bos="<|endoftext|>",
            adds_bos=False,
            kind="GPT2Tokenizer",
        ),
        template=OLMO2,
        known_as="smollm",
    ),
)
