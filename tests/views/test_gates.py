"""The table of the gates."""

from builder.evaluation.report import Finding
from builder.terminal.console import Console
from builder.views import gates
from tests.report.pages import make_found


def test_the_name_of_a_gate_cannot_forge_a_line(capsys):
    """An examination that somebody wrote by hand is shown as what it is, markup too."""
    names = ("x\x1b[31m\nFORGED", "[/bold]")
    found = make_found(gates=[Finding(name, "pass", right=1, of=2) for name in names])

    gates.show(found, Console())
    printed = capsys.readouterr().out

    assert "\x1b" not in printed
    assert "[/bold]" in printed
    assert not any(line.startswith("FORGED") for line in printed.splitlines())
