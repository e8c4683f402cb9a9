"""What a data file may hold."""

import json
import re

import pytest

from builder import persona
from builder.data import placeholders, rows
from builder.errors import DataError
from tests.conftest import rows_of


def read(folder, name, content, data=""):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "persona.toml").write_text(
        '[identity]\nname = "Luma"\nauthor = { en = "Ana", zh = "安娜" }\n'
        f'[data]\nfiles = ["{name}"]\n{data}'
    )
    return rows_of(persona.read(folder))


GOOD = {
    "alpaca": {"instruction": "Hi", "output": "Hello."},
    "sharegpt": {
        "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello."}]
    },
    "messages": {
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    },
    "prompt_completion": {"prompt": "Hi", "completion": "Hello."},
}


@pytest.mark.parametrize("name", GOOD)
def test_formats_are_told_apart(luma, name):
    """Each format is recognised by its keys and becomes the same messages."""
    (row,) = read(luma, "d.jsonl", json.dumps(GOOD[name]))

    assert row.messages == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
    ]


@pytest.mark.parametrize(("ending", "delimiter"), [("csv", ";"), ("tsv", "\t")])
def test_a_column_that_no_format_knows_is_left_out_and_named(luma, caplog, ending, delimiter):
    """A spreadsheet has columns of its own, whichever ending it is saved with; it is told once."""
    caplog.set_level("INFO", "builder")
    lines = (["prompt", "completion", "checked by"], ["Hi", "Hello.", "Ana"])
    (row,) = read(luma, f"d.{ending}", "\n".join(map(delimiter.join, lines)))

    assert [message["content"] for message in row.messages] == ["Hi", "Hello."]
    rows_of(persona.read(luma))
    assert caplog.text.count("separates its fields") == 1
    assert caplog.text.count("are left out: 'checked by'") == 1


