"""A project's folders: where each persona, its build and every output of a build lies."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from builder import files, persona
from builder.bases import base
from builder.bases.base import Base
from builder.data import dataset
from builder.data.dataset import Profile
from builder.errors import NotBuiltError
from builder.machine import Machine, find_machine
from builder.ollama import served, table
from builder.ollama.served import Served
from builder.persona import Persona

# In a build's folder: the served file, what it answered, what a refused one did, the receipt.
GGUF, SMOKE, REFUSED = "model.gguf", "smoke.json", "logs/smoke-failed.json"
RECEIPT = "registered.json"
# And a record of each of its last builds.
HISTORY = "history"


@dataclass(frozen=True)
class Options:
    """What a person typed beside the name."""

    base: str | None = None
    allow_remote: bool = False
    replace: bool = False
    discard: bool = False
    anyway: bool = False


@dataclass(frozen=True)
class Build:
    """One persona being built: what a person wrote, and where each output lies."""

    persona: Persona
    folder: Path
    modelfile_template: Path
    options: Options = field(default_factory=Options)

    @property
    def name(self) -> str:
        """The persona's name."""
        return self.persona.name

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders that inputs are named from in a reason."""
        return self.folder, self.persona.folder, self.modelfile_template.parent

    @cached_property
    def machine(self) -> Machine:
        """The machine that the build runs on."""
        return find_machine()

    @property
    def is_discarding(self) -> bool:
        """Whether an output that was edited by hand may be overwritten."""
        return self.options.discard

    @property
    def base_lock(self) -> Path:
        """The base's pinned revisions, meant to be committed."""
        return self.persona.folder / "base.lock"

    @property
    def base_choice(self) -> Path:
        """What `--base` said last; beside `base/`, which training would have to start anew from."""
        return self.folder / ".base.json"

    @property
    def base(self) -> Path:
        """The base's facts, tokenizer and chat template."""
        return self.folder / "base"

    @property
    def dataset(self) -> Path:
        """The encoded rows, their profile and schedule, and the chat template."""
        return self.folder / "dataset"

    @property
    def modelfile(self) -> Path:
        """What Ollama is told, as text."""
        return self.folder / "Modelfile"

    @property
    def replay(self) -> Path:
        """The base's own answers, trained on beside the rows."""
        return self.folder / "replay.jsonl"

    @property
    def adapter(self) -> Path:
        """The trained adapter, as PEFT writes one."""
        return self.folder / "adapter"

    @property
    def reference(self) -> Path:
        """What the trained model gives in memory, for the file to be compared with."""
        return self.folder / "reference.safetensors"

    @property
    def answers(self) -> Path:
        """What the trained model answers in memory; none of a processor."""
        return self.folder / "answers.json"

    @property
    def gguf(self) -> Path:
        """The one file that is served."""
        return self.folder / GGUF

    @property
    def parity(self) -> Path:
        """The shapes of conversation, and whether the file's prompts are the trained ones."""
        return self.folder / "parity.json"

    @property
    def smoke(self) -> Path:
        """The questions, answers and verdicts."""
        return self.folder / SMOKE

    @property
    def refused(self) -> Path:
        """As `smoke`, of a file that its gates refused."""
        return self.folder / REFUSED

    @property
    def gates(self) -> Path:
        """As `smoke`, of every question of the gates."""
        return self.folder / "gates.json"

    @property
    def receipt(self) -> Path:
        """What registration leaves."""
        return self.folder / RECEIPT

    @property
    def report(self) -> Path:
        """The page that tells of the build, also of a refused one."""
        return self.folder / "report.html"

    @property
    def history(self) -> Path:
        """A record of each of the last builds."""
        return self.folder / HISTORY

    @property
    def card(self) -> Path:
        """The model card, for whoever gets the model."""
        return self.folder / "README.md"

    @property
    def pushed(self) -> Path:
        """What `push` put where."""
        return self.folder / "pushed.json"

    @property
    def pushing(self) -> Path:
        """The copy that a push with Ollama makes, so that one that was interrupted is removed."""
        return self.folder / ".work" / "pushing.json"

    @property
    def arrival(self) -> Path:
        """There from when a build is unpacked until its file was examined on this machine."""
        return self.folder / ".unpacked.json"

    @property
    def merged(self) -> Path:
        """The adapted model in 16 bit, as transformers and vLLM load one."""
        return self.folder / "merged"

    @property
    def logs(self) -> Path:
        """What libraries printed, and what a failed stage leaves to be read."""
        return self.folder / "logs"

    @property
    def cache(self) -> Path:
        """What only saves time: hashes, answers and distances of this build's file."""
        return self.folder / ".cache"

    @property
    def claims(self) -> Path:
        """Models that a registration is making, so that one that was interrupted is cleaned up."""
        return self.folder / ".work" / "claims"

    def read_base(self) -> Base:
        """Read the base that the build is of.

        Raises:
            NotBuiltError: The base stage has not run.

        """
        if not (self.base / base.FACTS).exists():
            raise NotBuiltError(self.base / base.FACTS)
        return base.read(self.base)

    def read_profile(self) -> Profile:
        """Read what the rows show of the persona.

        Raises:
            NotBuiltError: The data stage has not run.

        """
        if not (self.dataset / dataset.PROFILE).exists():
            raise NotBuiltError(self.dataset / dataset.PROFILE)
        return dataset.read_profile(self.dataset)

    def decide_served(self) -> Served:
        """Decide what Ollama is told of the model.

        Raises:
            NotBuiltError: The base or the data stage has not run.
            ManifestError: `[ollama]` holds what this base cannot be served with.

        """
        self.read_base()
        self.read_profile()
        return served.read(self.base, self.dataset, persona=self.persona)


@dataclass(frozen=True)
class Project:
    """A folder that holds `personas/` and `build/`."""

    root: Path

    def build(self, name: str, options: Options | None = None) -> Build:
        """Read a persona, and say where its build lies.

        Raises:
            ManifestError: There is no such persona, or its manifest is wrong.

        """
        read = persona.read(self.root / "personas" / name, table.find_problems)
        return Build(
            persona=read,
            folder=self.root / "build" / name,
            modelfile_template=files.find_template(self.root),
            options=options or Options(),
        )

    def names(self) -> list[str]:
        """Name the personas in alphabetical order."""
        return persona.find(self.root / "personas")
