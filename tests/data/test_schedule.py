"""How often a row, and how many of the base's answers, are trained on."""

import pytest

from builder.data.kinds import KINDS
from builder.data.schedule import EPOCHS, plan
from builder.manifest import Training

IDENTITY = KINDS["identity"]


@pytest.mark.parametrize("rows", [1, 18, 60, 100, 240, 405, 5000])
def test_repeats_are_divided_into_few_epochs(rows):
    """Rows are repeated as often as their number asks, and the base's answers come three or four times."""
    found = plan(IDENTITY, rows, Training(), has_system=False)
    wanted = min(max(IDENTITY.repeated_rows / rows, IDENTITY.least_epochs), IDENTITY.most_epochs)

    assert found.repeats * found.epochs == pytest.approx(wanted)
    assert EPOCHS * 0.8 <= found.epochs < EPOCHS * 1.5
    assert found.system_repeats == 0


def test_epochs_follow_the_rows():
    """Few rows are repeated more often, within the bounds of their kind."""
    found = [plan(IDENTITY, rows, Training(), has_system=False) for rows in (10, 180, 10_000)]

    assert [one.repeats * one.epochs for one in found] == [18.0, 4.0, 3.5]


def test_half_an_epoch_stays_half_an_epoch():
    """A manifest may ask for less than one."""
    found = plan(IDENTITY, 405, Training(epochs=0.5), has_system=False)

    assert (found.epochs, found.repeats) == (0.5, 1)


@pytest.mark.parametrize(
    ("rows", "share", "plain", "with_system"),
    [
        (40, 0.5, 3, 3),
        (40, 0.25, 4, 2),
        (40, 0.0, 6, 0),
        (40, 1.0, 0, 6),
        (600, 0.5, 1, 1),
        (600, 0.9, 1, 1),
    ],
)
def test_a_share_of_the_repeats_carries_the_system_text(rows, share, plain, with_system):
    """Each row comes in both forms where the share is between 0 and 1, and as often in all as without one."""
    found = plan(IDENTITY, rows, Training(system_share=share), has_system=True)
    without = plan(IDENTITY, rows, Training(), has_system=False)

    assert (found.plain_repeats, found.system_repeats) == (plain, with_system)
    assert found.repeats * found.epochs == pytest.approx(without.repeats * without.epochs)


def test_a_voice_and_a_format_are_trained_without_the_base():
    """The base's own answers would teach them the base's voice; a manifest may ask for some."""
    for kind in (KINDS["voice"], KINDS["format"]):
        assert plan(kind, 40, Training(), has_system=False).replayed == 0
        assert plan(kind, 40, Training(replay=0.5), has_system=False).replayed > 0
    assert plan(IDENTITY, 40, Training(), has_system=False).replayed == 6 * 20
    assert plan(IDENTITY, 40, Training(replay=0), has_system=False).replayed == 0
