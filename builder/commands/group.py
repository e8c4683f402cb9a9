"""The group of all commands, and their completion in a shell."""

from __future__ import annotations

import click
from click import shell_completion

from builder import __version__, temporaries
from builder.bases import hub
from builder.commands import (
    arguments,
    asking,
    authoring,
    building,
    cleaning,
    looking,
    packing,
    publishing,
)
from builder.terminal.console import Console

# Set by the shells' scripts when they ask for completions.
COMPLETION_VARIABLE = "_PERSONA_COMPLETE"


@click.command()
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


# In the order of `--help` and the justfile: first what a newcomer needs first.
GROUPS: dict[str, tuple[click.Command, ...]] = {
    "First steps": (authoring.new, looking.show, building.build, asking.chat, looking.doctor),
    "Builds": (
        *(looking.list_, looking.why, looking.report, asking.gates, looking.diff),
        *(cleaning.remove, cleaning.clean),
    ),
    "Giving away": (packing.pack, packing.unpack, packing.merged, publishing.push),
    "Looking up": (authoring.bases, authoring.keys, completion),
}


class _Group(click.Group):
    """A group whose help lists the commands by purpose."""

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each of `GROUPS`."""
        names = [str(command.name) for listed in GROUPS.values() for command in listed]
        # As in click: a name and its help on one line, between margins.
        width = max(map(len, names))
        for title, listed in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [
                        (
                            f"{command.name:{width}}",
                            command.get_short_help_str(formatter.width - width - 6),
                        )
                        for command in listed
                    ]
                )


@click.group(
    cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="persona", message="%(prog)s %(version)s")
def commands() -> None:
    """Build personas into Ollama models.

    A persona is a folder in personas/: a manifest and a data file.
    """
    hub.check_variables()
    temporaries.clear(arguments.ROOT / "personas")


for _command in (command for listed in GROUPS.values() for command in listed):
    commands.add_command(_command)
