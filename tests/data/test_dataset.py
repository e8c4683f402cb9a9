"""What the data stage leaves, written and read."""

import pytest

from builder.data import dataset
from builder.data.dataset import Example
from builder.errors import NotBuiltError, ToolError
from tests.conftest import make_profile


def test_what_is_written_is_read(tmp_path):
    """Examples and profile come back as they were, a line separator in a reply included."""
    examples = [
        Example(
            [{"role": "assistant", "content": "one\u2028two\u0085three"}],
            [1, 2],
            [-100, 2],
            repeats=3,
        )
    ]
    dataset.write_examples(tmp_path / dataset.TRAIN, examples)
    profile = make_profile(own_languages=["fr"])
    profile.write(tmp_path)

    assert dataset.read_examples(tmp_path / dataset.TRAIN) == examples
    assert dataset.read_profile(tmp_path) == profile
    assert dataset.read_schedule(tmp_path) == profile.schedule


REPEATS = '"plain_repeats": 1, "system_repeats": 0, "replayed": 0'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"epochs": 3}',
        *(f'{{"epochs": {one}, {REPEATS}}}' for one in ("NaN", "1e999")),
    ],
)
def test_a_damaged_profile_is_told(tmp_path, text):
    """What another version wrote, or half a file, is one sentence."""
    make_profile().write(tmp_path)
    (tmp_path / dataset.SCHEDULE).write_text(text)

    with pytest.raises(ToolError, match=r"schedule\.json: cannot be read"):
        dataset.read_profile(tmp_path)


def test_repeats_come_turn_by_turn():
    """An epoch holds each example once, then again those that are repeated."""
    once, thrice = Example([], [1], [1]), Example([], [2], [2], repeats=3)

    assert [one.input_ids[0] for one in dataset.repeat([once, thrice])] == [1, 2, 2, 2]


@pytest.mark.parametrize("content", [b"\xff", b"null", b"[]", b"{}", b'{"messages": ['])
def test_damaged_rows_are_told(tmp_path, content):
    """Half a file, or another version's, is one sentence."""
    path = tmp_path / dataset.TRAIN
    path.write_bytes(content)

    with pytest.raises(NotBuiltError, match=r"train\.jsonl: cannot be read"):
        dataset.read_examples(path)
