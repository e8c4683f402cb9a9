"""What the tests of export share."""

import pytest


@pytest.fixture
def known_vocabulary(monkeypatch):
    """Name the embedded base's vocabulary, which some tokenizer classes change on load."""
    from conversion.base import TextModel
    from conversion.gemma import Gemma4Model

    monkeypatch.setattr(TextModel, "get_vocab_base_pre", lambda *_: "smollm")
    monkeypatch.setattr(Gemma4Model, "set_vocab", TextModel.set_vocab)  # else SentencePiece's kind
