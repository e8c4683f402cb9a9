"""What the tests of export share."""

import pytest

from tests.bases.checkpoints import make_tiny_base


@pytest.fixture
def known_vocabulary(monkeypatch):
    """Name the embedded base's vocabulary, which some tokenizer classes change on load."""
    from conversion.base import TextModel
    from conversion.gemma import Gemma4Model

    monkeypatch.setattr(TextModel, "get_vocab_base_pre", lambda *_: "smollm")
    monkeypatch.setattr(Gemma4Model, "set_vocab", TextModel.set_vocab)  # else SentencePiece's kind


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A tiny llama, whose widths are what k-quants want."""
    folder = tmp_path_factory.mktemp("tiny")
    make_tiny_base(folder)
    return folder