@pytest.mark.parametrize("ending", ["csv", "parquet", "json"])
def test_tables_are_read_too(luma, ending):
    """csv, parquet and json give the same row."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    table, path = pa.Table.from_pylist([GOOD["alpaca"]]), luma / f"d.{ending}"
    if ending == "json":
        path.write_text(json.dumps([GOOD["alpaca"]]))
    else:
        (csv.write_csv if ending == "csv" else parquet.write_table)(table, str(path))

    (row,) = read(luma, path.name, path.read_bytes())

    assert row.messages[-1]["content"] == "Hello."


def test_placeholders_follow_the_language(luma):
    """A Chinese row gets the Chinese author."""
    (row,) = read(luma, "d.jsonl", '{"prompt": "谁做的？", "completion": "{{ author }}"}')

    assert row.messages[-1]["content"] == "安娜"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "column 2"),
        ('{"prompt": "Hi"}', "has the keys prompt"),
        ('{"prompt": "Hi", "completion": " "}', "the assistant's message is empty"),
        ('{"prompt": "Hi", "completion": "{{ nmae }}"}', "'{{ nmae }}' is not a placeholder"),
        ('{"messages": [{"role": "user", "content": "Hi"}]}', "the last message is the user's"),
        ('{"prompt": "Hi", "completion": "x", "colour": 1}', "unknown key 'colour'"),
        ("[]", "is a list, expected an object"),
        ('{"prompt": "' + "x" * (10 << 20) + '"}', "the line has 10,485,"),
    ],
)
def test_a_bad_row_is_told_by_its_line(luma, line, message):
    """Each kind of bad row is an error with path and line; good rows before it do not hide it."""
    good = json.dumps(GOOD["alpaca"])

    with pytest.raises(DataError) as caught:
        read(luma, "d.jsonl", "\n".join([good] * 16 + [line]))

    assert "d.jsonl:17: " in str(caught.value)
    assert message in str(caught.value)


MISSPELT = {"promt": "Hi", "completion": "Hello."}
EXTRA = {**GOOD["prompt_completion"], "sistem": "x"}


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([MISSPELT] * 150, ["1: has the keys completion, promt, ", "same in all 150 rows"]),
        ([EXTRA] * 150, ["1: unknown key 'sistem' in a row of ", "same in all 150 rows"]),
        (
            [GOOD["alpaca"], *[EXTRA] * 20],
            ["2: unknown key", "same in 20 of 21 rows (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …)"],
        ),
    ],
)
def test_a_mistake_that_many_rows_share_is_told_once(luma, lines, told):
    """One line says what is wrong, in how many rows, and what may have been meant."""
    with pytest.raises(DataError) as caught:
        read(luma, "d.jsonl", "\n".join(map(json.dumps, lines)))

    (problem,) = caught.value.problems
    assert f"d.jsonl:{told[0]}" in problem
    assert problem.endswith(told[1])
    assert re.search("did you mean '(prompt|system)'", problem)


def test_a_mistake_of_few_rows_is_told_by_each_line(luma):
    """Another mistake is not hidden by one that many rows share."""
    good = GOOD["prompt_completion"]
    lines = [good, {**good, "colour": 1}, *[MISSPELT] * 30, {**good, "colour": 1}, []]

    with pytest.raises(DataError) as caught:
        read(luma, "d.jsonl", "\n".join(map(json.dumps, lines)))

    places = [problem.partition("d.jsonl:")[2][:8] for problem in caught.value.problems]
    assert places == ["2: unkno", "3: has t", "33: unkn", "34: is a"]


def test_a_bom_is_nothing_and_utf16_is_an_error(luma):
    """A byte order mark is read over; another encoding is refused by name."""
    line = json.dumps(GOOD["alpaca"])

    assert len(read(luma, "d.jsonl", line.encode("utf-8-sig"))) == 1
    with pytest.raises(DataError, match=r"d\.jsonl:1: is UTF-16"):
        read(luma, "d.jsonl", line.encode("utf-16"))
    with pytest.raises(DataError, match="is not UTF-8"):
        read(luma, "d.jsonl", b'{"prompt": "\xff"}')


def test_a_csv_without_a_column_says_so(luma):
    """A csv that lacks a column is refused with the columns it has."""
    with pytest.raises(DataError, match=r"d\.csv:1: the header has the keys instruction, expected"):
        read(luma, "d.csv", "instruction\nHi\n")


@pytest.mark.parametrize(
    ("header", "advice"),
    [
        ("question,answer", "'prompt' by 'question' and 'completion' by 'answer'?"),
        ("Frage;Antwort", "'prompt' by 'Frage' and 'completion' by 'Antwort'?"),
        ("promt\tcompletion", "'prompt' by 'promt'?"),
        ("instruction,response", "'output' by 'response'?"),
        ("prompt,question", None),
        ("a lot of text,and more", None),
    ],
)
def test_an_unknown_header_is_told_once(luma, header, advice):
    """A table with other columns is one sentence, however many rows it has, with those meant."""
    delimiter = next(one for one in "\t;," if one in header)
    line = f'"Hi, you"{delimiter}Hello.\n'
    with pytest.raises(DataError) as told:
        read(luma, "d.csv", f"{header}\n{line * 30}")

    (problem,) = told.value.problems
    assert "d.csv:1: the header has the keys " in problem
    assert "prompt_completion: completion, prompt; alpaca: instruction, output" in problem
    assert problem.partition("; did you mean ")[2] == (advice or "")


def test_a_misspelt_key_is_told_with_the_one_that_was_meant(luma):
    """Rows of jsonl with other keys are told by their lines, with the keys that were meant."""
    row = '{"question": "Hi", "completion": "Hello."}\n'
    with pytest.raises(DataError) as told:
        read(luma, "d.jsonl", row * 2)

    assert len(told.value.problems) == 2
    assert str(told.value.problems[1]).endswith("; did you mean 'prompt' by 'question'?")


@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        ("d.jsonl", '{"prompt": "Hi"}\n{"prompt": "H\n[]\n', [1, 2, 3]),
        ("d.csv", "prompt,completion\nHi,\nHi,a,b\n,Hello.\n", [2, 3, 4]),
    ],
)
def test_broken_lines_hide_no_mistake_of_others(luma, name, content, places):
    """Lines that cannot be read and rows that are wrong are told together, in their order."""
    with pytest.raises(DataError) as told:
        read(luma, name, content)

    found = [int(problem.split(":")[1]) for problem in told.value.problems]
    assert found == places


def test_no_rows_is_an_error(luma):
    """An empty file is an error, and so is a missing one."""
    with pytest.raises(DataError, match="has no rows"):
        read(luma, "d.jsonl", "\n")
    (luma / "d.jsonl").unlink()
    with pytest.raises(DataError, match="no such file"):
        rows_of(persona.read(luma))


def contents(row):
    return [message["content"] for message in row.messages]


def turns_of(*messages):
    return json.dumps({"messages": list(messages)})


HI = {"role": "user", "content": "Hi"}
HELLO = {"role": "assistant", "content": "Hello."}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.jsonl", '{"instruction": "One\\ntwo:", "input": "three\\n\\nfour", "output": "a\\nb"}'),
        ("d.jsonl", '{"prompt": "One\\ntwo:\\nthree\\n\\nfour", "completion": "a\\nb"}'),
        ("d.csv", 'prompt,completion\n"One\ntwo:\nthree\n\nfour","a\nb"\n'),
        ("d.csv", 'instruction,input,output\n"One\ntwo:","three\n\nfour","a\nb"\n'),
        ("d.csv", 'instruction,input,output\n"One\ntwo:\nthree\n\nfour",,"a\nb"\n'),
        (
            "d.jsonl",
            turns_of(
                {"role": "user", "content": "One\ntwo:\nthree\n\nfour"},
                {"role": "assistant", "content": "a\nb"},
            ),
        ),
        (
            "d.jsonl",
            turns_of(
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "One\ntwo:"},
                        {"type": "text", "text": "three\n\nfour", "annotations": None},
                    ],
                },
                {"role": "assistant", "content": [{"type": "text", "text": "a\nb"}]},
            ),
        ),
    ],
)
def test_a_message_may_have_several_lines(luma, name, content):
    """Line ends are kept in every format; parts, and an alpaca's input, are joined by one."""
    (row,) = read(luma, name, content)

    assert contents(row) == ["One\ntwo:\nthree\n\nfour", "a\nb"]


