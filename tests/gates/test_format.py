"""Format: other questions are answered in JSON too."""

import dataclasses

from builder.gates import format as json_format
from tests.evaluation.samples import SUBJECT, answer, question


def test_json_is_asked_for_where_the_data_is_json():
    """Only such a persona is asked other questions, and its answers must be JSON alone."""
    desk = dataclasses.replace(SUBJECT, is_json=True, spoken=("en",))

    assert json_format.questions(SUBJECT, 1.0) == []
    assert len(json_format.questions(desk, 1.0)) == 30
    assert json_format.is_right(desk, question("?"), answer('{"a": 1}'))
    assert not json_format.is_right(desk, question("?"), answer('Sure: {"a": 1}'))
    assert not json_format.is_right(desk, question("?"), answer("1"))
