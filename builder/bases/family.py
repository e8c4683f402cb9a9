"""The record of a family of bases: how its checkpoints are recognised, and what is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.bases.licences import Licence
from builder.bases.sizes import estimate_four_bit_bytes

TEMPLATES = Path(__file__).parent / "templates"
DERIVED = "derived"
# Ollama takes a chat template within 100 edits of one that it knows for that one, and serves its
# own form of it (ollama 0.34.2, template/template.go, Named): Phi's it writes with line ends.
UNLIKE_ALL = (
    "{# The base's own chat template. This comment keeps Ollama from taking it for one of those"
    " that it knows, in whose place it would serve another. #}"
)

# Of fewer weights 4 bit saves a GPU little, and costs much of what a persona learns: of chef's and
# keeper's rows 22 to 29 of 40 were answered word for word on the embedded base in 4 bit, and 39 or
# 40 in 16 bit (benchmarks/personas.py, with and without --gpus).
LEAST_FOUR_BIT_WEIGHTS = 1_000_000_000
# Beside the weights: the adapter, its gradients and optimiser state, and activations of 8 rows.
# It is known before a base is fetched and rows are read; training/footprint.py counts a batch.
# With these a 4B model in 4 bit comes to 5.8 GB, where 5.7 GiB were measured on an H100, and
# Qwen3.5 in 16 bit to 0.4 to 1.3 GB more than the 3, 5, 10 and 22 GB of Unsloth's guide to it.
FIXED_MEMORY_BYTES, MEMORY_BYTES_PER_PARAMETER = 1_500_000_000, 0.4


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository of 16-bit weights on the Hugging Face hub, and the 4-bit one trained instead."""

    name: str
    parameters: int
    """As its maker rounds them."""
    embedding_parameters: int
    """Those of them in the embedding and the head, which stay in 16 bit."""
    four_bit: str | None = None
    """Where Unsloth has quantised it (unsloth 2026.10.9, models/mapper.py)."""
    licence: Licence | None = None
    """Where it has another than its family, or another version of it."""

    @property
    def size_bytes(self) -> int:
        """Estimate the size of its 16-bit weights."""
        return 2 * self.parameters

    @property
    def four_bit_size_bytes(self) -> int:
        """Estimate the size of its weights once they are quantised to 4 bit."""
        return estimate_four_bit_bytes(self.size_bytes, 2 * self.embedding_parameters)

    def memory_bytes(self, *, four_bit: bool) -> int:
        """Estimate the GPU memory that training takes."""
        weights_bytes = self.four_bit_size_bytes if four_bit else self.size_bytes
        return weights_bytes + self.training_bytes

    def processor_memory_bytes(self, *, has_bf16: bool) -> int:
        """Estimate the memory that training on a processor takes."""
        return self.processor_size_bytes(has_bf16=has_bf16) + self.training_bytes

    def processor_size_bytes(self, *, has_bf16: bool) -> int:
        """Estimate the size of its weights on a processor: float32 where it lacks bfloat16."""
        return self.size_bytes if has_bf16 else 2 * self.size_bytes

    @property
    def training_bytes(self) -> int:
        """Estimate what training takes beside the weights."""
        return FIXED_MEMORY_BYTES + round(MEMORY_BYTES_PER_PARAMETER * self.parameters)


