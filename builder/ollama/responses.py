"""The daemon's responses, as far as they are used."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Shown(BaseModel):
    """The response of `/api/show`."""

    system: str = ""
    parameters: str = ""
    """One parameter a line: its name and value."""


class Message(BaseModel):
    """A message that the model wrote."""

    content: str


class Reply(BaseModel):
    """The response of `/api/chat`."""

    message: Message
    prompt_eval_count: int
    """The number of prompt tokens that were read."""


class Rendered(BaseModel):
    """A rendered prompt."""

    rendered_template: str


class DebugAnswer(BaseModel):
    """The response to `_debug_render_only`."""

    debug_info: Rendered = Field(alias="_debug_info")


class Version(BaseModel):
    """The response of `/api/version`."""

    version: str


class Status(BaseModel):
    """A line of the response of `/api/create`."""

    status: str = ""
    error: str | None = None
