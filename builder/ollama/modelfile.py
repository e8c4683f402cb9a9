"""Renders the Modelfile, and reads it back to verify it.

A Modelfile has no escapes. The grammar is in parser/parser.go of github.com/ollama/ollama
0.34.2.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from builder import files, sandbox
from builder.bases import base, families
from builder.errors import ManifestError, PersonaError, ToolError
from builder.escapes import quote
from builder.ollama.served import REQUIRES, Served, check_context
from builder.persona import Persona

INSTRUCTIONS = (
    "FROM",
    "TEMPLATE",
    "SYSTEM",
    "PARAMETER",
    "LICENSE",
    "REQUIRES",
    "ADAPTER",
    "DRAFT",
    "RENDERER",
    "PARSER",
    "MESSAGE",
)
MOST_TEMPLATE_BYTES = 1 << 20
# The module that compiles the template.
LANGUAGE = "builder.ollama.templating"
OWN_TEMPLATE = "correct Modelfile.j2, or restore the project's own"


def check(persona: Persona, template: Path) -> None:
    """Check the context and Modelfile.j2 before training, as far as possible without the base.

    Raises:
        ManifestError: The context is too short; it has the mistakes of the template too.
        ToolError: Only the template is wrong.

    """
    failures: list[PersonaError] = []
    try:
        check_context(persona)
    except ManifestError as error:
        failures.append(error)
    try:
        samples = _list_samples(persona, has_own_values=not failures)
        _render_all(template, samples, persona.name, base.EMBEDDED)
    except ToolError as error:
        failures.append(error)
    if failures:
        problems = [problem for failure in failures for problem in failure.problems]
        raise type(failures[0])(*problems, hint=failures[-1].hint)


def _list_samples(persona: Persona, *, has_own_values: bool) -> list[Served]:
    """List sample values: as few as possible, all of them, and the persona's own."""
    parameters = {**families.COMMON_PARAMETERS, "stop": ["<|im_end|>"]}
    own = persona.manifest.ollama
    fewest = Served(
        model=persona.model, parameters=parameters, template=None, system=None, license=None
    )
    samples = [
        fewest,
        replace(
            fewest,
            template=families.CHATML_GO,
            system="You are a persona.",
            license="Apache-2.0",
        ),
    ]
    if has_own_values:
        samples.append(
            replace(
                fewest,
                parameters={**parameters, **own.parameters.given},
                system=own.system or None,
                license=own.license or None,
            )
        )
    return samples


def render(template: Path, served: Served, name: str, base_name: str) -> str:
    """Render Modelfile.j2, and verify the result by reading it back.

    Raises:
        ToolError: The template is broken, exceeds the limits, or renders something else than the
            manifest says.

    """
    return _render_all(template, [served], name, base_name)[0]


def _render_all(template: Path, samples: list[Served], name: str, base_name: str) -> list[str]:
    values = [_list_values(served, name, base_name) for served in samples]
    try:
        texts = sandbox.render(LANGUAGE, _read_template(template), values)
    except sandbox.RenderingError as error:
        line = f":{error.line}" if error.line else ""
        msg = f"{template}{line}: {error.message}, expected a Jinja template of a Modelfile"
        raise ToolError(msg, hint=OWN_TEMPLATE) from None
    for text, sample in zip(texts, samples, strict=True):
        _verify(template, text, sample, sample.list_parameters())
    return texts


def _list_values(served: Served, name: str, base_name: str) -> dict[str, Any]:
    """Give the variables of the template."""
    lost = sorted({character for character in served.system or "" if not is_carried(character)})
    return {
        "model": served.model,
        "name": " ".join(name.split()),
        "base": base_name,
        "go_template": served.template,
        "system": served.system,
        "parameters": served.list_parameters(),
        "license": served.license,
        "renderer": served.renderer,
        "parser": served.parser,
        "requires": REQUIRES,
        "lost_characters": ", ".join(f"U+{ord(character):04X}" for character in lost),
    }


