"""What Ollama is told of a persona: decided once, as one value that can be compared as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.bases import base, families
from builder.data import dataset
from builder.data.builtin import ALPACA_GO
from builder.data.dataset import Profile
from builder.errors import ManifestError
from builder.ollama import releases, table
from builder.parameters import find_parameters
from builder.persona import Persona

REQUIRES = releases.LOWEST.version
ALPACA_STOP = "### Instruction:"
CAPABILITY_SIGNS = {"tools": ("tools", "tool_call"), "thinking": ("<think>",)}


@dataclass(frozen=True, kw_only=True)
class Served:
    """Everything that the daemon is told, but for the file itself."""

    model: str
    parameters: dict[str, Any]
    template: str | None
    """A Go template; None where the GGUF's own Jinja is served."""
    system: str | None
    license: str | None
    renderer: str | None = None
    """Ollama's own renderer of prompts, of an architecture that it renders by itself."""
    parser: str | None = None
    """Ollama's own parser of answers, which goes with it."""
    why: str = ""
    """Why it is served by that template."""

    def to_request(self, sha256: str) -> dict[str, Any]:
        """Give the fields of `/api/create`, but for the name, for the file of that hash."""
        fields = {
            "template": self.template,
            "system": self.system,
            "license": self.license,
            "renderer": self.renderer,
            "parser": self.parser,
        }
        return {
            "files": {"model.gguf": f"sha256:{sha256}"},
            "parameters": self.parameters,
            "requires": REQUIRES,
            **{key: value for key, value in fields.items() if value is not None},
        }

    def list_parameters(self) -> list[tuple[str, Any]]:
        """List names and values as the PARAMETER lines have them, one stop a line."""
        return [
            (key, item)
            for key, value in sorted(self.parameters.items())
            for item in (value if isinstance(value, list) else [value])
        ]

    def add_system(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Put the served system text before a conversation that has none."""
        if not self.system or messages[0]["role"] == "system":
            return messages
        return [{"role": "system", "content": self.system}, *messages]


def read(base_folder: Path, dataset_folder: Path, *, persona: Persona) -> Served:
    """Decide what is served by the files that a build's base and data stages wrote.

    Args:
        base_folder: What the base stage wrote.
        dataset_folder: What the data stage wrote.
        persona: Whose manifest says what is served.

    Raises:
        ManifestError: The system text holds the base's EOS.
        ToolError: The base or the data cannot be read.

    """
    ollama = persona.manifest.ollama
    return decide(
        model=persona.model,
        system=ollama.system,
        license=ollama.license,
        given=ollama.parameters,
        kind=persona.manifest.data.template,
        jinja=dataset.read_template(dataset_folder),
        eos=families.read_eos(base_folder),
        profile=dataset.read_profile(dataset_folder),
        family=base.read(base_folder).family,
        find_place=persona.where,
    )


def decide(
    *,
    model: str,
    system: str | None,
    license: str | None,  # noqa: A002 — the manifest's and Ollama's own word
    given: dict[str, Any],
    kind: str,
    jinja: str,
    eos: str,
    profile: Profile,
    family: families.Family,
    find_place: table.FindPlace,
) -> Served:
    """Decide what is served, every parameter explicit.

    Args:
        model: The name in Ollama.
        system: The system text; an empty one is none.
        license: The licence's text or name.
        given: The parameters that the manifest sets.
        kind: The manifest's `data.template`: base, chatml or alpaca.
        jinja: The chat template that was trained.
        eos: The base's EOS.
        profile: What the data show.
        family: What is known of the base.
        find_place: Writes the place of a key of the manifest.

    Raises:
        ManifestError: The system text holds the base's EOS, or Ollama cannot serve that template.

    """
    table.check_eos(system or "", eos, find_place)
    stop = list(dict.fromkeys([*family.stop, eos, profile.end_of_turn]))
    if kind == "alpaca":
        stop.append(ALPACA_STOP)
    by_kind = {"alpaca": ALPACA_GO.replace("EOS", eos), "chatml": families.CHATML_GO}
    template, why = choose_template(jinja, by_kind.get(kind, family.go_template))
    if family.ollama_renderer:
        _check_renderer(family, kind, find_place)
        template, why = None, "Ollama's own renderer of its architecture, as it was trained"
    return Served(
        model=model,
        parameters={"stop": stop, **find_parameters(family, profile, given)},
        template=template,
        system=system or None,
        license=license,
        renderer=family.ollama_renderer,
        parser=family.ollama_parser,
        why=why,
    )


def _check_renderer(family: families.Family, kind: str, find_place: table.FindPlace) -> None:
    """Refuse a template that Ollama would not serve: its own renderer cannot be switched off."""
    if kind != "base":
        what = f'is "{kind}", which Ollama does not serve of {family.name}, expected "base"'
        hint = "Ollama renders this architecture's prompts by itself, whatever the file carries"
        raise ManifestError(f"{find_place('data', 'template')}: {what}", hint=hint)


def choose_template(jinja: str, go: str | None) -> tuple[str | None, str]:
    """Choose the template that is served exactly as it was trained and keeps what the base can do.

    Args:
        jinja: The trained chat template, which the GGUF carries.
        go: The same as a Go template; None where none is known.

    Returns:
        The Go template to serve, or None for the GGUF's own, and why.

    """
    known = [
        capability
        for capability, signs in CAPABILITY_SIGNS.items()
        if any(sign in jinja for sign in signs)
    ]
    if known:
        since = releases.OWN_TEMPLATE_WINS.version
        return (
            None,
            f"its own template, which knows {' and '.join(known)} and wins since Ollama {since}",
        )
    if go is None:
        return None, "its own template: none is known for its base as a TEMPLATE"
    return go, "the trained template as a TEMPLATE"
