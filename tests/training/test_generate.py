"""The loaded model asked in batches: what it answers alone, in the order it was asked."""

import json
import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM

from builder.bases import base, families, fetch
from builder.data.template import Template
from builder.training import generate

EMBEDDED = base.Base(base.EMBEDDED, "embedded", "test", base.EMBEDDED, "test", four_bit=False)
MAX_TOKENS = 12


@pytest.fixture(scope="module")
def model_and_template():
    """Load the embedded base."""
    folder = fetch.find_weights(EMBEDDED)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(), Template(
        folder, "base", families.SMOLLM2
    )


def test_a_batch_answers_what_each_would_alone(model_and_template):
    """Prompts of different lengths in one batch keep answers and order, as text and as ids."""
    texts = [
        "Thank you very much for helping me with my homework, it was a great help.",
        "What is the capital of France?",
        "你好！",
    ]
    conversations = [[{"role": "user", "content": text}] for text in texts]

    together = generate.answer(*model_and_template, conversations, MAX_TOKENS)

    assert together == [
        generate.answer(*model_and_template, [conversation], MAX_TOKENS)[0]
        for conversation in conversations
    ]
    assert "Paris" in together[1].text
    assert all(
        answer.text == model_and_template[1].tokenizer.decode(answer.ids) for answer in together
    )


def test_an_answer_ends_where_the_model_ends_it(model_and_template):
    """The end itself is left off, and an answer that was cut says so."""
    conversation = [{"role": "user", "content": "What is the capital of France?"}]
    (whole,) = generate.answer(*model_and_template, [conversation], MAX_TOKENS)
    (cut,) = generate.answer(*model_and_template, [conversation], 3)

    assert whole.ended
    assert model_and_template[1].tokenizer.eos_token_id not in whole.ids
    assert not cut.ended
    assert cut.ids == whole.ids[:3]


def test_an_answer_ends_with_its_turn(model_and_template, tmp_path):
    """It ends at the template's end-of-turn token where the tokenizer's EOS is another."""
    found = fetch.find_weights(EMBEDDED)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(found / name, tmp_path / name)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token": "<|endoftext|>"}))
    template = Template(tmp_path, "base", EMBEDDED.family)
    conversation = [{"role": "user", "content": "What is the capital of France?"}]

    (expected,) = generate.answer(*model_and_template, [conversation], MAX_TOKENS)
    (answer,) = generate.answer(model_and_template[0], template, [conversation], MAX_TOKENS)

    assert answer.ended
    assert answer == expected
