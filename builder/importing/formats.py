"""The formats of records, and recognising the format of one."""

from __future__ import annotations

from typing import Any, Protocol

from builder.data import layouts
from builder.data.values import describe_kind
from builder.importing import chatgpt, chatml, pairs, turns
from builder.importing.conversation import Conversation


class Format(Protocol):
    """The names of a module that reads one format."""

    NAME: str

    def recognises(self, value: dict[str, Any], /) -> bool:
        """Say whether a record is of this format."""

    def list_keys(self, value: dict[str, Any], /) -> set[str]:
        """List the keys of a record that are imported, or that only describe it."""

    def read(self, value: dict[str, Any], /) -> Conversation:
        """Read a record; a ValueError says what is wrong."""


# In order: the first format that recognises a record is used.
FORMATS: tuple[Format, ...] = (chatgpt, turns, chatml, pairs)


def find(value: Any) -> Format:
    """Find the first format that recognises a record.

    Raises:
        ValueError: There is none.

    """
    if not isinstance(value, dict):
        raise ValueError(f"is {describe_kind(value)}, expected an object")
    found = next((one for one in FORMATS if one.recognises(value)), None)
    if found is None:
        what = f"messages, conversations, mapping, or {pairs.describe()}"
        raise ValueError(f"has the keys {layouts.name_keys(value)}, expected {what}")
    return found


def read(value: dict[str, Any], found: Format) -> Conversation:
    """Read one record.

    Raises:
        ValueError: It does not follow its format.

    """
    try:
        conversation = found.read(value)
    except (AttributeError, TypeError):
        # There may be anything in place of a text or a table.
        raise ValueError(f"is not laid out as {found.NAME}, expected its keys and values") from None
    conversation.end()
    return conversation
