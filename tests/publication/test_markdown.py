"""Text in Markdown stays text."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from builder.escapes import escape
from builder.publication import markdown

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
# What means something to Markdown, to HTML, to KaTeX or to a terminal, and what ends a line.
PIECES = st.one_of(
    st.sampled_from(
        [
            *("`", "```", "~~~", "---", "\n", "\r\n", "\t", "    ", "|", "\\", "\\(", "$$", "# "),
            *("<b>", "<!--", "-->", "<script>", "&lt;", "[a](b)", "![a](b)", "* ", "1. ", "> "),
            *("http://a.b", "www.a.b", "a@b.c", "\x1b[31m", "\x00", "\x01", "\u2028", "**", "__"),
        ]
    ),
    st.text(max_size=5),
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)


def list_kinds(text):
    """List the kinds of everything that Markdown finds in a text."""
    kinds = []
    for token in READER.parse(text):
        kinds.append(token.type)
        kinds += [child.type for child in token.children or ()]
    return kinds


def read(token):
    """Give the characters that a reader sees of a line."""
    return "".join(
        child.content for child in token.children if child.type not in ("html_inline", "softbreak")
    )


@given(TEXTS)
def test_a_text_in_a_line_is_shown_and_means_nothing(text):
    """A reader sees every character; there is no markup but a comment that shows nothing."""
    (start, line, end) = READER.parse(f"is {markdown.inline(text)}.")

    assert (start.type, end.type) == ("paragraph_open", "paragraph_close")
    assert read(line) == f"is {escape(' '.join(text.split()))}."
    marked = [child for child in line.children if child.type not in ("text", "text_special")]
    assert all(child.content == markdown.NOTHING for child in marked)


@given(TEXTS, TEXTS)
def test_cells_stay_in_their_row(first, second):
    """A table of hostile cells has as many cells as were written, one row, and nothing after it."""
    table = f"| a | b |\n|---|---|\n| {markdown.cell(first)} | {markdown.cell(second)} |\n"
    kinds, read_cells = (
        list_kinds(table),
        [read(token) for token in READER.parse(table) if token.type == "inline"],
    )

    expected = [
        "".join(escape(" ".join(line.split())) for line in text.strip().splitlines())
        for text in (first, second)
    ]
    assert [cell.strip() for cell in read_cells[2:]] == [one.strip() for one in expected]
    assert kinds.count("td_open") == 2
    assert kinds.count("table_open") == 1
    assert kinds[-1] == "table_close"
    assert not {"link_open", "image", "em_open", "strong_open", "code_inline"} & {*kinds}


@given(TEXTS)
def test_a_block_ends_where_it_should(text):
    """Whatever fences a text holds, it is one block, and what follows is read as Markdown."""
    block, *rest = READER.parse(f"{markdown.fence(text)}\n\n# after\n")

    assert block.type == "fence"
    assert block.info == ""
    assert block.content.rstrip("\n") == escape(text.strip("\n"), keep="\t\n").rstrip("\n")
    assert [token.type for token in rest] == ["heading_open", "inline", "heading_close"]


@given(TEXTS)
def test_code_in_a_line_is_one_piece(text):
    """Back-ticks in it end nothing, and a bar makes no cell."""
    line = READER.parse(f"| a |\n|---|\n| is {markdown.code(f'x{text}')} |\n")
    (cell,) = [token for token in line if token.type == "inline" and "is" in token.content]

    assert [child.type for child in cell.children if child.content] == ["text", "code_inline"]


@pytest.mark.parametrize("text", [r"\(x\)", r"\\(x\\)", "$$x$$", r"\[x\]"])
def test_no_formula_is_set(text):
    """The hub sets formulas before it reads Markdown: none of their marks is left."""
    written = markdown.inline(text)

    assert "$$" not in written
    assert r"\\(" not in written
    assert html.unescape(written).replace("\\$", "$").count("x") == 1


@pytest.mark.parametrize("text", ["see http://a.b", "see WWW.a.b", "write to ana@a.b"])
def test_no_address_becomes_a_link(text):
    """GitHub's Markdown links addresses without any markup: they are broken by a comment."""
    assert markdown.NOTHING in markdown.inline(text)