def test_whoever_speaks_first_or_twice_is_kept(luma):
    """The order of turns is the file's, also where the assistant begins or a user goes on."""
    welcome = {"role": "assistant", "content": "Welcome!"}
    system = {"role": "system", "content": "Be brief."}
    lines = [turns_of(welcome, HI, HELLO), turns_of(system, welcome, HI, HI, HELLO)]

    first, second = read(luma, "d.jsonl", "\n".join(lines))

    assert first.messages == [welcome, HI, HELLO]
    assert second.messages == [system, welcome, HI, HI, HELLO]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            turns_of({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, HELLO),
            "part 1 of 'content' of turn 1 is of type 'image_url', expected parts of type 'text'",
        ),
        (
            turns_of(HI, {"role": "assistant", "content": [{"type": "text", "text": 4}]}),
            "part 1 of 'content' of turn 2 is a number, expected text",
        ),
        (
            turns_of({"role": "user", "content": ["Hi"]}, HELLO),
            "part 1 of 'content' of turn 1 is text, expected parts of type 'text'",
        ),
        (turns_of({"role": "user", "content": []}, HELLO), "the user's message is empty"),
        (turns_of({"role": "user", "content": ""}, HELLO), "the user's message is empty"),
        (turns_of(HI, {"role": "assistant", "content": None}), "'content' of turn 2 is null"),
        (turns_of(HI, {"role": "assistant", "content": {}}), "'content' of turn 2 is an object"),
        (turns_of({"role": ["user"], "content": "Hi"}, HELLO), "'role' of turn 1 is a list"),
        (turns_of(HI, {"role": "assistant"}), "turn 2 has no 'content', expected text"),
        (turns_of("Hi"), "turn 1 has no 'role' and 'content', expected both"),
        ('{"messages": "Hi"}', "has no turns, expected a list of them"),
        ('{"prompt": 4, "completion": "x"}', "'prompt' is a number, expected text"),
        ('{"prompt": ["Hi"], "completion": "x"}', "'prompt' is a list, expected text"),
        ('{"prompt": null, "completion": "x"}', "'prompt' is null, expected text"),
        ('{"prompt": true, "completion": "x"}', "'prompt' is a boolean, expected text"),
        ('{"prompt": "Hi", "completion": 0.5}', "'completion' is a number, expected text"),
        ('{"prompt": "Hi", "completion": null}', "'completion' is null, expected text"),
        ('{"prompt": "", "completion": "x"}', "the user's message is empty"),
        ('{"instruction": {}, "output": "x"}', "'instruction' is an object, expected text"),
        ('{"instruction": "Hi", "input": 0, "output": "x"}', "'input' is a number, expected"),
        ('{"instruction": "Hi", "input": [], "output": "x"}', "'input' is a list, expected"),
        ('{"prompt": "Hi", "completion": "x", "system": false}', "'system' is a boolean"),
        ('{"prompt": "Hi", "completion": "x", "language": ["en"]}', "'language' is a list"),
    ],
)
def test_what_is_no_text_is_refused(luma, line, message):
    """A value of another type or an image is one sentence, never its Python form."""
    with pytest.raises(DataError) as caught:
        read(luma, "d.jsonl", line)

    (problem,) = caught.value.problems
    assert f"d.jsonl:1: {message}" in problem


