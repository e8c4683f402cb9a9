"""Renders and writes the page of a build, one HTML file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import platform
import shlex
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup
from markupsafe import escape as escape_html

from builder import files
from builder.command import command
from builder.data.dataset import Profile
from builder.durations import duration
from builder.engine.excerpts import shorten as shorten_value
from builder.engine.spans import Span
from builder.gates import fidelity
from builder.machine import Machine
from builder.project import Build
from builder.report import answers, gates, svg, verdict
from builder.report.contents import Contents, gather
from builder.report.texts import clean

# The sections of the page: their ids, and the texts of the links to them.
SECTIONS = (
    ("answers", "Answers"),
    ("gates", "Gates"),
    ("loss", "Loss"),
    ("parity", "Parity"),
    ("forgotten", "What was forgotten"),
    ("quantisation", "Quantisation error"),
    ("modelfile", "Modelfile"),
    ("times", "Times"),
    ("again", "Make it again"),
)
# The longest text on the page; answers are cut further.
MOST_CHARACTERS, MODELFILE_CHARACTERS = 2500, 20_000
# The smallest share of the time of a piece of work that is shown.
LEAST_PART = 0.01


def write(build: Build) -> Path:
    """Write the page of a build, and return its path.

    Raises:
        NotBuiltError: The base or the data stage has not run.
        ToolError: An examination is of another version.
        OSError: The page cannot be written.

    """
    html = render(gather(build))
    with files.replacing(build.report) as temporary:
        temporary.write_text(html, "utf-8")
    return build.report


def render(contents: Contents) -> str:
    """Render the page, with all texts escaped."""
    style, script = _read("page.css"), _read("page.js")
    environment = ImmutableSandboxedEnvironment(
        autoescape=True, undefined=StrictUndefined, finalize=_finalize
    )
    return environment.from_string(_read("page.html.j2")).render(
        **_describe_answers(contents),
        **_describe_build(contents),
        page=contents,
        modelfile=escape_html(clean(contents.modelfile, MODELFILE_CHARACTERS)),
        verdict=verdict.judge(contents),
        sections=SECTIONS,
        key=gates.make_key(),
        plots=list(_plot(contents)),
        # This package's own files, which contain nothing from a build.
        style=Markup(style),  # noqa: S704
        style_hash=_hash(style),
        script=Markup(script),  # noqa: S704
        script_hash=_hash(script),
    )


def _describe_answers(contents: Contents) -> dict[str, Any]:
    """Give the values from the examination."""
    found = contents.found
    groups, left_out = answers.list_groups(found) if found else ([], 0)
    findings = found.gates if found else []
    return {
        "groups": groups,
        "left_out": left_out,
        "answers_file": "logs/smoke-failed.json" if contents.is_refused else "smoke.json",
        "gates": gates.list_cards(findings),
        "forgotten": answers.list_forgotten(found) if found else [],
        "tasks": answers.count_tasks(found) if found else 0,
        "fidelity": next((one for one in findings if one.gate == fidelity.NAME), None),
    }


def _describe_build(contents: Contents) -> dict[str, Any]:
    """Give the values from the stamps, and how to repeat the build."""
    settings: dict[str, str] = {}
    versions: dict[str, str] = {}
    for stage, stamp in contents.stamps.items():
        versions |= stamp.tools
        for name, value in stamp.description.settings.items():
            if value is not None:
                settings[name or stage] = shorten_value(value)[0]
    spans, total_s = _list_spans(contents)
    return {
        "rows": tell_rows(contents.profile),
        "spans": spans,
        "total": duration(total_s),
        "same_shapes": sum(bool(shape.get("same_ids")) for shape in contents.shapes),
        "quantisation": settings.get("export.quantisation", ""),
        "settings": dict(sorted(settings.items())),
        "versions": dict(sorted(versions.items())),
        "machine": _tell_machine(contents.machine),
        "commands": _list_commands(contents),
    }


def _list_spans(contents: Contents) -> tuple[list[dict[str, Any]], float]:
    """Give the time of each stage as a bar that begins where the previous one ends."""
    times_s = {
        name: stamp.took_s for name, stamp in contents.stamps.items() if stamp.took_s is not None
    }
    total_s, began_s, spans = sum(times_s.values()), 0.0, []
    for stage, took_s in times_s.items():
        start, length = began_s / (total_s or 1.0), took_s / (total_s or 1.0)
        label = f"{stage}: {length:.0%} of the whole"
        chart = svg.draw_span(start, length, label)
        parts = _list_parts(contents.stamps[stage].spans, began_s, total_s)
        row = {"stage": stage, "took": duration(took_s), "chart": chart, "parts": parts}
        spans.append(row)
        began_s += took_s
    return spans, total_s


def _list_parts(spans: Sequence[Span], began_s: float, total_s: float) -> list[dict[str, Any]]:
    """Give the pieces of a stage's work as bars, without very short ones."""
    parts = []
    for span in spans:
        start, length = began_s / (total_s or 1.0), span.took_s / (total_s or 1.0)
        if length >= LEAST_PART:
            chart = svg.draw_span(start, length, f"{span.what}: {length:.0%} of the whole")
            parts.append({"what": span.what, "took": duration(span.took_s), "chart": chart})
        began_s += span.took_s
    return parts


def _plot(contents: Contents) -> Iterator[dict[str, Any]]:
    losses, rates = contents.losses, contents.learning_rates
    if losses:
        last = svg.smooth(losses)[-1]
        yield {
            "caption": f"Loss of each step in nats a token; the running mean ends at {last:.2f}",
            "top": f"{max(losses):.2f}",
            "chart": svg.draw_lines(
                losses, f"Loss, from {losses[0]:.2f} to {losses[-1]:.2f}", is_noisy=True
            ),
            "steps": len(losses),
        }
    if losses and rates:
        yield {
            "caption": "Learning rate of each step, as planned",
            "top": f"{max(rates):g}",
            "chart": svg.draw_lines(
                rates, f"Learning rate, {max(rates):g} at most", is_noisy=False
            ),
            "steps": len(rates),
        }


def _list_commands(contents: Contents) -> list[str]:
    name, base = contents.name, shlex.quote(contents.base.source)
    commands = [
        command(f"build {name} --base {base}"),
        command(f"gates {name}"),
        command(f"chat {name}"),
        command(f"report {name}"),
    ]
    if contents.is_registered and contents.receipt:
        commands.append(f"ollama run {contents.receipt.model.removesuffix(':latest')}")
    return commands


def tell_rows(profile: Profile) -> str:
    """Describe how many rows were trained on, and how often."""
    schedule = profile.schedule
    told = f"{profile.rows}, each about {schedule.visits} times"
    if schedule.own_factor > 1:
        packed = profile.rows - profile.own_rows
        told = (
            f"{packed} of packs, each about {schedule.visits} times, and {profile.own_rows} of its "
            f"own, each about {schedule.own_visits} times"
        )
    if schedule.replayed:
        told += f", beside up to {schedule.replayed} of the base's own answers"
    return told


def _tell_machine(machine: Machine) -> str:
    what = f"a GPU, {machine.name}" if machine.kind == "gpu" else "a CPU, without a GPU"
    system = f"{platform.system()} on {platform.machine()}"
    return f"{what}; {system}, Python {platform.python_version()}"


def _finalize(value: Any) -> Any:
    """Escape control characters of any text, and cut it if it is very long."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return clean(value, MOST_CHARACTERS)


def _read(name: str) -> str:
    return resources.files("builder.report").joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    """Hash an inline style or script for the Content-Security-Policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
