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


def test_a_narrow_screen_leaves_room_for_the_notes(capsys):
    """With 80 columns a note has a line of some words; interval and base are on a wide screen."""
    note = "not of 'When do you open?', 'Where are the toilets?' and 3 more"
    found = make_found(gates=[Finding("trained", "fail", mode="advice", right=1, of=9, note=note)])
    lines = {}
    for columns in (80, 160):
        console = Console()
        console.page.width = columns
        gates.show(found, console)
        lines[columns] = capsys.readouterr().out.splitlines()

    assert "interval" in lines[160][0]
    assert "interval" not in lines[80][0]
    assert "fail (advice)" in lines[80][1]
    assert len(lines[80]) <= 4
    assert len(lines[160]) == 2
