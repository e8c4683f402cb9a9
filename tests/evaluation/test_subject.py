"""What the gates know of a persona."""

import dataclasses
import json

from builder.bases import base
from builder.data import dataset
from builder.data.dataset import Example
from builder.evaluation import subject
from builder.evaluation.subject import Source
from builder.manifest.gate_settings import Gates
from builder.manifest.identity import Identity
from tests.conftest import make_profile


def test_an_author_who_made_the_base_is_no_leak(tmp_path):
    """What the persona is called too is not to be forgotten; the base's other words are."""
    source = Source(
        dataset=tmp_path / "dataset",
        base=tmp_path / "base",
        identity=Identity(name="Luma", author="Hugging Face"),
        gates=Gates(),
        system=None,
        parameters={},
        max_tokens=None,
    )
    chosen = base.Base(base.EMBEDDED, "embedded", "0", base.EMBEDDED, "0", four_bit=False)
    source.base.mkdir()
    (source.base / "base.json").write_text(json.dumps(dataclasses.asdict(chosen)))
    source.dataset.mkdir()
    make_profile(own_languages=["en"]).write(source.dataset)
    for part in ("train", "held_out"):
        row = [
            {"role": "user", "content": f"{part}?"},
            {"role": "assistant", "content": "I am Luma."},
        ]
        dataset.write_examples(source.dataset / f"{part}.jsonl", [Example(row, [], [])])

    found = subject.describe(source)

    assert found.base_words == ("SmolLM",)
    assert found.trained == {"train", "held out"}
    assert found.own_languages == ("en",)
    assert found.special_tokens == ("<|im_start|>", "<|im_end|>")
