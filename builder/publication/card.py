"""The model card of a build: README.md with the hub's metadata, made from the build's files."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from builder import files
from builder.engine.excerpts import shorten as shorten_value
from builder.errors import NotBuiltError
from builder.evaluation.report import Finding, shorten
from builder.ollama.served import Served
from builder.project import Build
from builder.publication import licensing, markdown
from builder.publication.licensing import Terms
from builder.publication.markdown import Markdown
from builder.report import gates, verdict
from builder.report.contents import Contents, gather
from builder.report.page import tell_rows

# The stages whose settings the card shows; other settings may reveal rows.
SHOWN_SETTINGS = ("training.", "export.")
STAGES_OF_SETTINGS = ("train", "export")
TAGS = ("gguf", "ollama", "llama.cpp", "persona")


@dataclass(frozen=True, kw_only=True)
class Place:
    """The place of the card."""

    repository: str = ""
    """The repository on the hub; "" for the build's own folder."""
    gguf: str = "model.gguf"


def write(build: Build) -> Path | None:
    """Write the card of a build that passed, or remove the card of an earlier file.

    Returns:
        The path of the card; None if the build has no file that passed.

    Raises:
        NotBuiltError: The base or the data stage has not run.
        ToolError: An examination is of another version.
        OSError: The card cannot be written.

    """
    contents = gather(build)
    if contents.found is None or contents.is_refused:
        build.card.unlink(missing_ok=True)
        return None
    text = render(contents, build.decide_served(), licensing.decide(build), Place())
    with files.replacing(build.card) as temporary:
        temporary.write_text(text, "utf-8")
    return build.card


def make(build: Build, place: Place) -> str:
    """Make the card of a build for a place.

    Raises:
        NotBuiltError: The build has no file that was examined.
        ToolError: An examination is of another version.

    """
    contents = gather(build)
    if contents.found is None:
        raise NotBuiltError(build.smoke)
    return render(contents, build.decide_served(), licensing.decide(build), place)


def render(contents: Contents, served: Served, terms: Terms, place: Place) -> str:
    """Render the card, with all texts escaped."""
    assert contents.found is not None  # noqa: S101 — both callers have seen it
    environment = ImmutableSandboxedEnvironment(
        autoescape=False,  # it is Markdown: `_finalize` escapes
        undefined=StrictUndefined,
        finalize=_finalize,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "cell": markdown.cell,
        "fence": markdown.fence,
        "code": markdown.code,
        "address": Markdown,  # only from this project's own records
        "shorten": shorten,
    }
    template = resources.files("builder.publication").joinpath("card.md.j2").read_text("utf-8")
    return environment.from_string(template).render(
        card=contents,
        served=served,
        terms=terms,
        licence=terms.licence,
        repository=place.repository,
        gguf=place.gguf,
        metadata=Markdown(_write_metadata(contents, terms)),
        **_describe(contents, served, terms),
    )


def _describe(contents: Contents, served: Served, terms: Terms) -> dict[str, Any]:
    """Give the values for the card."""
    assert contents.found is not None  # noqa: S101 — as of `render`
    settings = {
        name: shorten_value(value)[0]
        for stage in STAGES_OF_SETTINGS
        if stage in contents.stamps
        for name, value in contents.stamps[stage].description.settings.items()
        if name.startswith(SHOWN_SETTINGS)
    }
    versions = {
        name: version for stamp in contents.stamps.values() for name, version in stamp.tools.items()
    }
    source = shlex.quote(contents.base.source)
    return {
        "authors": " and ".join(contents.authors),
        "size": f"{(contents.size_bytes or 0) / 1e6:,.0f} MB",
        "sampling": ", ".join(
            f"{name} {value}" for name, value in served.list_parameters() if name != "stop"
        ),
        "failed": verdict.name_failed(contents.found),
        "gates": [gates.show(finding) for finding in _list_asked(contents)],
        "rows": tell_rows(contents.profile),
        "settings": sorted(settings.items()),
        "versions": sorted(versions.items()),
        "own_licence": "the licence in `LICENSE`" if terms.text else terms.own,
        "base_option": "" if contents.base.kind == "folder" else f" --base {source}",
    }


def _list_asked(contents: Contents) -> Iterator[Finding]:
    """List the findings of the gates that were asked."""
    for finding in contents.found.gates if contents.found else ():
        if finding.verdict in gates.STATES:
            yield finding


def _write_metadata(contents: Contents, terms: Terms) -> str:
    """Write the hub's metadata as YAML.

    Source:
        huggingface.co/docs/hub/model-cards and modelcard.md of github.com/huggingface/hub-docs.

    """
    from huggingface_hub import EvalResult, ModelCardData  # noqa: PLC0415 — takes a while

    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type="persona-gates",
            dataset_name="the gates of persona",
            metric_type="accuracy",
            metric_name=finding.gate,
            metric_value=round(finding.right / finding.of, 4),
        )
        for finding in _list_asked(contents)
        if finding.of and not finding.figures
    ]
    named: dict[str, Any] = {} if terms.is_listed else {"license_name": terms.identifier}
    if not terms.is_listed and terms.link:
        named["license_link"] = terms.link
    repository = contents.base.repository
    if repository:
        named |= {"base_model": repository, "base_model_relation": "finetune"}
    data = ModelCardData(
        language=contents.profile.languages or None,
        license=terms.identifier if terms.is_listed else "other",
        library_name="gguf",
        pipeline_tag="text-generation",
        tags=list(TAGS),
        model_name=contents.name,
        eval_results=results or None,
        **named,
    )
    return str(data.to_yaml())


def _finalize(value: Any) -> Any:
    """Escape any text that is not marked as Markdown."""
    if isinstance(value, Markdown) or not isinstance(value, str):
        return value
    return markdown.inline(value)