def _read_template(path: Path) -> str:
    try:
        return files.read_text(path, most_bytes=MOST_TEMPLATE_BYTES)
    except FileNotFoundError:
        msg = f"{path}: no such file, expected the template of every Modelfile"
        raise ToolError(msg, hint=OWN_TEMPLATE) from None
    except ValueError as error:
        raise ToolError(str(error), hint="save it as a file in UTF-8") from None


def _verify(template: Path, text: str, served: Served, parameters: list[tuple[str, Any]]) -> None:
    meant = [("FROM", "./model.gguf")]
    meant += [("TEMPLATE", served.template)] if served.template is not None else []
    meant += [("SYSTEM", _carried(served.system))] if served.system is not None else []
    meant += [("PARAMETER", f"{key} {_carried(str(_plain(value)))}") for key, value in parameters]
    meant += [("LICENSE", _carried(served.license))] if served.license is not None else []
    meant += [("RENDERER", served.renderer)] if served.renderer is not None else []
    meant += [("PARSER", served.parser)] if served.parser is not None else []
    meant += [("REQUIRES", REQUIRES)]
    try:
        rendered = parse(text)
    except ToolError as error:
        msg = f"{template}: as rendered, {error.problems[0]}"
        raise ToolError(msg, hint=OWN_TEMPLATE) from None
    wrong = [pair for pair in meant if pair not in rendered]
    wrong += [pair for pair in rendered if pair not in meant]
    if wrong:
        instruction, value = wrong[0]
        what = f"{'no' if wrong[0] in meant else 'an unwanted'} {instruction} {quote(value)}"
        msg = f"{template}: renders {what}, expected exactly what the manifest says"
        raise ToolError(msg, hint=OWN_TEMPLATE)


def is_shown(shown: str, key: str, value: Any) -> bool:
    """Say whether the daemon's listing of parameters, one a line, holds this one."""
    values = [
        _unquote(text.strip())
        for name, _, text in (line.partition(" ") for line in shown.splitlines())
        if name == key
    ]
    return str(_plain(value)) in values or (
        isinstance(value, int | float) and value in map(_number, values)
    )


def _unquote(text: str) -> str:
    # Go's %q, which can be read as JSON except for escaped bytes.
    try:
        return str(json.loads(text)) if text.startswith('"') else text
    except ValueError:
        return text.strip('"')


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def is_carried(character: str) -> bool:
    """Say whether a Modelfile can hold a character: Go's strconv.IsPrint, tab and newline."""
    return character in " \t\n\r" or unicodedata.category(character)[0] in "LMNPS"


def _carried(text: str) -> str:
    return "".join(character for character in text if is_carried(character))


def _plain(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def parse(text: str) -> list[tuple[str, str]]:
    """Parse a Modelfile as Ollama does.

    Returns:
        Pairs of an instruction, in upper case, and a value; that of a PARAMETER begins with its
        name.

    Raises:
        ToolError: An instruction is unknown to Ollama, or a quote is never closed.

    """
    pairs: list[tuple[str, str]] = []
    lines = iter(enumerate(text.split("\n"), start=1))
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        word, _, rest = line.strip().partition(" ")
        if word.upper() not in INSTRUCTIONS:
            known = ", ".join(INSTRUCTIONS)
            msg = (
                f"Modelfile:{number}: {quote(word)} is not an instruction, expected one of {known}"
            )
            raise ToolError(msg)
        name = ""
        if word.upper() == "PARAMETER":
            name, _, rest = rest.strip().partition(" ")
            name += " "
        rest = line[line.index(rest) :] if rest else ""
        pairs.append((word.upper(), name + _carried(_value(rest.lstrip(), lines, number))))
    return pairs


def _value(first: str, lines: Iterator[tuple[int, str]], number: int) -> str:
    quote = '"""' if first.startswith('"""') else '"' if first.startswith('"') else ""
    if not quote:
        return first.strip()
    value = first[len(quote) :]
    while not value.rstrip().endswith(quote):
        following = next(lines, None)
        if following is None:
            msg = f"Modelfile:{number}: a quote is never closed, expected {quote}"
            raise ToolError(msg)
        value += "\n" + following[1]
    return value.rstrip().removesuffix(quote)
