"""Files and folders as people have them, read into conversations."""

import json
import os

import pytest

from builder import persona, scaffold
from builder.data import rows
from builder.errors import DataError
from builder.importing import sources

ASKED = {"role": "user", "content": "Who pays?"}
ANSWERED = {"role": "assistant", "content": "The customer pays."}
PAIR = [ASKED, ANSWERED]
CHATML = (
    "<|im_start|>user\nWho pays?<|im_end|>\n<|im_start|>assistant\nThe customer pays.<|im_end|>\n"
)
CALL = {"id": "1", "type": "function", "function": {"name": "now", "arguments": "{}"}}


def write_jsonl(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def read_one(path):
    (messages,) = sources.read(path).conversations
    return messages


def check_that_it_trains(project, imported):
    """Write what was imported into a persona, and read it as the data stage does."""
    draft = scaffold.Draft(
        folder=project / "personas" / "nova",
        title=None,
        author=None,
        languages=[],
        rows=[{"messages": messages} for messages in imported.conversations],
    )
    scaffold.create(draft)
    read = persona.read(draft.folder)
    found = rows.read(read.data_files, read.manifest.data, read.manifest.identity)
    assert [row.messages for row in found] == imported.conversations


@pytest.mark.parametrize(
    "record",
    [
        {"messages": PAIR},
        {"messages": [ASKED, {**ANSWERED, "tool_calls": None}], "source": "x", "score": 1},
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Who pays?"}]},
                ANSWERED,
            ]
        },
        {
            "conversations": [
                {"from": "human", "value": "Who pays?"},
                {"from": "gpt", "value": "The customer pays."},
            ]
        },
        {"instruction": "Who pays?", "input": "", "output": "The customer pays."},
        {"instruction": "Who", "input": "pays?", "output": "The customer pays.", "text": "x"},
        {"prompt": "Who pays?", "completion": " The customer pays.\n"},
        {"Question": "Who pays?", "Answer": "The customer pays.", "id": 7},
        {"问题": "Who pays?", "回答": "The customer pays."},
        {"text": CHATML},
    ],
    ids="+".join,
)
@pytest.mark.parametrize("ending", [".jsonl", ".json"])
def test_a_record_of_any_layout_is_a_conversation(tmp_path, record, ending):
    """Messages, ShareGPT, Alpaca, pairs of many names and ChatML text give the same messages."""
    path = tmp_path / f"data{ending}"
    path.write_text(json.dumps([record] if ending == ".json" else record), "utf-8")
    messages = read_one(path)

    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert messages[0]["content"].split() == ["Who", "pays?"]
    assert messages[1]["content"] == "The customer pays."


def test_system_texts_and_turns_stay(project):
    """Several turns stay in order, the system text before them; a later system text is counted."""
    late = {"role": "system", "content": "Now rhyme."}
    system = {"role": "system", "content": "Be brief."}
    source = write_jsonl(
        project / "data.jsonl",
        {"messages": [system, *PAIR, late, {**ASKED, "content": "When?"}, ANSWERED]},
        {
            "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}],
            "system": "C",
        },
    )
    imported = sources.read(source)

    assert [message["content"] for message in imported.conversations[0]] == [
        "Be brief.",
        "Who pays?",
        "The customer pays.",
        "When?",
        "The customer pays.",
    ]
    assert imported.conversations[1][0] == {"role": "system", "content": "C"}
    assert imported.cut == {"system messages": 1}
    check_that_it_trains(project, imported)


@pytest.mark.parametrize(
    "turns",
    [
        [{"role": "assistant", "content": "Let me look.", "tool_calls": [CALL]}, ANSWERED],
        [{"role": "tool", "tool_call_id": "1", "content": "noon"}, ANSWERED],
        [{"role": "assistant", "content": None, "function_call": CALL}],
    ],
)
def test_conversations_with_tools_are_left_out_and_counted(tmp_path, turns):
    """An answer whose call and result are not there would teach to guess."""
    other = [{"role": "user", "content": "And then?"}, ANSWERED]
    source = write_jsonl(
        tmp_path / "data.jsonl", {"messages": [ASKED, *turns]}, {"messages": other}
    )
    imported = sources.read(source)

    assert imported.conversations == [other]
    assert imported.left_out == {"conversations with calls of tools": 1}
    assert imported.cut == {}


