"""A Modelfile: written from what is served, and read back to verify that it says the same.

A Modelfile has no escapes. The grammar is that of parser/parser.go in github.com/ollama/ollama
0.34.2.
"""

from __future__ import annotations

import ast
import traceback
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from builder import files
from builder.bases import base, families
from builder.errors import ManifestError, PersonaError, ToolError
from builder.ollama import table
from builder.ollama.served import REQUIRES, Served
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
OWN_TEMPLATE = "correct Modelfile.j2, or restore the project's own"


def check(persona: Persona, template: Path) -> None:
    """Check, before anything is trained, what is told to Ollama and needs no base to be checked.

    Raises:
        ManifestError: `[ollama]` holds what Ollama or a Modelfile cannot take; all of it at once,
            and what is wrong with the template.
        ToolError: The template alone is broken, or renders something else than what it is given.

    """
    failures: list[PersonaError] = []
    try:
        table.check(persona.manifest.ollama, str(persona.folder / "persona.toml"))
    except ManifestError as error:
        failures.append(error)
    try:
        _try_template(persona, template, has_own_values=not failures)
    except ToolError as error:
        failures.append(error)
    if failures:
        problems = [problem for failure in failures for problem in failure.problems]
        raise type(failures[0])(*problems, hint=failures[-1].hint)


def _try_template(persona: Persona, template: Path, *, has_own_values: bool) -> None:
    """Render sample values, all of them and as few as may be, and the persona's own."""
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
                parameters={**parameters, **own.parameters},
                system=own.system or None,
                license=own.license,
            )
        )
    for sample in samples:
        render(template, sample, persona.name, base.EMBEDDED)


def render(template: Path, served: Served, name: str, base_name: str) -> str:
    """Render Modelfile.j2, and verify by reading it back that it says what is meant.

    Raises:
        ToolError: The template is broken, or what it renders does not say what is meant.

    """
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=False
    )
    environment.filters.update(quoted=_quoted, parameter=_parameter)
    lost = sorted({character for character in served.system or "" if not is_carried(character)})
    parameters = served.list_parameters()
    source = _read_template(template)
    try:
        text = environment.from_string(source).render(
            model=served.model,
            name=" ".join(name.split()),
            base=base_name,
            go_template=served.template,
            system=served.system,
            parameters=parameters,
            license=served.license,
            requires=REQUIRES,
            lost_characters=", ".join(f"U+{ord(character):04X}" for character in lost),
        )
    except Exception as error:  # noqa: BLE001 — an expression of the template may raise anything
        message = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
        line = _find_line(error)
        msg = f"{template}{f':{line}' if line else ''}: {message}, expected a Jinja template"
        raise ToolError(msg, hint=OWN_TEMPLATE) from None
    _verify(template, text, served, parameters)
    return text


def _read_template(path: Path) -> str:
    try:
        return files.read_text(path)
    except FileNotFoundError:
        msg = f"{path}: no such file, expected the template of every Modelfile"
        raise ToolError(msg, hint=OWN_TEMPLATE) from None
    except ValueError as error:
        raise ToolError(str(error), hint="save it as UTF-8") from None


def _find_line(error: Exception) -> int | None:
    """Find the line of the template at which rendering failed."""
    frames = traceback.walk_tb(error.__traceback__)
    at = [line for frame, line in frames if frame.f_code.co_filename == "<template>"]
    return getattr(error, "lineno", None) or (at[-1] if at else None)


def _verify(template: Path, text: str, served: Served, parameters: list[tuple[str, Any]]) -> None:
    meant = [("FROM", "./model.gguf")]
    meant += [("TEMPLATE", served.template)] if served.template is not None else []
    meant += [("SYSTEM", _carried(served.system))] if served.system is not None else []
    meant += [("PARAMETER", f"{key} {_carried(str(_plain(value)))}") for key, value in parameters]
    meant += [("LICENSE", _carried(served.license))] if served.license is not None else []
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
        what = f"{'no' if wrong[0] in meant else 'an unwanted'} {instruction} {value[:60]!r}"
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
    """Read a text that Go's %q quoted, whose escapes are Python's too."""
    try:
        return str(ast.literal_eval(text)) if text.startswith('"') else text
    except (SyntaxError, ValueError):
        return text


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def is_carried(character: str) -> bool:
    """Say whether a Modelfile carries a character: Go's strconv.IsPrint, tab and newline."""
    return character in " \t\n\r" or unicodedata.category(character)[0] in "LMNPS"


def _carried(text: str) -> str:
    return "".join(character for character in text if is_carried(character))


def _plain(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _quoted(text: str) -> str:
    return f'"""{text}"""'


def _parameter(value: Any) -> str:
    return (
        f'"{value}"'
        if isinstance(value, str) and '"' not in value
        else _quoted(value)
        if isinstance(value, str)
        else str(_plain(value))
    )


def parse(text: str) -> list[tuple[str, str]]:
    """Read a Modelfile as Ollama does.

    Returns:
        Pairs of instruction, in upper case, and value; a PARAMETER's value begins with its name.

    Raises:
        ToolError: A line is none that Ollama knows, or a quote is never closed.

    """
    pairs: list[tuple[str, str]] = []
    lines = iter(enumerate(text.split("\n"), start=1))
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        word, _, rest = line.strip().partition(" ")
        if word.upper() not in INSTRUCTIONS:
            known = ", ".join(INSTRUCTIONS)
            msg = f"Modelfile:{number}: {word!r} is no instruction, expected one of {known}"
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
