"""The table [gates] of persona.toml."""

import pytest

from builder import persona
from builder.data.kinds import KINDS
from builder.errors import ManifestError
from builder.manifest.gate_settings import Gates


def test_contradicting_limits_are_refused(project):
    """Sampling may not be asked for more than the likeliest answer is."""
    folder = project / "personas" / "p"
    folder.mkdir()
    (folder / "persona.toml").write_text(
        '[identity]\nname = "X"\nauthor = "Y"\n[gates]\nrecall = 0.5\nsampled = 0.9\n'
    )
    with pytest.raises(ManifestError, match="expected at most recall"):
        persona.read(folder)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("retention = 0.5", "has no limit"),
        ("recall = 1.5", "a share from 0 to 1"),
        ('recall = "never"', "gates.recall"),
        ("sampled = 0.7", "expected at most recall"),
        ("recall = true", "expected a limit, stop, advice, off or a table"),
    ],
)
def test_a_gate_is_set_by_limit_or_mode(project, line, message):
    """What no gate takes is refused, with its line."""
    folder = project / "personas" / "p"
    folder.mkdir()
    (folder / "persona.toml").write_text(f"[gates]\n{line}\n")

    with pytest.raises(ManifestError, match=message):
        persona.read(folder)


def test_a_gate_takes_a_number_a_word_or_both(project):
    """A number is the limit, a word the mode, a table both."""
    folder = project / "personas" / "p"
    folder.mkdir()
    text = '[gates]\nrecall = 0.8\nretention = "advice"\nstop = { limit = 0.9, mode = "advice" }\n'
    (folder / "persona.toml").write_text(text)

    gates = persona.read(folder).manifest.gates

    assert (gates.limit("recall"), gates.retention.mode, gates.limit("leak_in")) == (
        0.8,
        "advice",
        0.05,
    )
    assert (gates.limit("stop"), gates.stop.mode) == (0.9, "advice")
    assert KINDS["voice"].mode(gates, "recall") == "stop"
    assert KINDS["voice"].mode(Gates(), "retention") == "advice"
