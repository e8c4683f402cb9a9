"""The table of bases for a person to read: what can be built on, what it takes, and what cannot."""

from __future__ import annotations

from dataclasses import dataclass

from builder.bases.families import FAMILIES
from builder.bases.family import Family, Repository
from builder.bases.refusals import REFUSALS

GIGABYTE = 1_000_000_000


@dataclass(frozen=True)
class Row:
    """A base that can be built on."""

    family: str
    repository: str
    size_bytes: int
    """Of the 16-bit weights, which the export reads."""
    train_source: str
    """What is trained on a GPU: the 4-bit repository where there is one and it is advised."""
    is_four_bit: bool
    """Whether a GPU trains on 4-bit weights by default."""
    memory_bytes: int
    """Estimated GPU memory that training takes."""
    licence: str
    licence_asks: str
    thinking: str
    has_tools: bool
    """Whether a persona of it takes tools in its prompt."""
    verified: str


def rows() -> list[Row]:
    """List every base of the table, family by family."""
    return [_row(family, item) for family in FAMILIES for item in family.repositories]


def _row(family: Family, repository: Repository) -> Row:
    is_four_bit = family.advises_four_bit(repository.parameters)
    return Row(
        family=family.name,
        repository=repository.name,
        size_bytes=repository.size_bytes,
        train_source=family.train_source(repository),
        is_four_bit=is_four_bit,
        memory_bytes=repository.memory_bytes(four_bit=is_four_bit),
        licence=family.licence,
        licence_asks=family.licence_asks,
        thinking=family.thinking,
        has_tools=family.tools,
        verified=family.verified,
    )


def refused() -> list[tuple[str, str]]:
    """List the kinds of base that are refused, each with what to do or to take instead."""
    return [(refusal.name, refusal.instead.format(source="NAME")) for refusal in REFUSALS]


def write_page() -> str:
    """Write `docs/bases.md`."""
    lines = [
        "# Bases",
        "",
        "Written from `builder/bases/families/` by `builder.bases.table.write_page`.",
        "A base is recognised by its config.json and its end-of-turn token; its name decides",
        "nothing. A base of none of these families is built on as its own files say: its chat",
        "template is its own, and since no words are known that it calls itself by, the gate",
        "`leak_out` asks nothing.",
        "",
        "Sizes and memory are estimates from rounded numbers of parameters. GPU memory is for the",
        "default rank and eight rows a step, in 4 bit unless the row says otherwise. Licences are",
        "given in a word: read the maker's own page before you pass a persona on.",
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
        licence = "; ".join(filter(None, (family.licence, family.licence_asks)))
        tools = "yes" if family.tools else "no"
        cells = (family.name, _template(family), family.thinking, tools, licence, family.verified)
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "## Refused", "", "| what | instead |", "|---|---|"]
    lines += [f"| {name} | {instead} |" for name, instead in refused()]
    return "\n".join(lines) + "\n"


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
