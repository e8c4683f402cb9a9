"""The table of bases for docs/bases.md and `bases`: what is supported, and what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from builder.bases.families import FAMILIES
from builder.bases.family import Family, Repository
from builder.bases.refusals import REFUSALS

GIGABYTE = 1_000_000_000
# The measurements of tests/builds/test_families.py, by family and column, which writes the file.
CHECKED = Path(__file__).with_name("checked.json")
COLUMNS = {
    "rows": "rows",
    "training": "trained",
    "export": "in the file",
    "transformers": "prompts, transformers",
    "file": "prompts, llama.cpp",
    "ollama": "Ollama",
    "fidelity": "fidelity",
}


@dataclass(frozen=True)
class Row:
    """A supported base."""

    family: str
    repository: str
    size_bytes: int
    """The size of the 16-bit weights, which the export reads."""
    train_source: str
    """The repository that a GPU trains on: the 4-bit one if there is one and it is advised."""
    is_four_bit: bool
    """Whether a GPU trains on 4-bit weights by default."""
    memory_bytes: int
    """The GPU memory that training needs, estimated."""
    licence: str
    licence_asks: str
    thinking: str
    has_tools: bool
    """Whether its prompts can declare tools."""
    verified: str


def rows() -> list[Row]:
    """List all bases of the table, family by family."""
    return [_row(family, item) for family in FAMILIES for item in family.repositories]


def _row(family: Family, repository: Repository) -> Row:
    is_four_bit = family.advises_four_bit(repository.parameters)
    licence = family.find_licence(repository)
    return Row(
        family=family.name,
        repository=repository.name,
        size_bytes=repository.size_bytes,
        train_source=family.train_source(repository),
        is_four_bit=is_four_bit,
        memory_bytes=repository.memory_bytes(four_bit=is_four_bit),
        licence=licence.name if licence else "",
        licence_asks=licence.asks if licence else "",
        thinking=family.thinking,
        has_tools=family.tools,
        verified=family.verified,
    )


def refused() -> list[tuple[str, str]]:
    """List the kinds of bases that are refused, with what to use instead."""
    return [(refusal.name, refusal.instead.format(source="FOLDER")) for refusal in REFUSALS]


def write_page() -> str:
    """Write `docs/bases.md`."""
    lines = [
        "# Bases",
        "",
        "Written from `builder/bases/families/` by `just pages`.",
        "A base is recognised by its config.json and its end-of-turn token, never by its name.",
        "For a base of another family the settings come from its own files: its chat template says",
        "which token ends a turn, its model says which layers are adapted, and the names that it",
        "calls itself are found in its own answers, or given by `base.identity_words`.",
        "",
        "Sizes and memory are estimates from rounded numbers of parameters. GPU memory is for the",
        "default rank and eight rows per step, in 4 bit unless the row says otherwise. Licences",
        "are summarised: read the maker's own page before you pass a persona on.",
        "",
        "## Repositories",
        "",
        "| family | repository | 16-bit weights | trained on a GPU | GPU memory |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.family} | {row.repository} | {_gigabytes(row.size_bytes)}"
        f" | {_trained(row)} | {_gigabytes(row.memory_bytes)} |"
        for row in rows()
    ]
    lines += [
        "",
        "## Families",
        "",
        "| family | chat template | thinking | tools | licence | verified |",
        "|---|---|---|---|---|---|",
    ]
    for family in FAMILIES:
        why = f": {family.why_no_tools}" if family.why_no_tools else ""
        tools = "yes" if family.tools else f"no{why}"
        licence = _tell_licences(family)
        cells = (family.name, _template(family), family.thinking, tools, licence, family.verified)
        lines.append(f"| {' | '.join(cells)} |")
    lines += _list_checked()
    lines += ["", "## Refused", "", "| what | instead |", "|---|---|"]
    lines += [f"| {name} | {instead} |" for name, instead in refused()]
    return "\n".join(lines) + "\n"


def _tell_licences(family: Family) -> str:
    """Describe a family's licence and its conditions, and the repositories with another one."""
    own = family.licence
    told = "; ".join(filter(None, (own.name, own.asks))) if own else ""
    others = {
        f"{repository.name.partition('/')[2]}: {other.name} ({other.asks})"
        for repository in family.repositories
        if (other := repository.licence) and own and other.asks != own.asks
    }
    return "; ".join([told, *sorted(others)])


def read_checked() -> dict[str, dict[str, str]]:
    """Read the measurements of each family, by the keys of `COLUMNS`."""
    found: dict[str, dict[str, str]] = json.loads(CHECKED.read_text("utf-8"))
    return found


def _list_checked() -> list[str]:
    checked = read_checked()
    lines = [
        "",
        "## Verified on random weights",
        "",
        "`tests/builds/test_families.py` takes a base of each family through the whole chain: few",
        "layers of its own architecture with random weights, its own chat template, and its own",
        "vocabulary or, where none can be fetched, another's with its special tokens. Every cell",
        "is measured: rows and labels encoded; layers whose adapter two steps have changed; layers",
        "found in the 16-bit GGUF as they were trained; shapes of prompt that are the same tokens",
        "in training as in transformers, llama.cpp and each route of a real Ollama, where the rest",
        "are differences that parity names; chats that Ollama answers as llama.cpp does; and the",
        "KL divergence of the file from the trained model. Nothing here says that a family's real",
        "weights were tried.",
        "",
        f"| family | {' | '.join(COLUMNS.values())} |",
        f"|---|{'---|' * len(COLUMNS)}",
    ]
    for family in FAMILIES:
        cells = checked.get(family.name, {})
        shown = [cells.get(column, "not measured") for column in COLUMNS]
        lines.append(f"| {family.name} | {' | '.join(shown)} |")
    return lines


def _gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / GIGABYTE:.1f} GB"


def _trained(row: Row) -> str:
    if not row.is_four_bit:
        return "16 bit"
    return row.train_source if row.train_source != row.repository else "quantised when loaded"


def _template(family: Family) -> str:
    if family.replacement:
        return f"`{family.replacement}.jinja` in place of its own"
    return "its own, without its system text" if family.removed else "its own"
