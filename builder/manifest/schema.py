"""The JSON schema of persona.toml for editors, and the table of its keys for users."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema

from builder.manifest.manifest import Manifest

if TYPE_CHECKING:
    from pydantic_core import core_schema

# At the top of the package, where users' manifests refer to it.
PATH = Path(__file__).parent.with_name("manifest.schema.json")
DIALECT = "http://json-schema.org/draft-07/schema#"  # the one that taplo, the TOML server, takes
TYPES = {"string": "text", "integer": "whole number", "boolean": "true or false"}
BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "over",
    "maximum": "at most",
    "exclusiveMaximum": "under",
}


class _TomlSchema(GenerateJsonSchema):
    """A schema without null, which TOML does not have."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> dict[str, Any]:
        """Make the schema of a value that is not null."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        """Add the default of a value; a table has none, since its keys have their own."""
        made = super().default_schema(schema)
        if made.get("default") is None or "$ref" in made:
            made.pop("default", None)
        return made


@dataclass(frozen=True)
class Key:
    """One key of persona.toml."""

    name: str
    """The name with its table, such as `training.rank`; `[]` marks a list of tables."""
    type: str
    default: Any
    """None if there is no default."""
    is_required: bool
    """Whether its table must have it."""
    description: str

    @property
    def shown_default(self) -> str:
        """The default in TOML."""
        if self.default is None:
            return "required" if self.is_required else ""
        return json.dumps(self.default, ensure_ascii=False)


def make_schema() -> dict[str, Any]:
    """Make the schema from the manifest's model."""
    made = Manifest.model_json_schema(schema_generator=_TomlSchema)
    return {"$schema": DIALECT, **_without_titles(made), "title": "persona.toml"}


def write_schema() -> str:
    """Write `builder/manifest.schema.json`."""
    return json.dumps(make_schema(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def list_keys() -> list[Key]:
    """List all keys of persona.toml, table by table, in the order of the manifest's model."""
    schema = make_schema()
    return list(_list_keys(schema, schema, ""))


def write_page() -> str:
    """Write `docs/manifest.md`."""
    lines = [
        "# persona.toml",
        "",
        "Written from the manifest's model by `just pages`; `just keys` prints the same. A key",
        "that is left out has its default, if it has one. `just new` writes a first line,",
        "`#:schema`, by which an editor that supports JSON schema (Even Better TOML, taplo)",
        "completes and checks the file.",
    ]
    schema = make_schema()
    table = None
    for key in list_keys():
        name = key.name.rpartition(".")[0]
        if name != table:
            table = name
            lines += _head(schema, name)
        cells = (f"`{key.name}`", key.type, key.shown_default, key.description)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _head(schema: dict[str, Any], table: str) -> list[str]:
    """Write the heading of a table of keys, with its description."""
    title = f"[[{table.removesuffix('[]')}]]" if table.endswith("[]") else f"[{table}]"
    found: dict[str, Any] = schema
    for part in filter(None, table.split(".")):
        found = _follow(schema, found["properties"][part.removesuffix("[]")])
        found = _follow(schema, found["items"]) if part.endswith("[]") else found
    lines = ["", f"## {title}" if table else "## Above all tables", ""]
    lines += [" ".join(found["description"].split()), ""] if table else []
    return [*lines, "| key | type | default | what it is |", "|---|---|---|---|"]


def _list_keys(schema: dict[str, Any], table: dict[str, Any], prefix: str) -> Iterator[Key]:
    """List the keys of a table, followed by those of the tables in it."""
    inner: list[tuple[str, dict[str, Any]]] = []
    for name, value in table["properties"].items():
        found = _follow(schema, value)
        if "properties" in found:
            inner.append((f"{prefix}{name}", found))
            continue
        if "$ref" in found.get("items", {}):
            inner.append((f"{prefix}{name}[]", _follow(schema, found["items"])))
        yield Key(
            name=f"{prefix}{name}",
            type=_describe_type(schema, found),
            default=found.get("default"),
            is_required=name in table.get("required", ()),
            description=value.get("description") or found["description"],
        )
    for name, found in inner:
        yield from _list_keys(schema, found, f"{name}.")


def _follow(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """Resolve a reference, keeping the values beside it."""
    if "$ref" not in value:
        return value
    found: dict[str, Any] = schema["$defs"][value["$ref"].rpartition("/")[2]]
    return {**found, **{key: item for key, item in value.items() if key != "$ref"}}


def _describe_type(schema: dict[str, Any], value: dict[str, Any]) -> str:
    """Describe the type of a key in the words of TOML."""
    for branches in ("anyOf", "oneOf"):
        if branches in value:
            return " or ".join(_describe_type(schema, branch) for branch in value[branches])
    if texts := value.get("enum") or ([value["const"]] if "const" in value else []):
        return ", ".join(json.dumps(item) for item in texts)
    match value["type"]:
        case "array":
            held = _describe_type(schema, _follow(schema, value["items"]))
            return f"list of {'tables' if held == 'table' else held}"
        case "object" if "properties" in value:
            return "table"
        case "object":
            inner = value.get("additionalProperties")
            held = _describe_type(schema, inner) if isinstance(inner, dict) else "any value"
            return f"table of {held} by name"
        case kind:
            return f"{TYPES.get(kind, kind)}{_describe_bounds(value)}"


def _describe_bounds(value: dict[str, Any]) -> str:
    words = []
    for key, word in BOUNDS.items():
        if key in value:
            bound = value[key]
            words.append(f"{word} {int(bound) if bound == int(bound) else bound}")
    return f" ({' and '.join(words)})" if words else ""


def _without_titles(value: Any) -> Any:
    """Remove the titles that pydantic makes from the names of keys."""
    if isinstance(value, dict):
        return {
            key: _without_titles(item)
            for key, item in value.items()
            if not (key == "title" and isinstance(item, str))
        }
    return [_without_titles(item) for item in value] if isinstance(value, list) else value
