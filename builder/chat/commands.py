"""The commands in a conversation, the same as in `ollama run`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from builder.chat import saving
from builder.chat.speaker import Settings, Speaker
from builder.errors import PersonaError
from builder.escapes import escape
from builder.gguf.quantisation import QUANTISATIONS
from builder.manifest.ollama import Parameters
from builder.ollama.served import Served
from builder.tables import describe_rule
from builder.terminal.console import Console
from builder.words import suggest

HELP = (
    ("/set system TEXT", "put another system text before the conversation; none with no TEXT"),
    ("/set parameter NAME VALUE", "answer with another parameter"),
    ("/show info", "the file and its base"),
    ("/show modelfile", "what Ollama is told"),
    ("/show system", "the system text"),
    ("/show parameters", "the parameters, and what is served"),
    ("/clear", "forget the conversation"),
    ("/save FILE", "add the conversation to a jsonl file, as a row to train on"),
    ("/?, /help", "this list"),
    ("/bye", "end; so does Ctrl-D"),
    ('"""', "begin and end a text of several lines"),
    ("Ctrl-C", "stop an answer"),
)
# The parameters of llama.cpp's sampler.
PARAMETERS = (
    "temperature",
    "num_predict",
    "seed",
    "top_p",
    "top_k",
    "min_p",
    "repeat_penalty",
)


@dataclass(kw_only=True)
class Conversation:
    """A conversation, with its console and build."""

    settings: Settings
    speakers: list[Speaker]
    """The persona, and its base with --beside."""
    served: Served
    modelfile: Path
    gguf: Path
    base_name: str
    console: Console


def run(conversation: Conversation, line: str) -> None:
    """Run one command.

    Raises:
        PersonaError: There is no such command, or it fails.

    """
    name, _, rest = line.partition(" ")
    command = _COMMANDS.get(name.lower())
    if command is None:
        shown = f"{escape(name)[:40]!r}"
        msg = f"there is no command {shown}, expected one of {', '.join(_COMMANDS)}"
        raise PersonaError(f"{msg}{suggest(name, _COMMANDS)}")
    command(conversation, rest.strip())


def _help(conversation: Conversation, _rest: str) -> None:
    width = max(len(typed) for typed, _ in HELP)
    for typed, meaning in HELP:
        conversation.console.result(f"{typed:<{width}}  {meaning}")


def _clear(conversation: Conversation, _rest: str) -> None:
    for speaker in conversation.speakers:
        speaker.turns.clear()
    conversation.console.notes(["the conversation is forgotten"])


def _set(conversation: Conversation, rest: str) -> None:
    what, _, value = rest.partition(" ")
    if what == "system":
        system = value.strip()
        conversation.settings.system = system or None
        conversation.console.notes(
            ["the system text is set" if system else "no system text is set"]
        )
        return
    if what == "parameter":
        name, _, text = value.strip().partition(" ")
        conversation.settings.parameters[name] = read_parameter(name, text.strip())
        conversation.console.notes([f"{name} is {conversation.settings.parameters[name]:g}"])
        return
    msg = f"/set takes system TEXT or parameter NAME VALUE, not {escape(what)[:40]!r}"
    raise PersonaError(msg)


def read_parameter(name: str, text: str) -> int | float:
    """Read the value of a parameter.

    Raises:
        PersonaError: There is no such parameter, or the value is not valid.

    """
    if name not in PARAMETERS:
        known = ", ".join(PARAMETERS)
        msg = f"{escape(name)[:40]!r} is not a parameter here, expected one of {known}"
        raise PersonaError(f"{msg}{suggest(name, PARAMETERS)}")
    try:
        read = Parameters.model_validate({name: text}, strict=False)
    except ValidationError as error:
        rule = describe_rule(error.errors(include_url=False)[0])
        raise PersonaError(f"{name}: is {escape(text)[:40]!r}, expected {rule}") from None
    value: int | float = getattr(read, name)
    return value


def _show(conversation: Conversation, rest: str) -> None:
    shows: dict[str, Callable[[Conversation], Iterator[str]]] = {
        "info": _tell_info,
        "modelfile": _tell_modelfile,
        "system": _tell_system,
        "parameters": _tell_parameters,
    }
    if rest not in shows:
        msg = f"/show takes one of {', '.join(shows)}, not {escape(rest)[:40]!r}"
        raise PersonaError(msg)
    for line in shows[rest](conversation):
        conversation.console.result(escape(line))


def _tell_info(conversation: Conversation) -> Iterator[str]:
    persona = conversation.speakers[0]
    facts, gguf = persona.model.facts, conversation.gguf
    size = f"{gguf.stat().st_size / 1e9:.2f} GB"
    types = {str(known.file_type): known.name for known in QUANTISATIONS}
    architecture = facts.get("general.architecture", "unknown")
    yield f"persona       {persona.name}, {conversation.served.model} in Ollama"
    yield f"base          {conversation.base_name}"
    yield f"file          {gguf}, {size}"
    yield f"architecture  {architecture}"
    yield f"quantisation  {types.get(facts.get('general.file_type', ''), 'unknown')}"
    yield f"context       {facts.get(f'{architecture}.context_length', 'unknown')} tokens"
    yield f"said so far   {len(persona.turns)} messages"


def _tell_modelfile(conversation: Conversation) -> Iterator[str]:
    try:
        yield from conversation.modelfile.read_text("utf-8").splitlines()
    except (OSError, ValueError):
        msg = f"{conversation.modelfile}: cannot be read, expected a finished build's"
        raise PersonaError(msg) from None


def _tell_system(conversation: Conversation) -> Iterator[str]:
    yield from (conversation.settings.system or "no system text is set").split("\n")


def _tell_parameters(conversation: Conversation) -> Iterator[str]:
    served = conversation.served.parameters
    for name in PARAMETERS:
        value = conversation.settings.parameters[name]
        differs = name in served and served[name] != value
        yield f"{name:<14}  {value:g}{f'  (served: {served[name]:g})' if differs else ''}"


def _save(conversation: Conversation, rest: str) -> None:
    settings = conversation.settings
    # The served system text is not saved, as the build adds it to rows.
    system = settings.system if settings.system != conversation.served.system else None
    path = Path(rest.strip("'\""))
    line = saving.save(path, conversation.speakers[0].turns, system)
    conversation.console.notes([f"{path}:{line}: holds the conversation as a row"])


_COMMANDS: dict[str, Callable[[Conversation, str], None]] = {
    "/?": _help,
    "/help": _help,
    "/clear": _clear,
    "/set": _set,
    "/show": _show,
    "/save": _save,
    "/bye": lambda _conversation, _rest: None,  # `talk` ends the conversation
}
