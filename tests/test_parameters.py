"""What is served beside the template and the text."""

import pytest

from builder.bases import families
from builder.parameters import find_parameters
from tests.conftest import make_profile

FAMILY = families.SMOLLM2


@pytest.mark.parametrize(
    ("kind", "longest", "given", "expected"),
    [
        ("identity", 12, {}, 1024),
        ("voice", 12, {}, 256),
        ("voice", 100, {}, 400),
        ("format", 3000, {"num_ctx": 16384}, 8192),
        ("format", 3000, {}, 3000),
        ("identity", 12, {"num_predict": 50}, 50),
    ],
)
def test_an_answer_ends_some_time(kind, longest, given, expected):
    """num_predict follows the kind and the longest reply, fits the context, and can be set."""
    found = find_parameters(
        FAMILY, make_profile(kind_name=kind, longest_reply_tokens=longest), given
    )

    assert found["num_predict"] == expected


def test_every_parameter_is_set():
    """Every parameter is set: by the manifest, else the family, else as for all of them."""
    found = find_parameters(FAMILY, make_profile(), {"top_k": 7})

    assert set(families.COMMON_PARAMETERS) < set(found)
    assert (found["temperature"], found["top_k"], found["repeat_penalty"]) == (
        FAMILY.parameters["temperature"],
        7,
        1.0,
    )