LATER = {"role": "user", "content": "What time is it?"}
LOOKING = {"type": "text", "text": "Let me look."}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}
TOOL_CUT = "answers that used a tool, and what follows them"
PART_CUT = "messages with images or other parts, and what follows them"


@pytest.mark.parametrize(
    ("turns", "cut"),
    [
        ([LATER, {"role": "assistant", "content": None, "tool_calls": [CALL]}], TOOL_CUT),
        ([LATER, {"role": "assistant", "content": [LOOKING, {"type": "tool_use"}]}], TOOL_CUT),
        ([LATER, {"role": "tool", "content": "noon"}, ANSWERED, LATER, ANSWERED], TOOL_CUT),
        ([LATER, {"role": "assistant", "content": [LOOKING, IMAGE]}, LATER, ANSWERED], PART_CUT),
        ([{"role": "user", "content": [IMAGE, LOOKING]}, ANSWERED, LATER, ANSWERED], PART_CUT),
    ],
)
def test_a_conversation_is_taken_up_to_what_the_model_would_not_see(tmp_path, turns, cut):
    """What comes before the first call or image is whole, whatever the format."""
    source = write_jsonl(tmp_path / "data.jsonl", {"messages": [*PAIR, *turns]})
    imported = sources.read(source)

    assert imported.conversations == [PAIR]
    assert imported.left_out == {}
    assert imported.cut[cut] == 1
    assert set(imported.cut) <= {cut, "messages at an end without an answer"}


@pytest.mark.parametrize("kind", ["thinking", "redacted_thinking", "reasoning"])
def test_thoughts_among_the_parts_of_an_answer_are_left_out(tmp_path, kind):
    """The answer beside them is whole."""
    parts = [{"type": kind, "thinking": "Hm."}, {"type": "text", "text": ANSWERED["content"]}]
    answer = {"role": "assistant", "content": parts}
    imported = sources.read(write_jsonl(tmp_path / "data.jsonl", {"messages": [ASKED, answer]}))

    assert imported.conversations == [PAIR]
    assert imported.cut == {"thoughts": 1}


def test_each_record_counts_once(tmp_path):
    """What is a row, a duplicate or empty is told under that head alone, whatever it lacks too."""
    cut = [*PAIR, {**ASKED, "content": "And then?"}]
    source = write_jsonl(
        tmp_path / "data.jsonl",
        {"messages": cut},
        {"messages": [*cut, {**ASKED, "content": "And now?"}]},
        {"messages": [ASKED, {"role": "tool", "content": "noon"}]},
        {"messages": [{"role": "system", "content": "Be brief."}, *PAIR[1:]]},
    )
    imported = sources.read(source)

    assert imported.conversations == [PAIR]
    assert imported.left_out == {
        "duplicates": 1,
        "conversations with calls of tools": 1,
        "records without a question or an answer": 1,
    }
    assert imported.cut == {"messages at an end without an answer": 1}
    assert imported.formats.total() == 1 + imported.left_out.total()


@pytest.mark.parametrize(
    ("records", "keys"),
    [
        ([{"Question": "Who pays?", "Answer": "You.", "Topic": "money", "note": ""}], ["Topic"]),
        ([{"prompt": "Who?", "completion": "You.", "answer": "Me.", "id": 0}], ["answer", "id"]),
        ([{"instruction": "Who?", "input": "pays", "output": "You.", "system": "Be brief."}], []),
        ([{"messages": PAIR, "tools": [], "score": 1}, {"messages": [], "lang": "en"}], ["score"]),
        ([{"conversations": [], "messages": PAIR, "source": "x"}], ["source"]),
        ([{"text": CHATML, "label": "a"}], ["label"]),
    ],
)
def test_what_is_not_taken_of_each_record_is_named(tmp_path, records, keys):
    """Keys that hold something and are not read are named once; blank ones lose nothing."""
    assert sources.read(write_jsonl(tmp_path / "data.jsonl", *records)).keys == keys


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_the_same_mistake_in_many_records_is_told_once(tmp_path, ending):
    """A table of other columns is one sentence, with its first place; other mistakes follow."""
    path = tmp_path / f"data{ending}"
    if ending == ".csv":
        path.write_text("kind,note\n" + "a,b\n" * 1200, "utf-8")
    else:
        write_jsonl(path, *[{"kind": "a", "note": "b"}] * 1200)
    first = 2 if ending == ".csv" else 1

    with pytest.raises(DataError) as told:
        sources.read(path)
    (problem,) = told.value.problems
    assert problem.startswith(f"{path}:{first}: has the keys kind, note, expected")
    assert problem.endswith(" (and so in 1,199 more)")


