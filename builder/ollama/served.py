"""Decides how Ollama serves a persona, as one value that is compared as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.bases import base, families
from builder.data import dataset
from builder.data.builtin import ALPACA_GO
from builder.data.dataset import Profile
from builder.errors import ManifestError
from builder.manifest.ollama import find_special_tokens
from builder.ollama import releases
from builder.parameters import find_parameters
from builder.persona import Persona

REQUIRES = releases.LOWEST.version
ALPACA_STOP = "### Instruction:"
CAPABILITY_SIGNS = {"tools": ("tools", "tool_call"), "thinking": ("<think>",)}
# The room for an answer, unless `smoke.max_tokens` sets it.
LEAST_ANSWER_TOKENS = 192
# Gives the place of a key, given its tables and its name.
FindPlace = Callable[..., str]


@dataclass(frozen=True, kw_only=True)
class Served:
    """Everything that is sent to the daemon, except for the file."""

    model: str
    parameters: dict[str, Any]
    template: str | None
    """A Go template; None if the GGUF's own chat template is served."""
    system: str | None
    license: str | None
    renderer: str | None = None
    """Ollama's own renderer of prompts, for architectures that have one."""
    parser: str | None = None
    """Ollama's own parser of answers, for such an architecture."""
    why: str = ""
    """Why this template was chosen."""

    def to_request(self, sha256: str) -> dict[str, Any]:
        """Give the fields of `/api/create` without the name, for the file with that hash."""
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
        """List the names and values of the PARAMETER lines, with a line for each stop."""
        return [
            (key, item)
            for key, value in sorted(self.parameters.items())
            for item in (value if isinstance(value, list) else [value])
        ]

    def add_system(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Put the served system text before a conversation, unless it has its own."""
        if not self.system or messages[0]["role"] == "system":
            return messages
        return [{"role": "system", "content": self.system}, *messages]


def check_context(persona: Persona) -> None:
    """Check that the context has room for the longest question of `[smoke]` and an answer.

    The number of tokens depends on the base, but is at least the number of words.

    Raises:
        ManifestError: It has not.

    """
    read = persona.manifest
    num_ctx = {**families.COMMON_PARAMETERS, **read.ollama.parameters.given}["num_ctx"]
    asked = max((len(question.ask.split()) for question in read.smoke.questions), default=0)
    system = len((read.ollama.system or "").split())
    answer = read.smoke.max_tokens or LEAST_ANSWER_TOKENS
    if num_ctx < asked + system + answer:
        where = persona.where("ollama", "parameters", "num_ctx")
        what = f"is {num_ctx}, expected at least {asked + system + answer}"
        parts = f"{asked} words of the longest smoke question, {system} of the system text"
        raise ManifestError(f"{where}: {what}: {parts} and {answer} tokens of an answer")


def read(base_folder: Path, dataset_folder: Path, *, persona: Persona) -> Served:
    """Decide what is served, from the outputs of the base and data stages.

    Args:
        base_folder: The output of the base stage.
        dataset_folder: The output of the data stage.
        persona: The persona.

    Raises:
        ManifestError: `[ollama]` holds a setting that this base cannot be served with.
        ToolError: The base or the data cannot be read.

    """
    ollama = persona.manifest.ollama
    return decide(
        model=persona.model,
        system=ollama.system,
        license=ollama.license,
        given=ollama.parameters.given,
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
    find_place: FindPlace,
) -> Served:
    """Decide what is served, with explicit values for all parameters.

    Args:
        model: The name in Ollama.
        system: The system text; "" means none.
        license: The licence's text or name.
        given: The parameters in the manifest.
        kind: The value of `data.template`: base, chatml or alpaca.
        jinja: The trained chat template.
        eos: The base's EOS.
        profile: The profile of the data.
        family: The base's family.
        find_place: Gives the place of a key in the manifest.

    Raises:
        ManifestError: The system text contains the base's EOS, the context is too small for a row,
            or Ollama cannot serve the template.

    """
    _check_eos(system or "", eos, find_place)
    stop = list(dict.fromkeys([*family.stop, eos, profile.end_of_turn]))
    if kind == "alpaca":
        stop.append(ALPACA_STOP)
    by_kind = {"alpaca": ALPACA_GO.replace("EOS", eos), "chatml": families.CHATML_GO}
    template, why = choose_template(jinja, by_kind.get(kind, family.go_template))
    if family.ollama_renderer:
        _check_renderer(family, kind, find_place)
        template, why = None, "Ollama's own renderer of its architecture, as it was trained"
    parameters = find_parameters(family, profile, given)
    _check_context(int(parameters["num_ctx"]), profile.longest_row_tokens, find_place)
    return Served(
        model=model,
        parameters={"stop": stop, **parameters},
        template=template,
        system=system or None,
        license=license,
        renderer=family.ollama_renderer,
        parser=family.ollama_parser,
        why=why,
    )


def _check_eos(system: str, eos: str, find_place: FindPlace) -> None:
    """Refuse a system text that holds the base's EOS."""
    if problems := find_special_tokens(system, eos):
        where = find_place("ollama", "system")
        raise ManifestError(*(f"{where}: {problem}" for problem in problems))


def _check_context(context_tokens: int, row_tokens: int, find_place: FindPlace) -> None:
    """Refuse a context in which Ollama would leave out the beginning of a trained conversation."""
    if context_tokens < row_tokens:
        where = find_place("ollama", "parameters", "num_ctx")
        why = f"the longest row has {row_tokens}, and Ollama leaves out what does not fit"
        raise ManifestError(f"{where}: is {context_tokens}, expected {row_tokens} or more: {why}")


def _check_renderer(family: families.Family, kind: str, find_place: FindPlace) -> None:
    """Refuse a template that Ollama cannot serve, as its own renderer cannot be switched off."""
    if kind != "base":
        what = f'is "{kind}", which Ollama does not serve of {family.name}, expected "base"'
        hint = "Ollama renders this architecture's prompts by itself, whatever the file carries"
        raise ManifestError(f"{find_place('data', 'template')}: {what}", hint=hint)


def choose_template(jinja: str, go: str | None) -> tuple[str | None, str]:
    """Choose the template that gives the trained prompts and keeps the base's capabilities.

    Args:
        jinja: The trained chat template, which is in the GGUF.
        go: The same as a Go template, or None.

    Returns:
        The Go template to serve, or None for the GGUF's own; and why.

    """
    known = [
        capability
        for capability, signs in CAPABILITY_SIGNS.items()
        if any(sign in jinja for sign in signs)
    ]
    if known:
        since = releases.OWN_TEMPLATE_WINS.version
        what = " and ".join(known)
        return None, f"its own template: it knows {what}, and Ollama prefers it since {since}"
    if go is None:
        return None, "its own template: no Go TEMPLATE is known for its base"
    return go, "the trained template, as a TEMPLATE"
