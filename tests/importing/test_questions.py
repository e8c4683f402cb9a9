"""Text files with questions and answers."""

import pytest

from builder.errors import DataError
from builder.importing import questions, sources

MARKDOWN = """# Billing

Some words before.

Q: Who pays?
A: The customer pays:

- by card
- or cash

```
Q: this is code
```

## More

Not of the answer above.

**Q:** And **then**?

**A:** Nothing.

### Question 3: Why?
Answer: Because.
"""


def test_blocks_are_pairs_with_their_lines(tmp_path):
    """An answer goes on over lists and code and ends at a heading; marks may be bold."""
    path = tmp_path / "faq.md"
    path.write_text(MARKDOWN)

    assert list(questions.read(path)) == [
        (
            f"{path}:5",
            {
                "question": "Who pays?",
                "answer": "The customer pays:\n\n- by card\n- or cash\n\n```\nQ: this is code\n```",
            },
        ),
        (f"{path}:19", {"question": "And **then**?", "answer": "Nothing."}),
        (f"{path}:23", {"question": "Why?", "answer": "Because."}),
    ]


@pytest.mark.parametrize(
    "text",
    ["q: a?\na: b\n", "Frage: a?\nAntwort: b\n", "Question : a?\nRéponse : b\n", "问：a?\n答：b\n"],
)
def test_marks_in_other_languages(tmp_path, text):
    """German, French and Chinese marks are known, in any case and with a wide colon."""
    path = tmp_path / "faq.txt"
    path.write_text(text, "utf-8")

    assert [value for _, value in questions.read(path)] == [{"question": "a?", "answer": "b"}]


def test_a_folder_of_texts_is_read_whole(tmp_path):
    """Every .txt and .md below a folder is read; one without a question is counted."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.txt").write_text("Q: a?\nA: b\n")
    (tmp_path / "b.md").write_text("Q: c?\nA: d\n")
    (tmp_path / "README.md").write_text("# About\n")
    imported = sources.read(tmp_path)

    assert {messages[0]["content"] for messages in imported.conversations} == {"a?", "c?"}
    assert imported.left_out == {"files without Q:": 1}
    assert imported.formats == {"text with Q: and A:": 2}


def test_a_question_or_an_answer_alone_is_told_by_its_line(tmp_path):
    """Each half of a pair is a sentence with its line, all of them at once."""
    path = tmp_path / "faq.txt"
    path.write_text("A: first\nQ: a?\nQ: b?\nA: c\nA: d\nQ: e?\n")
    with pytest.raises(DataError) as caught:
        sources.read(path)

    assert sorted(problem.split(", ")[0] for problem in caught.value.problems) == [
        f"{path}:1: an answer without a question",
        f"{path}:2: a question without an answer",
        f"{path}:5: an answer without a question",
        f"{path}:6: a question without an answer",
    ]


@pytest.mark.parametrize("between", ["\u2028", "\x0c", "\x85"])
def test_only_a_line_end_ends_a_line(tmp_path, between):
    """A separator that no editor shows as a line's end is text; an old Mac's line end is one."""
    path = tmp_path / "faq.txt"
    path.write_bytes(f"Q: a?\rA: b{between}Q: c\r\n\rQ: d?\nA: e\n".encode())

    assert list(questions.read(path)) == [
        (f"{path}:1", {"question": "a?", "answer": f"b{between}Q: c"}),
        (f"{path}:4", {"question": "d?", "answer": "e"}),
    ]


def test_a_long_line_is_read_once(tmp_path):
    """A pattern that tries every way to part blanks would not end before the timeout."""
    path = tmp_path / "faq.txt"
    path.write_text(f"Q{' ' * 200_000}x\nQ1{' ' * 200_000}**\nQ: a?\nA: b\n")

    assert [value for _, value in questions.read(path)] == [{"question": "a?", "answer": "b"}]


def test_a_text_that_rows_refuse_is_refused(tmp_path):
    """U+0000 is told by its line, as in any data file, and not only once the persona is built."""
    path = tmp_path / "faq.txt"
    path.write_text("Q: a?\nA: b\0\n")

    with pytest.raises(DataError, match=r"faq\.txt:1: contains the character U\+0000"):
        sources.read(path)