def test_a_reply_that_shows_nothing_is_left_out(project):
    """A message of invisible characters alone is none: the data stage refuses it."""
    silent = [ASKED, {**ANSWERED, "content": "\u200b\u2060"}]
    imported = sources.read(
        write_jsonl(project / "a.jsonl", {"messages": PAIR}, {"messages": silent})
    )

    assert imported.conversations == [PAIR]
    assert imported.left_out["records without a question or an answer"] == 1


def test_duplicates_are_left_out_and_counted(project):
    """What is the same but for blanks around it is taken once: the data stage refuses it twice."""
    again = [ASKED, {**ANSWERED, "content": "The customer pays. "}]
    source = write_jsonl(
        project / "a.jsonl", {"messages": PAIR}, {"messages": again}, {"messages": PAIR}
    )
    imported = sources.read(source)

    assert imported.conversations == [PAIR]
    assert imported.left_out == {"duplicates": 2}
    check_that_it_trains(project, imported)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", [".csv", ".tsv"])
def test_a_table_may_have_any_delimiter_and_more_columns(project, delimiter, ending):
    """Commas, semicolons and tabs part fields; other columns are left out."""
    fields = [
        ["Nr", "Frage", "Thema", "Antwort"],
        ["1", '"Wer, wenn; wir\tzahlen?"', "Geld", '"Der Kunde.\nImmer."'],
        ["2", "Wann?", "", "None"],
        ["3", "Wo?", "", ""],
    ]
    path = project / f"data{ending}"
    path.write_text(
        "\ufeff" + "\r\n".join(map(delimiter.join, fields)) + "\r\n", "utf-8", newline=""
    )
    imported = sources.read(path)

    assert imported.conversations == [
        [
            {"role": "user", "content": "Wer, wenn; wir\tzahlen?"},
            {"role": "assistant", "content": "Der Kunde.\nImmer."},
        ],
        [{"role": "user", "content": "Wann?"}, {"role": "assistant", "content": "None"}],
    ]
    assert imported.left_out["records without a question or an answer"] == 1
    check_that_it_trains(project, imported)


def test_a_data_sets_folder_is_read_by_its_training_split(project):
    """Parquet below data/ is read, metadata and other splits are not; nulls are empty."""
    from datasets import Dataset

    folder = project / "set" / "data"
    folder.mkdir(parents=True)
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    Dataset.from_list([{"messages": turns, "n": 1}, {"messages": PAIR, "n": None}]).to_parquet(
        str(folder / "train-00000-of-00001.parquet")
    )
    Dataset.from_list(
        [{"question": "a?", "answer": None}, {"question": "b?", "answer": "c"}]
    ).to_parquet(str(folder / "train-more.parquet"))
    write_jsonl(folder / "test.jsonl", {"prompt": "secret", "completion": "of the test"})
    (folder.parent / "dataset_infos.json").write_text("{}")
    (folder.parent / "README.md").write_text("# A set\n")
    imported = sources.read(folder.parent)

    assert imported.conversations == [
        turns,
        PAIR,
        [{"role": "user", "content": "b?"}, {"role": "assistant", "content": "c"}],
    ]
    assert imported.left_out["files of other splits than train"] == 1
    assert imported.formats == {"a list of turns": 2, "questions and answers": 2}
    check_that_it_trains(project, imported)


