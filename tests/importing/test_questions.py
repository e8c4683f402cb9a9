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
