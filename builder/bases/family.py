"""The record of a family of bases: how it is recognised, and what is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.bases.licences import Licence
from builder.bases.sizes import estimate_four_bit_bytes

TEMPLATES = Path(__file__).parent / "templates"
DERIVED = "derived"
# If a chat template is within 100 edits of one that Ollama knows, Ollama serves its own version of
# that one (ollama 0.34.2, template/template.go, Named): its version of Phi's has other line ends.
UNLIKE_ALL = (
    "{# The base's own chat template. This comment keeps Ollama from taking it for one of those"
    " that it knows, in whose place it would serve another. #}"
)

# With fewer weights, 4 bit saves little memory, and a persona learns much less: on the embedded
# base 22 to 29 of 40 replies of chef and keeper were given word for word in 4 bit, and 39 or 40 in
# 16 bit (benchmarks/personas.py, with and without --gpus).
LEAST_FOUR_BIT_WEIGHTS = 1_000_000_000
# Memory beside the weights: the adapter, its gradients and optimiser state, and activations of 8
# rows. This estimate needs neither the base nor the rows; training/footprint.py counts a real
# batch. It gives 5.8 GB for a 4B model in 4 bit, where 5.7 GiB were measured on an H100, and 0.4 to
# 1.3 GB more for Qwen3.5 in 16 bit than the 3, 5, 10 and 22 GB in Unsloth's guide.
FIXED_MEMORY_BYTES, MEMORY_BYTES_PER_PARAMETER = 1_500_000_000, 0.4


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository of 16-bit weights on the hub, and the 4-bit one that is trained instead."""

    name: str
    parameters: int
    """The number that its makers give, which is rounded."""
    embedding_parameters: int
    """The parameters of the embedding and the head, which stay in 16 bit."""
    four_bit: str | None = None
    """Unsloth's quantised repository, if any (unsloth 2026.10.9, models/mapper.py)."""
    licence: Licence | None = None
    """Its licence, if that is not its family's."""

    @property
    def size_bytes(self) -> int:
        """Estimate the size of its 16-bit weights."""
        return 2 * self.parameters

    @property
    def four_bit_size_bytes(self) -> int:
        """Estimate the size of its weights quantised to 4 bit."""
        return estimate_four_bit_bytes(self.size_bytes, 2 * self.embedding_parameters)

    def memory_bytes(self, *, four_bit: bool) -> int:
        """Estimate the GPU memory that training needs."""
        weights_bytes = self.four_bit_size_bytes if four_bit else self.size_bytes
        return weights_bytes + self.training_bytes

    def cpu_memory_bytes(self, *, has_bf16: bool) -> int:
        """Estimate the memory that training on a CPU needs."""
        return self.cpu_size_bytes(has_bf16=has_bf16) + self.training_bytes

    def cpu_size_bytes(self, *, has_bf16: bool) -> int:
        """Estimate the size of its weights on a CPU: in float32 if it lacks bfloat16."""
        return self.size_bytes if has_bf16 else 2 * self.size_bytes

    @property
    def training_bytes(self) -> int:
        """Estimate the memory that training needs beside the weights."""
        return FIXED_MEMORY_BYTES + round(MEMORY_BYTES_PER_PARAMETER * self.parameters)


@dataclass(frozen=True, kw_only=True)
class Signs:
    """How the checkpoints of a family are recognised, which never depends on a path or a name."""

    model_types: tuple[str, ...]
    """`model_type` in config.json."""
    end_of_turn: str
    config: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Further keys of config.json, nested ones with dots, and their possible values."""

    def match(self, config: Mapping[str, Any], end_of_turn: str) -> bool:
        """Say whether a checkpoint is of the family."""
        if config.get("model_type") not in self.model_types or end_of_turn != self.end_of_turn:
            return False
        return all(look_up(config, key) in values for key, values in self.config.items())


def look_up(config: Mapping[str, Any], key: str) -> Any:
    """Look up a key of config.json, a nested one with dots; None if there is none."""
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


@dataclass(frozen=True, kw_only=True)
class Family:
    """What is known about a family of bases, and how it is best trained."""

    name: str
    signs: Signs | None
    """None if the family was derived from a base's own files."""
    identity_words: tuple[str, ...] = ()
    """The names of the base and its makers, which a persona should not use."""

    removed: tuple[str, ...] = ()
    """Pieces that are removed from the base's own chat template: they add a system text."""
    replacement: str | None = None
    """The name of a chat template (`templates/NAME.jinja`) that replaces the base's own."""
    thinking: str = "never"
    """Whether the base can think before it answers, and how that is switched off."""
    tools: bool = False
    """Whether the trained chat template renders tools."""
    why_no_tools: str | None = None
    """Why it does not, if its makers' chat template does."""

    go_template: str | None = None
    """The trained chat template as a Go template for Ollama; None if the GGUF's own is served."""
    ollama_renderer: str | None = None
    """The `renderer` for /api/create, if Ollama has its own for the architecture."""
    ollama_parser: str | None = None
    """The `parser` for /api/create, if Ollama would choose another one."""
    parameters: dict[str, float] = field(default_factory=dict)
    """Sampling parameters that its makers advise, by Ollama's names."""

    licence: Licence | None = None
    """The licence of its repositories, except for those that have another."""
    repositories: tuple[Repository, ...] = ()
    verified: str = "derived from its files alone"
    """How the record was verified."""

    four_bit: bool = True
    """Whether training on 4-bit weights is advised for its larger bases."""
    alpha: int = 16
    learning_rate: float = 2e-4
    learning_rate_ratio: float = 1.0
    """The learning rate of B over that of A: LoRA+ (Hayou, Ghosh and Yu 2024)."""
    batch_size: int = 8
    quantisation_error_nats: float = 0.5
    """The largest mean KL divergence of a q4_k_m file from the in-memory model that is explained by
    quantisation."""

    @property
    def end_of_turn(self) -> str | None:
        """The token that ends each turn; None if it must be found with the base's chat template."""
        return self.signs.end_of_turn if self.signs else None

    @property
    def stop(self) -> tuple[str, ...]:
        """The texts that generation stops at."""
        return (self.end_of_turn,) if self.end_of_turn else ()

    @property
    def is_derived(self) -> bool:
        """Whether it is not in the table, but derived from a base's own files."""
        return self.signs is None

    def advises_four_bit(self, weights: int | None) -> bool:
        """Say whether training in 4 bit is advised for so many weights; None means many."""
        return self.four_bit and (weights is None or weights >= LEAST_FOUR_BIT_WEIGHTS)

    def train_source(self, repository: Repository) -> str:
        """Give the repository that a GPU trains on by default: the 4-bit one if there is one."""
        if not self.advises_four_bit(repository.parameters):
            return repository.name
        return repository.four_bit or repository.name

    def find_licence(self, repository: Repository) -> Licence | None:
        """Find the licence of a repository of the family."""
        return repository.licence or self.licence

    def chat_template(self, own: str | None) -> str | None:
        """Give the chat template to train with, made from the base's own; None if there is none."""
        if self.replacement:
            return (TEMPLATES / f"{self.replacement}.jinja").read_text("utf-8")
        for piece in self.removed:
            own = own.replace(piece, "") if own else own
        # Ollama does not guess for a template that knows tools, or if a Go template is sent too.
        is_guessed = own and "tools" not in own and self.go_template is None
        return f"{UNLIKE_ALL}{own}" if is_guessed else own


def derive(model_type: str) -> Family:
    """Make the record of a family that is not in the table; it has no identity words."""
    return Family(name=f"{DERIVED} ({model_type or 'unknown'})", signs=None, tools=False)
