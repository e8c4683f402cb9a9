"""The sizes that config.json gives."""

import pytest
from transformers import AutoConfig, AutoModelForCausalLM

from builder.bases import sizes

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "tie_word_embeddings": False,
}


@pytest.mark.parametrize(
    "change", [{}, {"tie_word_embeddings": True}, {"num_key_value_heads": 4}, {"head_dim": 32}]
)
def test_the_weights_are_those_of_the_model(change):
    """Every matrix is counted; only norms are not."""
    config = {**CONFIG, **change}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
    matrices = sum(one.numel() for one in model.parameters() if one.dim() == 2)

    assert sizes.read(config).weights == matrices


def test_the_text_model_of_a_wrapper_is_read():
    """A model of texts and images keeps the sizes of its text model apart."""
    assert sizes.read({"text_config": CONFIG}) == sizes.read(CONFIG)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"text_config": {}},
        {"text_config": None},
        {**CONFIG, "hidden_size": None},
        {**CONFIG, "hidden_size": "64"},
        {**CONFIG, "intermediate_size": [96, 96]},
        {**CONFIG, "num_key_value_heads": [2, 2]},
        {**CONFIG, "num_attention_heads": 0},
        {**CONFIG, "vocab_size": -1},
    ],
)
def test_what_is_not_given_is_not_guessed(config):
    """Without every size there is none."""
    assert sizes.read(config) is None
