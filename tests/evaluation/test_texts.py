"""Which reference texts are chosen."""

from importlib import resources

from builder.data import dataset, template
from builder.data.dataset import Example
from builder.evaluation import texts
from builder.evaluation.texts import Text


class Words:
    """Stands in for a template: every text is one token."""

    def tokenize(self, _text):
        """Give one token."""
        return [1]

    def encode(self, _messages):
        """Give one token, trained on."""
        return template.Encoded([1], [True])


def conversation(number):
    """A conversation of its own."""
    return [{"role": "user", "content": f"{number}?"}, {"role": "assistant", "content": "Yes."}]


def test_own_texts_are_of_rows_held_out_and_trained_on(tmp_path):
    """Rows come from all of the data; of those trained on only whole ones, if there are any."""

    def write(part, lengths):
        examples = [
            Example(conversation(number), [number] * length, [number] * length)
            for number, length in enumerate(lengths)
        ]
        dataset.write_examples(tmp_path / f"{part}.jsonl", examples)

    def own(kind):
        return [text for text in texts.choose_texts(tmp_path, Words()) if text.kind == kind]

    write("held_out", [5] * 3)
    write("train", [texts.MAX_TEXT_TOKENS, 5] * texts.ROWS * 2)
    assert len(own("held out")) == 3
    assert [text.ids[0] for text in own(texts.OWN)] == [
        4 * number + 1 for number in range(texts.ROWS)
    ]
    assert all(text.is_whole for text in own(texts.OWN))
    write("train", [texts.MAX_TEXT_TOKENS + 9] * 2)
    assert [len(text.ids) for text in own(texts.OWN)] == [texts.MAX_TEXT_TOKENS] * 2
    assert not any(text.is_whole for text in own(texts.OWN))


def test_both_forms_of_a_row_are_taken_in_turn(tmp_path):
    """Conversations are chosen, not forms: the first with the system text, the next without it."""
    served = {"role": "system", "content": "Be brief."}
    examples = []
    for number in range(2 * texts.ROWS):
        plain = conversation(number)
        examples.append(Example(plain, [number, 0], [number, 0]))
        examples.append(Example([served, *plain], [number, 1], [number, 1], has_system=True))
    dataset.write_examples(tmp_path / "train.jsonl", examples)
    dataset.write_examples(tmp_path / "held_out.jsonl", [])

    chosen = [text for text in texts.choose_texts(tmp_path, Words()) if text.is_trained]

    assert [text.ids for text in chosen] == [
        [2 * number, 1 - number % 2] for number in range(texts.ROWS)
    ]


def test_a_row_with_one_form_is_taken_as_it_is(tmp_path):
    """Where only the plain form of a row is whole, or is all there is, it is taken in any turn."""
    served = {"role": "system", "content": "Be brief."}
    long = [1] * texts.MAX_TEXT_TOKENS
    examples = [
        Example(conversation(0), [7, 0], [7, 0]),
        Example([served, *conversation(0)], long, long, has_system=True),
        Example([served, *conversation(1)], [8, 1], [8, 1], has_system=True),
    ]
    dataset.write_examples(tmp_path / "train.jsonl", examples)
    dataset.write_examples(tmp_path / "held_out.jsonl", [])

    chosen = [text for text in texts.choose_texts(tmp_path, Words()) if text.is_trained]

    assert [text.ids for text in chosen] == [[7, 0], [8, 1]]


def test_rows_of_packs_stand_in_where_own_rows_are_few(tmp_path):
    """The persona's own rows come first, wherever they stand."""
    own = [Example(conversation(number), [number], [number]) for number in range(3)]
    of_packs = [
        Example(conversation(number), [number], [number], pack="identity/en")
        for number in range(100, 200)
    ]
    dataset.write_examples(tmp_path / "train.jsonl", of_packs + own)
    dataset.write_examples(tmp_path / "held_out.jsonl", [])

    chosen = [text for text in texts.choose_texts(tmp_path, Words()) if text.is_trained]

    assert [text.ids[0] for text in chosen[:3]] == [0, 1, 2]
    assert len(chosen) in range(10, texts.ROWS + 1)
    assert all(text.ids[0] >= 100 for text in chosen[3:])


def test_long_rows_of_ones_own_are_taken_beside_whole_ones_of_packs(tmp_path):
    """A cut text of the persona's own says more of it than a pack's, and is told from it."""
    long = [1] * texts.MAX_TEXT_TOKENS
    own = [Example(conversation(number), long, long) for number in range(3)]
    of_packs = [
        Example(conversation(number), [2], [2], pack="identity/en") for number in range(100, 200)
    ]
    dataset.write_examples(tmp_path / "train.jsonl", of_packs + own)
    dataset.write_examples(tmp_path / "held_out.jsonl", [])

    chosen = [text for text in texts.choose_texts(tmp_path, Words()) if text.is_trained]

    assert [text.ids[0] for text in chosen if text.kind == texts.OWN] == [1] * 3
    assert {text.ids[0] for text in chosen if text.kind == texts.OF_PACKS} == {2}


def test_the_fingerprint_follows_the_fixed_texts(tmp_path, monkeypatch):
    """The same file gives the same fingerprint, and one more text another."""
    before = texts.fingerprint()
    content = resources.files("builder.evaluation").joinpath("texts.jsonl").read_text("utf-8")
    monkeypatch.setattr(texts.resources, "files", lambda _package: tmp_path)

    (tmp_path / "texts.jsonl").write_text(content, "utf-8")
    assert texts.fingerprint() == before
    (tmp_path / "texts.jsonl").write_text(content + '{"neutral": "More."}\n', "utf-8")
    assert texts.fingerprint() != before


def test_reply_positions_are_before_the_replys_tokens():
    """The position that predicts a reply's token is the one before it."""
    text = Text("held out", [5, 6, 7, 8], [-100, -100, 7, 8])

    assert texts.reply_positions(text) == [1, 2]
