"""ChatGPT's export: a tree of messages read as it was shown last."""

import json

import pytest

from builder.errors import DataError
from builder.importing import sources


def make_message(role, text, *, kind="text", recipient="all", **metadata):
    content = {"content_type": kind, "parts": [text]}
    return {
        "id": "m",
        "author": {"role": role, "name": None, "metadata": {}},
        "content": content,
        "recipient": recipient,
        "metadata": metadata,
    }


def make_conversation(*messages, current=None):
    """Make a chain of nodes from a root without a message."""
    names = ["root", *(f"n{number}" for number in range(len(messages)))]
    tree = {
        name: {
            "id": name,
            "message": message,
            "parent": parent,
            "children": [child] if child else [],
        }
        for name, message, parent, child in zip(
            names, [None, *messages], [None, *names], [*names[1:], None], strict=False
        )
    }
    return {"title": "Money", "mapping": tree, "current_node": current or names[-1]}


def read(tmp_path, *conversations):
    (tmp_path / "conversations.json").write_text(json.dumps(conversations), "utf-8")
    (tmp_path / "user.json").write_text("{}")
    (tmp_path / "chat.html").write_text("<html>")
    return sources.read(tmp_path)


def said(messages):
    return [(message["role"], message["content"]) for message in messages]


def test_the_branch_that_was_shown_last_is_read(tmp_path):
    """Of a question that was written anew the last version stays, from its root to its answer."""
    conversation = make_conversation(
        make_message("system", ""),
        make_message("user", "Who pays?"),
        make_message("assistant", "Nobody."),
    )
    tree = conversation["mapping"]
    tree["n0"]["children"].append("again")
    tree["again"] = {
        "message": make_message("user", "Who pays here?"),
        "parent": "n0",
        "children": ["end"],
    }
    tree["end"] = {
        "message": make_message("assistant", "You do."),
        "parent": "again",
        "children": [],
    }
    conversation["current_node"] = "end"
    imported = read(tmp_path, conversation)

    assert [said(messages) for messages in imported.conversations] == [
        [("user", "Who pays here?"), ("assistant", "You do.")]
    ]
    assert imported.left_out == {}
    del conversation["current_node"]
    assert read(tmp_path, conversation).conversations == imported.conversations
    conversation["current_node"] = "n2"
    assert said(read(tmp_path, conversation).conversations[0]) == [
        ("user", "Who pays?"),
        ("assistant", "Nobody."),
    ]


def test_tools_system_texts_and_thoughts_are_left_out_and_counted(tmp_path):
    """Only what people read stays, up to the first answer that used a tool."""
    imported = read(
        tmp_path,
        make_conversation(
            make_message("system", "You are ChatGPT."),
            make_message("user", "About me", kind="user_editable_context"),
            make_message("user", "Hi"),
            make_message("assistant", "Hm", kind="thoughts"),
            make_message("assistant", "Hello."),
            make_message("assistant", "What shall it be?\ue200cite\ue202turn0\ue201【3†source】"),
            make_message("user", "Plot 2+2."),
            make_message("assistant", "I will compute."),
            make_message("assistant", "print(2+2)", kind="code", recipient="python"),
            make_message("tool", "4", kind="execution_output"),
            make_message("assistant", "It is 4."),
            make_message("user", "Thanks"),
        ),
    )

    assert [said(messages) for messages in imported.conversations] == [
        [("user", "Hi"), ("assistant", "Hello.\n\nWhat shall it be?")]
    ]
    assert imported.cut == {
        "system messages": 2,
        "thoughts": 1,
        "answers that used a tool, and what follows them": 1,
        "messages at an end without an answer": 1,
    }


def test_a_conversation_that_begins_with_a_tool_is_left_out(tmp_path):
    """Nothing of it could be answered without the tool."""
    plain = make_conversation(make_message("user", "Hi"), make_message("assistant", "Hello."))
    with_tool = make_conversation(
        make_message("user", "What is in the news?"),
        make_message("assistant", "search()", kind="code", recipient="web"),
        make_message("assistant", "It rains."),
    )
    imported = read(tmp_path, plain, with_tool)

    assert [said(messages)[0] for messages in imported.conversations] == [("user", "Hi")]
    assert imported.left_out == {"conversations with calls of tools": 1}


