"""What is served beside the template and the text."""

import pytest

from builder.bases import families
from builder.parameters import find_parameters, make_generation_config
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


SERVED = {"temperature": 0.2, "top_p": 0.9, "top_k": 7, "min_p": 0.0, "stop": ["<end>", "###"]}
SAMPLED = {"do_sample": True, "temperature": 0.2, "top_p": 0.9, "top_k": 7, "min_p": 0.0}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {**SAMPLED, "repetition_penalty": 1.0}),
        ({"repeat_penalty": 1.1}, {**SAMPLED, "repetition_penalty": 1.1}),
        ({"temperature": 0}, {"do_sample": False, "repetition_penalty": 1.0}),
        (
            {"num_predict": 50, "num_ctx": 4096},
            {**SAMPLED, "repetition_penalty": 1.0, "max_new_tokens": 50},
        ),
        ({"num_predict": -1}, {**SAMPLED, "repetition_penalty": 1.0}),
    ],
)
def test_generation_config_says_what_is_served(changes, expected):
    """Sampling and token stops in transformers' words; of the base's own all else stays."""
    own = {"pad_token_id": 0, "temperature": 9.0, "typical_p": 0.5, "eos_token_id": 1}
    found = make_generation_config({**SERVED, **changes}, {"<end>": 5}, own)

    assert found == {"pad_token_id": 0, "eos_token_id": [5], **expected}
