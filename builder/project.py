"""The folders of a project: the paths of personas, builds, and every output of a build."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from builder import files, persona
from builder.bases import base
from builder.bases.base import Base
from builder.data import dataset, rows
from builder.data.dataset import Profile
from builder.errors import NotBuiltError
from builder.machine import Machine, find_machine
from builder.ollama import served
from builder.ollama.served import Served
from builder.persona import Persona

# In a build's folder: the served file, its examination, that of a refused file, the receipt.
GGUF, SMOKE, REFUSED = "model.gguf", "smoke.json", "logs/smoke-failed.json"
RECEIPT = "registered.json"
# And a record of each of its last builds.
HISTORY = "history"


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    base: str | None = None
    allow_remote: bool = False
    replace: bool = False
    discard: bool = False
    anyway: bool = False


@dataclass(frozen=True)
class Build:
    """The build of one persona: its manifest, its options, and the paths of its outputs."""

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
        """The folders that reasons name files relative to."""
        return self.folder, self.persona.folder, self.modelfile_template.parent

    @cached_property
    def machine(self) -> Machine:
        """The machine that runs the build."""
        return find_machine()

    @property
    def is_discarding(self) -> bool:
        """Whether outputs that were edited by hand may be overwritten."""
        return self.options.discard

    @property
    def base_lock(self) -> Path:
        """The pinned revisions of the base, meant to be committed."""
        return self.persona.folder / "base.lock"

    @property
    def base_choice(self) -> Path:
        """The last `--base`. It is outside of `base/`, so that it does not make training stale."""
        return self.folder / ".base.json"

    @property
    def base(self) -> Path:
        """The base's facts, tokenizer and chat template."""
        return self.folder / "base"

    @property
    def dataset(self) -> Path:
        """The encoded rows, their profile and schedule, and the trained chat template."""
        return self.folder / "dataset"

    @property
    def modelfile(self) -> Path:
        """The Modelfile."""
        return self.folder / "Modelfile"

    @property
    def replay(self) -> Path:
        """The base's own answers, which are trained on beside the rows."""
        return self.folder / "replay.jsonl"

    @property
    def adapter(self) -> Path:
        """The trained adapter, in PEFT's format."""
        return self.folder / "adapter"

    @property
    def reference(self) -> Path:
        """The in-memory model's log-probabilities, to compare the file with."""
        return self.folder / "reference.safetensors"

    @property
    def answers(self) -> Path:
        """The in-memory model's answers; empty on a CPU."""
        return self.folder / "answers.json"

    @property
    def gguf(self) -> Path:
        """The file that is served."""
        return self.folder / GGUF

    @property
    def parity(self) -> Path:
        """For each shape of conversation, whether the file gives the trained prompt."""
        return self.folder / "parity.json"

    @property
    def smoke(self) -> Path:
        """The examination: questions, answers and verdicts."""
        return self.folder / SMOKE

    @property
    def refused(self) -> Path:
        """The examination of a file that its gates refused."""
        return self.folder / REFUSED

    @property
    def gates(self) -> Path:
        """The examination with every question of the gates."""
        return self.folder / "gates.json"

    @property
    def receipt(self) -> Path:
        """The receipt of the registration."""
        return self.folder / RECEIPT

    @property
    def report(self) -> Path:
        """The page that tells of the build, also of a refused one."""
        return self.folder / "report.html"

    @property
    def history(self) -> Path:
        """The folder with a record of each of the last builds."""
        return self.folder / HISTORY

    @property
    def card(self) -> Path:
        """The model card, for users of a published model."""
        return self.folder / "README.md"

    @property
    def pushed(self) -> Path:
        """The record of what `push` published."""
        return self.folder / "pushed.json"

    @property
    def pushing(self) -> Path:
        """Names the copy that a push with Ollama makes, to remove it after an interruption."""
        return self.folder / ".work" / "pushing.json"

    @property
    def arrival(self) -> Path:
        """Exists from unpacking a build until its file was examined on this machine."""
        return self.folder / ".unpacked.json"

    @property
    def merged(self) -> Path:
        """The merged model in 16 bit, for transformers and vLLM."""
        return self.folder / "merged"

    @property
    def logs(self) -> Path:
        """The logs of the stages."""
        return self.folder / "logs"

    @property
    def cache(self) -> Path:
        """Caches of hashes, answers and distances, which only save time."""
        return self.folder / ".cache"

    @property
    def claims(self) -> Path:
        """Names the models that a registration makes, to remove them after an interruption."""
        return self.folder / ".work" / "claims"

    def read_base(self) -> Base:
        """Read the base of the build.

        Raises:
            NotBuiltError: The base stage has not run.

        """
        if not (self.base / base.FACTS).exists():
            raise NotBuiltError(self.base / base.FACTS)
        return base.read(self.base)

    def read_profile(self) -> Profile:
        """Read the profile of the rows.

        Raises:
            NotBuiltError: The data stage has not run.

        """
        if not (self.dataset / dataset.PROFILE).exists():
            raise NotBuiltError(self.dataset / dataset.PROFILE)
        return dataset.read_profile(self.dataset)

    def decide_served(self) -> Served:
        """Decide how Ollama serves the model.

        Raises:
            NotBuiltError: The base or the data stage has not run.
            ManifestError: `[ollama]` holds a setting that this base cannot be served with.

        """
        self.read_base()
        self.read_profile()
        return served.read(self.base, self.dataset, persona=self.persona)


@dataclass(frozen=True)
class Project:
    """A folder that holds `personas/` and `build/`."""

    root: Path

    def build(self, name: str, options: Options | None = None) -> Build:
        """Read a persona, and return its build.

        Raises:
            ManifestError: There is no such persona, or its manifest is wrong.

        """
        folder = self.root / "personas" / name
        read = persona.read(folder, rows.find_problems)
        return Build(
            persona=read,
            folder=self.root / "build" / name,
            modelfile_template=files.find_template(self.root),
            options=options or Options(),
        )

    def names(self) -> list[str]:
        """List the names of the personas, in alphabetical order."""
        return persona.find(self.root / "personas")