def test_conversations_with_images_are_left_out_and_counted(tmp_path):
    """The answer is about what the model would not see."""
    shown = make_message("user", {"content_type": "image_asset_pointer"}, kind="multimodal_text")
    shown["content"]["parts"].append("What is this?")
    plain = make_conversation(make_message("user", "Hi"), make_message("assistant", "Hello."))
    imported = read(tmp_path, plain, make_conversation(shown, make_message("assistant", "A cat.")))

    assert [said(messages)[0] for messages in imported.conversations] == [("user", "Hi")]
    assert imported.left_out == {"conversations with images or other parts": 1}


@pytest.mark.parametrize(
    "recording", ["audio_asset_pointer", "real_time_user_audio_video_asset_pointer"]
)
def test_a_voice_message_is_read_from_its_transcript(tmp_path, recording):
    """A recording is skipped beside its transcript; without one, the conversation is left out."""
    spoken = make_message("user", {"content_type": recording}, kind="multimodal_text")
    unheard = make_conversation(spoken, make_message("assistant", "I hear you."))
    transcript = {"content_type": "audio_transcription", "text": "Hi", "direction": "in"}
    told = make_message("user", {"content_type": recording}, kind="multimodal_text")
    told["content"]["parts"].insert(0, transcript)
    imported = read(tmp_path, make_conversation(told, make_message("assistant", "Hello.")), unheard)

    assert [said(messages) for messages in imported.conversations] == [
        [("user", "Hi"), ("assistant", "Hello.")]
    ]
    assert imported.left_out == {"conversations with images or other parts": 1}


def test_an_export_in_several_files_is_read_whole(tmp_path):
    """conversations-000.json and its followers are one export, told as ChatGPT's."""
    for number in range(2):
        text = json.dumps(
            [
                make_conversation(
                    make_message("user", f"{number}?"), make_message("assistant", "Yes.")
                )
            ]
        )
        (tmp_path / f"conversations-00{number}.json").write_text(text)
    imported = sources.read(tmp_path)

    assert len(imported.conversations) == 2
    assert imported.formats == {"ChatGPT's export": 2}


def test_a_tree_that_goes_in_a_circle_ends(tmp_path):
    """A parent that is its own descendant is read once."""
    conversation = make_conversation(
        make_message("user", "Hi"), make_message("assistant", "Hello.")
    )
    conversation["mapping"]["root"]["parent"] = "n1"

    assert len(read(tmp_path, conversation).conversations) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mapping": []}, "'mapping' has no nodes"),
        ({"mapping": {"a": 1}}, "'mapping' has no nodes"),
        ({"current_node": ["n1"]}, "is not laid out as ChatGPT's export"),
        ({"mapping": {"a": {"message": {"author": "x"}}}}, "is not laid out as ChatGPT's export"),
        ({"mapping": {"a": {"message": {"content": "x"}}}}, "is not laid out as ChatGPT's export"),
    ],
)
def test_what_is_no_tree_is_told_by_its_row(tmp_path, change, said):
    """Another form than the export's is a sentence with the conversation's number."""
    conversation = make_conversation(make_message("user", "Hi"), make_message("assistant", "Ho"))

    with pytest.raises(DataError, match=f"conversations.json: row 1: {said}"):
        read(tmp_path, {**conversation, **change})


@pytest.mark.parametrize("text", ["【" * 100_000, "【" + "†" * 100_000, "\ue200" * 100_000])
def test_openings_of_references_that_never_end_are_read_once(tmp_path, text):
    """A pattern that goes on from each of them would not end before the timeout."""
    conversation = make_conversation(
        make_message("user", "Hi"), make_message("assistant", f"Ho{text}【4†source】.")
    )

    (messages,) = read(tmp_path, conversation).conversations
    assert messages[1]["content"] == f"Ho{text.strip(chr(0xE200))}."