def test_a_data_set_that_was_saved_to_disk_is_read(project):
    """`datasets` writes Arrow files, a folder a split; a broken one is a sentence."""
    from datasets import Dataset, DatasetDict

    folder = project / "set"
    rows = Dataset.from_list([{"question": "Who pays?", "answer": "The customer pays.", "n": 1}])
    test = Dataset.from_list([{"question": "secret?", "answer": "of the test", "n": 1}])
    DatasetDict({"train": rows, "test": test}).save_to_disk(str(folder))
    imported = sources.read(folder)

    assert [[turn["content"] for turn in one] for one in imported.conversations] == [
        ["Who pays?", "The customer pays."]
    ]
    assert imported.left_out["files of other splits than train"] == 1
    (path,) = (folder / "train").glob("*.arrow")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=r"cannot be read .+ expected a parquet or Arrow table"):
        sources.read(folder)


def test_every_mistake_is_told_by_file_and_line(tmp_path):
    """Of several files each mistake is a sentence that begins with its place."""
    write_jsonl(
        tmp_path / "a.jsonl",
        {"messages": PAIR},
        {"messages": [{"role": "narrator", "content": "x"}]},
        {"foo": 1},
        [1],
        {"messages": [{"role": "user", "content": 7}]},
        {"messages": [{"role": ["user"], "content": "x"}]},
    )
    (tmp_path / "b.csv").write_text("prompt,completion\na,b\nc\n")
    (tmp_path / "c.jsonl").write_text('{"prompt": "x"\n')
    with pytest.raises(DataError) as caught:
        sources.read(tmp_path)

    a, b, c = (tmp_path / name for name in ("a.jsonl", "b.csv", "c.jsonl"))
    starts = [
        f"{a}:2: turn 1 is by 'narrator', expected one of system, ",
        f"{a}:3: has the keys foo, expected messages, conversations, mapping, or one of prompt, ",
        f"{a}:4: is a list, expected an object",
        f"{a}:5: contains a message that is a number, expected text or parts",
        f"{a}:6: is not laid out as a list of turns, expected its keys and values",
        f"{b}:3: has 1 fields, expected 2 as in the header",
        f"{c}:1: column ",
    ]
    assert len(caught.value.problems) == len(starts)
    for problem, start in zip(caught.value.problems, starts, strict=True):
        assert problem.startswith(start)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("none.jsonl", None, "no such file or folder"),
        ("data.xlsx", "x", "is a .xlsx, expected .jsonl"),
        ("data.xlsx", "x", "or .parquet: save it as CSV in UTF-8"),
        ("chats.zip", "x", "or .parquet: unpack it, and give the file inside"),
        (
            "data.jsonl",
            '{"prompt": "a", "completion": " "}\n',
            "contains no question with an answer",
        ),
        ("notes.txt", "nothing here\n", "contains no question with an answer"),
        ("data.csv", b"\xe4;\xf6\n", "byte 0xe4 is not UTF-8"),
        ("data.csv", "prompt,note\na,b\n", ":2: has the keys note, prompt, expected"),
    ],
)
def test_what_holds_nothing_is_refused(tmp_path, name, text, said):
    """A path without conversations is one sentence with its place."""
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text.encode() if isinstance(text, str) else text)

    with pytest.raises(DataError, match=said) as caught:
        sources.read(path)
    assert str(caught.value).startswith(str(path))
    assert len(caught.value.problems) == 1


def test_a_folder_without_a_known_file_is_refused(tmp_path):
    """The endings that are read are named."""
    (tmp_path / "image.png").write_bytes(b"x")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "a.json").write_text("[]")

    with pytest.raises(
        DataError, match=r"contains no file of a known ending, expected .jsonl, .json"
    ):
        sources.read(tmp_path)