def test_an_optional_key_may_be_null_or_empty(luma):
    """Exporters write every key: an empty input, system or language is as if it were not there."""
    table = "instruction,input,output,system,language\nHi,,Hello.,,\n"
    line = dict.fromkeys(["input", "system", "language"]) | GOOD["alpaca"]
    calls = {**HELLO, "tool_calls": None, "function_call": None}

    found = [
        read(luma, "d.csv", table),
        read(luma, "d.jsonl", json.dumps(line)),
        read(luma, "d.jsonl", turns_of(HI, calls)),
    ]

    assert [[row.messages for row in part] for part in found] == [[[HI, HELLO]]] * 3


@pytest.mark.parametrize("said", ["{{ name }}", "{{name}}", "{{\tname  }}"])
def test_a_placeholder_is_filled_in(luma, said):
    """The name and the author stand wherever their braces do, however many blanks are in them."""
    line = {"prompt": said, "completion": f"{said}/{{{{ author }}}}."}

    (row,) = read(luma, "d.jsonl", json.dumps(line))

    assert contents(row) == ["Luma", "Luma/Ana."]


def test_a_row_is_no_program(luma):
    """What a template engine would run is text."""
    said = "{% for x in [1] %}{# no #}{% endfor %} }} { { name } }"

    (row,) = read(luma, "d.jsonl", json.dumps({"prompt": "Hi", "completion": said}))

    assert contents(row)[1] == said


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("{{ nmae }}", "'{{ nmae }}'"),
        ("{{ name | upper }}", "'{{ name | upper }}'"),
        ("{{ 1 + 1 }}", "'{{ 1 + 1 }}'"),
        ("{{ name.__class__ }}", "'{{ name.__class__ }}'"),
        ("{{ Name }}", "'{{ Name }}'"),
        ("{{ name", "'{{ name'"),
        ("{{ name }", "'{{ name }'"),
        ("$x^{{2}}$", "'{{2}}'"),
        ("{{" + " " * 100_000 + "x", "'{{   "),
    ],
)
def test_another_placeholder_is_refused(luma, said, shown):
    """Two braces that hold neither name are a sentence that says how to keep them as text."""
    with pytest.raises(DataError) as caught:
        read(luma, "d.jsonl", json.dumps({"prompt": "Hi", "completion": f"I am {said}"}))

    assert f"d.jsonl:1: {shown}" in str(caught.value)
    assert "data.placeholders = false" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_braces_may_be_text(luma):
    """With data.placeholders = false nothing between braces is read."""
    said = "{{ name }}, \\frac{{a}}{b}, {{ item.title | upper }}, {{"
    line = json.dumps({"prompt": "Hi", "completion": said})

    (row,) = read(luma, "d.jsonl", line, "placeholders = false\n")

    assert contents(row)[1] == said


def test_a_placeholder_without_a_value_says_which():
    """A persona without an author has nothing to fill in for one."""
    sentence = "`{{ author }}` stands for identity.author, which persona.toml does not give"

    assert placeholders.fill("{{ name }} is here", {"name": "Luma"}) == "Luma is here"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        placeholders.fill("by {{ author }}", {"name": "Luma"})


@pytest.mark.parametrize(
    ("given", "texts", "language"),
    [
        ("", ["Hi", "Hello."], "en"),
        ("", ["你是谁？", "{{ name }}"], "zh"),
        ("", ["Say hello in Chinese.", "你好"], "zh"),
        ("", ["元気ですか", "はい"], "en"),
        ("", ["漢字", "한국어"], "en"),
        ("zh", ["Hi", "Hello."], "zh"),
        ("en", ["你是谁？", "我"], "en"),
        ("fr", ["Salut", "你好"], "fr"),
    ],
)
def test_the_language_of_a_row(given, texts, language):
    """Its own key decides, then Chinese characters without kana and hangul; all else is English."""
    messages = [{"role": "user", "content": text} for text in texts]

    assert rows.choose_language(given, messages) == language


def test_a_language_without_a_text_takes_the_first(luma):
    """A row in a language that the identity has no text for takes the first one given."""
    line = {"prompt": "Qui ?", "completion": "{{ author }}", "language": "fr"}

    (row,) = read(luma, "d.jsonl", json.dumps(line))

    assert contents(row)[1] == "Ana"
