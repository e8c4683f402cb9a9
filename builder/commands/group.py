"""The group of all commands, and their completion in a shell."""

from __future__ import annotations

import click
from click import shell_completion

from builder import __version__
from builder.commands import (
    asking,
    authoring,
    building,
    cleaning,
    looking,
    packing,
    publishing,
)
from builder.terminal.console import Console

# The shells' scripts set it when they ask for completions.
COMPLETION_VARIABLE = "_PERSONA_COMPLETE"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="persona", message="%(prog)s %(version)s")
def commands() -> None:
    """Build personas into Ollama models.

    A persona is a folder in personas/: a manifest and a data file.
    """


for _command in (
    authoring.new,
    authoring.keys,
    authoring.bases,
    building.build,
    looking.list_,
    looking.diff,
    looking.why,
    looking.show,
    looking.report,
    looking.doctor,
    asking.chat,
    asking.gates,
    cleaning.clean,
    cleaning.remove,
    packing.pack,
    packing.unpack,
    packing.merged,
    publishing.push,
):
    commands.add_command(_command)


@commands.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_obj
def completion(console: Console, /, shell: str) -> None:
    """Print a script that completes commands and names in a SHELL.

    For bash: eval "$(persona completion bash)" in ~/.bashrc; likewise for zsh in ~/.zshrc.
    For fish: persona completion fish > ~/.config/fish/completions/persona.fish
    """
    script = shell_completion.get_completion_class(shell)
    assert script is not None  # noqa: S101 — click knows the three
    console.result(script(commands, {}, "persona", COMPLETION_VARIABLE).source())