def test_a_folder_of_too_many_files_is_not_walked_to_its_end(tmp_path, monkeypatch):
    """`--from /` is one sentence: looking stops at a number of files; hidden ones are left out."""
    write_jsonl(tmp_path / "train.jsonl", {"messages": PAIR})
    hidden = tmp_path / ".git"
    hidden.mkdir()
    for at in range(20):
        (hidden / str(at)).touch()
    monkeypatch.setattr(sources, "MOST_FILES", 10)
    assert read_one(tmp_path) == PAIR

    far = tmp_path / "z"
    for at in range(20):
        (far / str(at)).mkdir(parents=True)
    looked_at = []
    walk = sources.os.walk
    monkeypatch.setattr(
        sources.os,
        "walk",
        lambda top, **_: (looked_at.append(one[0]) or one for one in walk(top)),
    )
    with pytest.raises(
        DataError, match="contains over 10 files, expected conversations alone"
    ) as told:
        sources.read(tmp_path)
    assert looked_at == [str(tmp_path), str(far)]
    assert told.value.hint == "give the file that they are in, or its folder"


def test_links_in_a_folder_that_lead_nowhere_are_left_out(tmp_path):
    """Broken links, and links to themselves, beside conversations do no harm."""
    write_jsonl(tmp_path / "a.jsonl", {"messages": PAIR})
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "gone")
    (tmp_path / "c.jsonl").symlink_to(tmp_path / "c.jsonl")

    assert read_one(tmp_path) == PAIR


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("D.CSV", "question,answer\nWho pays?,The customer pays.\n"),
        ("N.TXT", "Q: Who pays?\nA: The customer pays.\n"),
        ("N.Md", "Q: Who pays?\nA: The customer pays.\n"),
        ("R.JSONL", json.dumps({"messages": PAIR}) + "\n"),
    ],
)
def test_an_ending_may_be_in_capitals(tmp_path, name, text):
    """A file is read whatever its ending's letters, by itself and in a folder."""
    path = tmp_path / name
    path.write_text(text)

    assert read_one(path) == read_one(tmp_path) == PAIR


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (os.mkfifo, "is a pipe, a socket or a device, expected a file"),
        (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
        (lambda path: path.symlink_to("/dev/zero"), "is a pipe, a socket or a device"),
    ],
    ids=["pipe", "loop", "device"],
)
def test_what_is_there_and_is_no_file_is_told_as_such(tmp_path, make, told):
    """It is not said to be missing."""
    make(tmp_path / "d.jsonl")

    with pytest.raises(DataError, match=told):
        sources.read(tmp_path / "d.jsonl")


def test_a_folder_that_may_not_be_read_is_not_left_out(tmp_path, monkeypatch):
    """Conversations would be missing, and nobody would know."""
    write_jsonl(tmp_path / "a.jsonl", {"messages": PAIR})
    closed = tmp_path / "closed"
    closed.mkdir()
    scan = os.scandir

    def refuse(path):
        if os.fspath(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(closed))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match="closed: Permission denied, expected a folder that can be"):
        sources.read(tmp_path)


@pytest.mark.parametrize("keys", [{f"k{at}": 1 for at in range(20_000)}, {"k" * 100_000: 1}])
def test_many_and_long_keys_are_told_in_a_line(tmp_path, keys):
    """The first of them are named, each by its first characters."""
    write_jsonl(tmp_path / "a.jsonl", keys)

    with pytest.raises(DataError, match="has the keys k") as told:
        sources.read(tmp_path)
    assert len(str(told.value)) < 800


def test_an_answer_of_weight_0_is_not_trained_on(tmp_path):
    """OpenAI's format leaves such an answer out of training: here it would be trained on."""
    late = [*PAIR, {"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]
    for turns in (PAIR, late):
        weighted = [*turns[:-1], {**turns[-1], "weight": 0}]
        write_jsonl(tmp_path / f"{len(turns)}.jsonl", {"messages": weighted})
    first = [{**one, "weight": 1} if one["role"] == "assistant" else one for one in PAIR]
    write_jsonl(tmp_path / "train.jsonl", {"messages": first})
    assert read_one(tmp_path / "train.jsonl") == PAIR
    (tmp_path / "train.jsonl").unlink()

    found = sources.read(tmp_path)

    assert found.conversations == [PAIR]
    assert found.cut["answers of weight 0, and what follows them"] == 1
    assert found.left_out == {"conversations with answers of weight 0": 1}
