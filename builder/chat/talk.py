"""The conversation: reads questions and writes answers until the user leaves."""

from __future__ import annotations

import contextlib

from builder.bases import baseline
from builder.chat import columns, commands, reading
from builder.chat.commands import Conversation
from builder.chat.speaker import Speaker, begin
from builder.data import dataset
from builder.errors import PersonaError
from builder.escapes import escape
from builder.llama import Model
from builder.project import Build
from builder.terminal.console import Console

BYE = "/bye"


def talk(build: Build, *, question: str | None, is_beside: bool, console: Console) -> None:
    """Answer one question, or a whole conversation.

    Args:
        build: A build with a finished file, which may be refused.
        question: The only question; None reads from standard input.
        is_beside: Whether the base answers too.
        console: The console.

    Raises:
        PersonaError: The file cannot be loaded, or the only question is too long.

    """
    served, base = build.decide_served(), build.read_base()
    speakers = [Speaker(name=build.name, model=Model(build.gguf))]
    if is_beside:
        speakers += _find_base(build, console)
    conversation = Conversation(
        settings=begin(served),
        speakers=speakers,
        served=served,
        modelfile=build.modelfile,
        gguf=build.gguf,
        base_name=base.source,
        console=console,
    )
    if question is None:
        converse(conversation, reading.open_lines(console))
    else:
        answer(conversation, question)


def _find_base(build: Build, console: Console) -> list[Speaker]:
    """Load the base's GGUF; if it was never made on this machine, say so and return none."""
    base = build.read_base()
    path = baseline.find(base)
    if path is None:
        where = baseline.cache_path(base)
        why = f"the base's own file is not here ({where}); a build on a CPU makes it"
        console.notes([f"{why}. {build.name} answers alone"])
        return []
    template = (build.dataset / dataset.TEMPLATE).read_text("utf-8")
    return [Speaker(name=base.source, model=Model(path, template))]


def converse(conversation: Conversation, lines: reading.Lines) -> None:
    """Answer questions and run commands until the user leaves."""
    console = conversation.console
    name = conversation.speakers[0].name
    console.notes([f"talking to {name}; /? lists the commands, {reading.LEAVE}"])
    for typed in reading.listen(lines, console):
        if typed.is_command and typed.text.lower() == BYE:
            return
        try:
            if typed.is_command:
                commands.run(conversation, typed.text)
            else:
                answer(conversation, typed.text)
        except PersonaError as error:
            console.error(error)
        except KeyboardInterrupt:
            if not lines.is_terminal:
                raise


def answer(conversation: Conversation, question: str) -> None:
    """Write the answers of all speakers, side by side if they fit, or else one below the other.

    Raises:
        PersonaError: The question is too long.
        KeyboardInterrupt: Ctrl-C was typed; the answers so far are kept.

    """
    speakers, console = conversation.speakers, conversation.console
    with contextlib.ExitStack() as stack:
        answers = [
            stack.enter_context(contextlib.closing(one.answer(question, conversation.settings)))
            for one in speakers
        ]
        width = columns.find_width(len(speakers), console) if len(speakers) > 1 else None
        if width is not None:
            columns.write([one.name for one in speakers], answers, width, console)
            return
        for speaker, pieces in zip(speakers, answers, strict=True):
            if len(speakers) > 1:
                console.result(f"{escape(speaker.name)}:")
            try:
                for piece in pieces:
                    console.result(escape(piece, keep="\t\n"), end="")
            finally:
                console.result("")
