"""A base of each family with random weights, for the whole chain.

Of its architecture, vocabulary and chat template; config.json has the keys that tell its family.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bases.architectures import write_weights
from tests.bases.originals import BY_FAMILY, Original
from tests.bases.tokenizers import Tokenizer, write_tokenizer

ROW_STEP = 64
# Room for the longest shape of parity.
POSITIONS = 8192


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A base of a family, of two layers; its tokens and template are those of its original."""

    family: str
    architecture: str
    """Of `tests.bases.architectures`."""
    vocabulary: str
    """Of `tests.bases.tokenizers`, which stands in where the family's own cannot be fetched."""
    known_as: str | None = None
    """The stand-in's name among llama.cpp's pre-tokenizers, where the converter cannot tell it."""
    tokenizer_class: str = "PreTrainedTokenizerFast"
    """By which the converter tells some vocabularies apart."""
    adds_bos: bool = True
    """Whether a BOS that is named stands before each text; else the template alone writes it."""
    config: dict[str, Any] = field(default_factory=dict)
    """Further keys of config.json, beside those of its original."""

    @property
    def original(self) -> Original:
        """What the family's makers publish."""
        return BY_FAMILY[self.family]

    @property
    def tokenizer(self) -> Tokenizer:
        """The vocabulary, with the family's own tokens."""
        return Tokenizer(
            vocabulary=self.vocabulary,
            eos=self.original.eos,
            bos=self.original.bos,
            adds_bos=self.adds_bos,
            tokens=self.original.special,
            kind=self.tokenizer_class,
        )

    def write(self, folder: Path, *, device: str = "cpu", **changes: Any) -> None:
        """Write the base into a new folder.

        Args:
            folder: Is made.
            device: Where torch makes the weights.
            changes: Further keys of config.json, before all others.

        """
        folder.mkdir()
        tokens = write_tokenizer(folder, self.tokenizer, self.original.read_template())
        rows = -(-tokens // ROW_STEP) * ROW_STEP
        sizes = {"vocab_size": rows, "max_position_embeddings": POSITIONS}
        # The weights say of which type they are, and a table is the architecture's own.
        signs = {
            key: value
            for key, value in self.original.config.items()
            if key != "model_type" and not isinstance(value, dict)
        }
        config = {**sizes, **self._find_ids(folder), **signs, **self.config, **changes}
        write_weights(self.architecture, folder, device=device, **config)

    def _find_ids(self, folder: Path) -> dict[str, int | None]:
        added = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
        ids = {token["content"]: token["id"] for token in added}
        eos, bos = ids[self.original.eos], ids.get(self.original.bos or "")
        return {"eos_token_id": eos, "pad_token_id": eos, "bos_token_id": bos}


QWEN = "Qwen2Tokenizer"
GEMMA = "GemmaTokenizer"

CHAINS = (
    Chain(family="qwen3-2507", architecture="qwen3", vocabulary="qwen3", tokenizer_class=QWEN),
    Chain(family="qwen3", architecture="qwen3", vocabulary="qwen3", tokenizer_class=QWEN),
    Chain(family="qwen2.5", architecture="qwen2", vocabulary="qwen3", tokenizer_class=QWEN),
    Chain(family="qwen3.5", architecture="qwen3.5", vocabulary="qwen3", tokenizer_class=QWEN),
    Chain(family="llama3", architecture="llama", vocabulary="llama3_1"),
    Chain(
        family="gemma3",
        architecture="gemma3",
        vocabulary="gemma3",
        tokenizer_class=GEMMA,
        config={"vocab_size": 262144},
    ),
    Chain(
        family="gemma3-image-text",
        architecture="gemma3 with vision",
        vocabulary="gemma3",
        tokenizer_class=GEMMA,
    ),
    Chain(
        family="gemma4",
        architecture="gemma4",
        vocabulary="gemma4",
        tokenizer_class=GEMMA,
        config={"hidden_size_per_layer_input": 256, "vocab_size_per_layer_input": 262144},
    ),
    Chain(
        family="mistral-7b",
        architecture="mistral",
        vocabulary="llama2",
        tokenizer_class="LlamaTokenizer",
    ),
    Chain(
        family="mistral-nemo",
        architecture="mistral",
        vocabulary="llama3_1",
        known_as="llama-bpe",
    ),
    Chain(
        family="ministral3",
        architecture="mistral3",
        vocabulary="llama3_1",
        known_as="llama-bpe",
    ),
    Chain(family="smollm2", architecture="llama", vocabulary="smollm2"),
    Chain(family="smollm3", architecture="smollm3", vocabulary="llama3_1", known_as="llama-bpe"),
    Chain(family="granite4", architecture="granite 4", vocabulary="smollm2", known_as="smollm"),
    Chain(
        family="phi4-mini",
        architecture="phi3",
        vocabulary="qwen3",
        known_as="qwen2",
        tokenizer_class="GPT2Tokenizer",
    ),
    Chain(family="lfm2", architecture="lfm2", vocabulary="llama3_1", known_as="lfm2"),
    Chain(
        family="olmo2",
        architecture="olmo2",
        vocabulary="smollm2",
        known_as="smollm",
        tokenizer_class="GPT2Tokenizer",
        adds_bos=False,
    ),
)
