"""How often a row, and how many of the base's answers, are trained on."""

import pytest

from builder.data import schedule
from builder.data.kinds import KINDS
from builder.data.schedule import EPOCHS

IDENTITY = KINDS["identity"]


def plan(kind, own, *, packed=0, epochs=None, replay=None, system_share=0.0):
    """Plan as a manifest does that leaves all to the kind, but for what is given."""
    return schedule.plan(kind, own, packed, epochs=epochs, replay=replay, system_share=system_share)


@pytest.mark.parametrize("rows", [1, 18, 60, 100, 240, 405, 5000])
def test_repeats_are_divided_into_few_epochs(rows):
    """The number of rows decides their repeats; the base's answers come three or four times."""
    found = plan(IDENTITY, rows)
    wanted = min(max(IDENTITY.repeated_rows / rows, IDENTITY.least_epochs), IDENTITY.most_epochs)

    assert found.repeats * found.epochs == pytest.approx(wanted)
    assert EPOCHS * 0.8 <= found.epochs < EPOCHS * 1.5
    assert found.system_repeats == 0


def test_epochs_follow_the_rows():
    """Few rows are repeated more often, within the bounds of their kind."""
    found = [plan(IDENTITY, rows) for rows in (10, 180, 10_000)]

    assert [one.repeats * one.epochs for one in found] == [18.0, 4.0, 3.5]


@pytest.mark.parametrize(
    ("own", "packed", "factor"),
    [(12, 0, 1), (0, 163, 1), (2, 163, 5), (12, 163, 5), (20, 163, 3), (54, 163, 2), (60, 163, 1)],
)
def test_beside_packs_own_rows_are_at_least_a_quarter_of_an_epoch(own, packed, factor):
    """If that takes no more than five times as often; the pack's rows come as before."""
    found = plan(IDENTITY, own, packed=packed)

    assert found.own_factor == factor
    assert found.repeats == plan(IDENTITY, own + packed).repeats
    assert (found.weigh(None), found.weigh("identity/en")) == (factor, 1)
    assert found.own_visits == pytest.approx(found.visits * factor, abs=factor / 2)
    assert plan(IDENTITY, own, packed=packed, epochs=2).own_factor == 1


def test_half_an_epoch_stays_half_an_epoch():
    """A manifest may ask for less than one."""
    found = plan(IDENTITY, 405, epochs=0.5)

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
    """Between 0 and 1 each row comes in both forms, and in all as often as without a share."""
    found = plan(IDENTITY, rows, system_share=share)
    without = plan(IDENTITY, rows)

    assert (found.plain_repeats, found.system_repeats) == (plain, with_system)
    assert found.repeats * found.epochs == pytest.approx(without.repeats * without.epochs)


def test_a_voice_and_a_format_are_trained_without_the_base():
    """The base's own answers would teach them the base's voice; a manifest may ask for some."""
    for kind in (KINDS["voice"], KINDS["format"]):
        assert plan(kind, 40).replayed == 0
        assert plan(kind, 40, replay=0.5).replayed > 0
    assert plan(IDENTITY, 40).replayed == 6 * 20
    assert plan(IDENTITY, 40, replay=0).replayed == 0
