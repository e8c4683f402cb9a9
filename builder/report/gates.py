"""The gates on the page: in words, as a bar, in figures, and with advice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from builder.evaluation.report import Finding
from builder.report import svg
from builder.report.texts import cut

STATES = {"pass": "good", "fail": "bad", "not enough evidence": "weak"}
# The order of the verdicts: failures first, gates that were not asked last.
ORDER = ("bad", "weak", "good", "muted")
NOTE_CHARACTERS = 600


@dataclass(frozen=True)
class Card:
    """The card of a gate on the page."""

    name: str
    verdict: str
    state: str
    """The CSS class of its colour: good, weak, bad or muted."""
    told: str
    chart: Markup
    figures: str
    missed: str
    """Words of the persona's rows, for its page alone."""
    advice: str


def list_cards(findings: Sequence[Finding]) -> list[Card]:
    """Make the cards of the gates, failed ones first."""
    return sorted(map(show, findings), key=lambda card: ORDER.index(card.state))


def show(finding: Finding) -> Card:
    """Make the card of a gate, with advice if it did not pass."""
    is_asked = finding.verdict in STATES
    has_failed = finding.verdict == "fail"
    is_advice = has_failed and finding.mode == "advice"
    return Card(
        name=finding.gate.replace("_", " "),
        verdict="fail (advice: it stops nothing)" if is_advice else finding.verdict,
        state=STATES.get(finding.verdict, "muted"),
        told=_tell(finding) if is_asked and finding.told else "",
        chart=_draw(finding) if is_asked else Markup(),
        figures=_write_figures(finding),
        missed=finding.describe_missed(),
        advice=finding.advice if has_failed else "",
    )


def make_key() -> dict[str, Markup]:
    """Draw the three marks of the bars for the legend."""
    kinds = {
        "95 % interval": ("key", '<path class="interval" d="M100 14H900M100 6V22M900 6V22"/>'),
        "the base": ("key mark", '<path class="baseline" d="M500 1V27"/>'),
        "the limit": ("key mark", '<path class="limit" d="M500 1V27"/>'),
    }
    # Made from constants only, not from a build.
    return {
        name: Markup(_KEY).format(kind=kind, body=Markup(path))  # noqa: S704
        for name, (kind, path) in kinds.items()
    }


_KEY = (
    '<svg class="{kind}" viewBox="0 0 1000 28" preserveAspectRatio="none" aria-hidden="true">'
    "{body}</svg>"
)


def _tell(finding: Finding) -> str:
    if finding.verdict == "not enough evidence":
        return f"There is not enough evidence whether it {finding.told}."
    return f"It {finding.told}."


def _draw(finding: Finding) -> Markup:
    """Draw the share if answers were counted, or else the first figure, which should be small."""
    is_good = finding.verdict != "fail"
    if finding.of and not finding.figures:
        before = finding.baseline_right
        return svg.draw_share(
            finding.right / finding.of,
            finding.interval,
            baseline=None if before is None else before / finding.of,
            limit=finding.limit,
            is_good=is_good,
            label=_write_share(finding),
        )
    figures = {
        name: value for name, value in finding.figures.items() if isinstance(value, int | float)
    }
    if not figures:
        return Markup()
    name, value = next(iter(figures.items()))
    return svg.draw_measure(
        value,
        baseline=figures.get(f"base_{name}"),
        limit=finding.limit,
        is_good=is_good,
        label=cut(finding.note, NOTE_CHARACTERS),
    )


def _write_figures(finding: Finding) -> str:
    share = _write_share(finding) if finding.of and not finding.figures else ""
    return "; ".join(filter(None, (share, cut(finding.note, NOTE_CHARACTERS))))


def _write_share(finding: Finding) -> str:
    low, high = finding.interval
    parts = [f"{finding.right} of {finding.of} right, 95 % interval {low:.0%} to {high:.0%}"]
    if finding.baseline_right is not None:
        parts.append(f"the base {finding.baseline_right} of {finding.of}")
    if finding.limit is not None:
        parts.append(f"expected {finding.limit:.0%}{' or more' if finding.limit < 1 else ''}")
    return ", ".join(parts)