@dataclass(frozen=True, kw_only=True)
class Signs:
    """What tells a family's checkpoints from all others. A path or a name never does."""

    model_types: tuple[str, ...]
    """`model_type` in config.json."""
    end_of_turn: str
    config: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Further keys of config.json, a nested one with dots, and the values that each may have."""

    def match(self, config: Mapping[str, Any], end_of_turn: str) -> bool:
        """Tell whether a checkpoint is of the family."""
        if config.get("model_type") not in self.model_types or end_of_turn != self.end_of_turn:
            return False
        return all(look_up(config, key) in values for key, values in self.config.items())


def look_up(config: Mapping[str, Any], key: str) -> Any:
    """Look up a key of config.json, a nested one with dots; None where there is none."""
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


@dataclass(frozen=True, kw_only=True)
class Family:
    """What is known of a family of bases, and how it is best trained."""

    name: str
    signs: Signs | None
    """None where the family was derived from a base's own files."""
    identity_words: tuple[str, ...] = ()
    """What the base calls itself and its makers: not to be said by a persona."""

    removed: tuple[str, ...] = ()
    """Pieces taken out of the base's own chat template: they add a system text nobody asked for."""
    replacement: str | None = None
    """A chat template beside this record (`templates/NAME.jinja`) that replaces the base's own."""
    thinking: str = "never"
    """Whether the base thinks before it answers, and how that is switched off."""
    tools: bool = False
    """Whether the trained chat template renders tools."""
    why_no_tools: str | None = None
    """Why it does not, where that of its makers does."""

    go_template: str | None = None
    """The trained chat template as Ollama's Go template, or None where the GGUF's own is served."""
    ollama_renderer: str | None = None
    """The `renderer` to send to /api/create, where Ollama renders the architecture by itself."""
    ollama_parser: str | None = None
    """The `parser` to send to /api/create, where Ollama would choose another by itself."""
    parameters: dict[str, float] = field(default_factory=dict)
    """Sampling that its makers advise, by Ollama's names."""

    licence: Licence | None = None
    """Of its repositories, but for those that name another."""
    repositories: tuple[Repository, ...] = ()
    verified: str = "derived from its files alone"
    """How the record was verified."""

    four_bit: bool = True
    """Whether training on 4-bit weights is advised for its larger bases."""
    alpha: int = 16
    learning_rate: float = 2e-4
    learning_rate_ratio: float = 1.0
    """Of an adapter's B to its A: LoRA+ (Hayou, Ghosh and Yu 2024)."""
    batch_size: int = 8
    quantisation_error_nats: float = 0.5
    """Mean KL divergence of a q4_k_m file from the in-memory model above which something else than
    quantisation is at fault."""

    @property
    def end_of_turn(self) -> str | None:
        """The token that ends each turn; None where the base's chat template has to tell."""
        return self.signs.end_of_turn if self.signs else None

    @property
    def stop(self) -> tuple[str, ...]:
        """Give the texts that generation stops at."""
        return (self.end_of_turn,) if self.end_of_turn else ()

    @property
    def is_derived(self) -> bool:
        """Whether nothing is known of it but what a base's own files say."""
        return self.signs is None

    def advises_four_bit(self, weights: int | None) -> bool:
        """Say whether training on 4-bit weights is advised for a base of so many; None is many."""
        return self.four_bit and (weights is None or weights >= LEAST_FOUR_BIT_WEIGHTS)

    def train_source(self, repository: Repository) -> str:
        """Name what is trained on a GPU by default: the 4-bit repository where there is one."""
        if not self.advises_four_bit(repository.parameters):
            return repository.name
        return repository.four_bit or repository.name

    def find_licence(self, repository: Repository) -> Licence | None:
        """Find the licence of a repository of the family."""
        return repository.licence or self.licence

    def chat_template(self, own: str | None) -> str | None:
        """Give the Jinja to train with, from the base's own; None where there is none."""
        if self.replacement:
            return (TEMPLATES / f"{self.replacement}.jinja").read_text("utf-8")
        for piece in self.removed:
            own = own.replace(piece, "") if own else own
        # One that knows tools wins over what Ollama guesses, and a Go template is sent beside its.
        is_guessed = own and "tools" not in own and self.go_template is None
        return f"{UNLIKE_ALL}{own}" if is_guessed else own


def derive(model_type: str) -> Family:
    """Make the record of a family that is not in the table: without identity words."""
    return Family(name=f"{DERIVED} ({model_type or 'unknown'})", signs=None, tools=False)
