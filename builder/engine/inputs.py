"""The declared inputs of a stage: a frozen dataclass whose fields decide the stage's output.

A `File` or a `Tree` is compared by its content, and every other field as JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel


@dataclass(frozen=True)
class File:
    """A file, compared by its content."""

    path: Path


@dataclass(frozen=True)
class Tree:
    """A folder, compared by the names and contents of its files."""

    path: Path


def shown_as(name: str) -> Any:
    """Declare an input that reasons call *name* instead of its field's name."""
    return field(metadata={"name": name})


def maybe_file() -> Any:
    """Declare a file or folder that may be None, which compares as if it were not declared."""
    return field(metadata={"is_file": True})


def dropped_settings() -> Any:
    """Declare settings that another setting drops: a dict from each name to that other's name.

    It is not compared. It only lets a reason name the setting that a person changed.
    """
    return field(compare=False, metadata={"is_dropped": True})


def not_compared() -> Any:
    """Declare an input that cannot change the output: a permission, or the place of a cache."""
    return field(compare=False)


def list_files(inputs: Any) -> list[File | Tree]:
    """List the files and folders among declared inputs."""
    return [item for _, value in _compared(inputs) for item in _as_files(value)]


def list_settings(inputs: Any) -> dict[str, Any]:
    """Give all other compared inputs as JSON, by the names that reasons use."""
    values: dict[str, Any] = {}
    for item, value in _compared(inputs):
        if not _as_files(value) and not item.metadata.get("is_file"):
            values |= _flatten(item.metadata.get("name", item.name), value)
    return values


def list_dropped(inputs: Any) -> dict[str, str]:
    """Give what the fields declared with `dropped_settings` hold."""
    named = [item.name for item in fields(inputs) if item.metadata.get("is_dropped")]
    return {name: by for field in named for name, by in getattr(inputs, field).items()}


def _compared(inputs: Any) -> Iterator[tuple[Field[Any], Any]]:
    for item in fields(inputs):
        if item.compare:
            yield item, getattr(inputs, item.name)


def _as_files(value: Any) -> list[File | Tree]:
    if isinstance(value, File | Tree):
        return [value]
    if isinstance(value, tuple) and value and all(isinstance(item, File | Tree) for item in value):
        return list(value)
    return []


def _flatten(name: str, value: Any) -> dict[str, Any]:
    """Give a value by its name, and the values of a table by dotted names."""
    value = _as_json(value)
    if not isinstance(value, dict):
        return {name: value}
    parts = (_flatten(f"{name}.{key}" if name else str(key), part) for key, part in value.items())
    return {key: part for flat in parts for key, part in flat.items()}


def _as_json(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value):
        return {item.name: getattr(value, item.name) for item in fields(value)}
    return [_as_json(item) for item in value] if isinstance(value, tuple | list) else value
