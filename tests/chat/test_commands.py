"""The commands of a conversation."""

import json
from pathlib import Path

import pytest

from builder.chat import commands
from builder.data import rows
from builder.errors import PersonaError
from builder.manifest.manifest import Data
from builder.terminal.console import Console

ASKED = {"role": "user", "content": "Name a fruit."}
ANSWERED = {"role": "assistant", "content": "An apple."}


def run(conversation, line):
    """Run a command, and write where the test is listening."""
    conversation.console = Console()
    commands.run(conversation, line)


def test_every_command_is_helped(conversation, capsys):
    """`/?` and `/help` name each command that there is, and Ctrl-C."""
    run(conversation, "/?")
    first = capsys.readouterr().out
    run(conversation, "/help")

    assert capsys.readouterr().out == first
    for name in ("/set system", "/set parameter", "/show", "/clear", "/save", "/bye", "Ctrl-C"):
        assert name in first


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/clera", "did you mean '/clear'?"),
        ("/etc/passwd says?", "there is no command '/etc/passwd', expected one of /?, /help"),
        ("/\x1b[2J", "\\\\x1b"),
        ("/show", "/show takes one of info, modelfile, system, parameters, not ''"),
        ("/show licence", "not 'licence'"),
        ("/set", "/set takes system TEXT or parameter NAME VALUE, not ''"),
        ("/set temperature 1", "not 'temperature'"),
        ("/set parameter", "'' is not a parameter here, expected one of temperature"),
        ("/set parameter temprature 1", "did you mean 'temperature'?"),
        ("/set parameter num_ctx 1", "'num_ctx' is not a parameter here"),
        ("/set parameter temperature hot", "is 'hot', expected a number"),
        ("/set parameter temperature -1", "is '-1', expected at least 0"),
        ("/set parameter temperature nan", "is 'nan', expected a finite number"),
        ("/set parameter top_p inf", "is 'inf', expected a finite number"),
        ("/set parameter seed 1.5", "is '1.5', expected a whole number"),
        ("/set parameter num_predict 9999999999999", "expected at most 1048576"),
        ("/save", "names no file of rows, expected a name that ends with .jsonl"),
        ("/save persona.toml", "'persona.toml' names no file of rows"),
        ("/save x\0.jsonl", "'x\\x00.jsonl': holds a null character, expected a path"),
        ("/save no/such/folder.jsonl", "No such file or directory, expected to write it"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(conversation, line, said):
    """Each mistake is one error of one sentence, and changes nothing."""
    conversation.speakers[0].turns += [dict(ASKED), dict(ANSWERED)]
    before = dict(conversation.settings.parameters)

    with pytest.raises(PersonaError) as told:
        run(conversation, line)

    assert said in str(told.value)
    assert len(str(told.value).splitlines()) == 1
    assert conversation.settings.parameters == before
    assert sorted(Path().glob("*.jsonl")) == []


def test_a_parameter_changes_what_is_answered_with(conversation, capsys):
    """Without a temperature the likeliest token is taken; one that is set is sampled with."""
    assert conversation.settings.sampling is None
    run(conversation, "/set parameter temperature 0.5")
    run(conversation, "/set parameter seed 7")
    run(conversation, "/set parameter num_predict 12")

    sampling = conversation.settings.sampling
    assert (sampling["temperature"], sampling["seed"], sampling["top_k"]) == (0.5, 7, 40)
    assert conversation.settings.limit_tokens == 12
    first, second = ("".join(_answer(conversation)) for _ in range(2))
    assert first == second
    capsys.readouterr()
    run(conversation, "/show parameters")
    shown = capsys.readouterr().out
    assert "temperature     0.5  (served: 0.2)\n" in shown
    assert "num_predict     12  (served: 40)\n" in shown
    assert "top_k           40\n" in shown


def _answer(conversation):
    conversation.speakers[0].turns.clear()
    return conversation.speakers[0].answer("Tell me about birds.", conversation.settings)


def test_an_answer_without_a_limit_has_half_of_the_context(conversation):
    """`num_predict` of -1, or beyond the context, leaves the question its half."""
    for value in (-1, 100_000):
        run(conversation, f"/set parameter num_predict {value}")
        assert conversation.settings.limit_tokens == 2048


def test_the_system_text_is_set_shown_and_taken_away(conversation, capsys):
    """`/set system` puts a text before the conversation; without one there is none."""
    run(conversation, "/set system You are a pirate.\nBe brief.")
    run(conversation, "/show system")
    assert conversation.settings.system == "You are a pirate.\nBe brief."
    assert capsys.readouterr().out == "You are a pirate.\nBe brief.\n"
    run(conversation, "/set system")
    run(conversation, "/show system")
    assert conversation.settings.system is None
    assert capsys.readouterr().out == "no system text is set\n"


def test_the_file_and_its_modelfile_are_shown(conversation, capsys):
    """`/show info` tells base, file and context; `/show modelfile` what Ollama is told."""
    run(conversation, "/show info")
    info = capsys.readouterr().out
    assert "persona       luma, luma:latest in Ollama\n" in info
    assert "base          smollm2-135m-instruct\n" in info
    assert "architecture  llama\n" in info
    assert "context       8192 tokens\n" in info
    run(conversation, "/show modelfile")
    assert capsys.readouterr().out == "FROM ./model.gguf\n"
    conversation.modelfile.unlink()
    with pytest.raises(PersonaError, match="Modelfile: cannot be read"):
        run(conversation, "/show modelfile")


def test_clear_forgets_what_was_said(conversation):
    """After `/clear` nothing of the conversation is there; the system text stays."""
    conversation.settings.system = "Be brief."
    conversation.speakers[0].turns += [dict(ASKED), dict(ANSWERED)]

    run(conversation, "/clear")

    assert conversation.speakers[0].turns == []
    assert conversation.settings.system == "Be brief."


def test_a_saved_conversation_is_a_row_to_train_on(conversation, project):
    """`/save` adds a row that the data stage reads, after what the file holds already."""
    path = project / "said.jsonl"
    path.write_text('{"prompt": "Hi", "completion": "Hello."}')  # without an end of line
    conversation.speakers[0].turns += [dict(ASKED), dict(ANSWERED)]
    run(conversation, f"/save {path}")
    run(conversation, "/set system Be brief.")
    run(conversation, f"/save {path}")

    read = rows.read([path], Data(), None)

    assert [row.where for row in read] == [f"{path}:{line}" for line in (1, 2, 3)]
    assert read[1].messages == [ASKED, ANSWERED]
    assert read[2].messages == [{"role": "system", "content": "Be brief."}, ASKED, ANSWERED]


def test_a_served_system_text_is_no_part_of_the_row(conversation, project):
    """The build puts it before the rows by itself; a row of its own would keep it from that."""
    conversation.served = conversation.served.__class__(
        **{**vars(conversation.served), "system": "Be brief."}
    )
    conversation.settings.system = "Be brief."
    conversation.speakers[0].turns += [dict(ASKED), dict(ANSWERED)]

    run(conversation, f"/save {project / 'said.jsonl'}")

    assert json.loads((project / "said.jsonl").read_text())["messages"] == [ASKED, ANSWERED]


@pytest.mark.timeout(60)
def test_a_device_is_no_place_for_a_row(conversation, project):
    """What has no end is not read to its end."""
    (project / "said.jsonl").symlink_to("/dev/zero")
    conversation.speakers[0].turns += [dict(ASKED), dict(ANSWERED)]

    with pytest.raises(PersonaError, match=r"said\.jsonl: is a pipe, a socket or a device"):
        run(conversation, f"/save {project / 'said.jsonl'}")


def test_nothing_said_is_nothing_saved(conversation, project):
    """Before the first answer there is no row, and no file is made."""
    with pytest.raises(PersonaError, match="nothing was said yet"):
        run(conversation, "/save said.jsonl")
    assert not (project / "said.jsonl").exists()
