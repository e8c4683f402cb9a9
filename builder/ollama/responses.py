"""The shapes of a daemon's answers, as far as they are read."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Shown(BaseModel):
    """What `/api/show` tells of a model."""

    system: str = ""
    parameters: str = ""
    """One a line: name, then value."""


class Message(BaseModel):
    """A message that the model wrote."""

    content: str


class Reply(BaseModel):
    """An answer of `/api/chat`."""

    message: Message
    prompt_eval_count: int
    """Tokens of the prompt that were read."""


class Rendered(BaseModel):
    """A prompt that was rendered and not answered."""

    rendered_template: str


class DebugAnswer(BaseModel):
    """What a route answers to `_debug_render_only`."""

    debug_info: Rendered = Field(alias="_debug_info")


class Version(BaseModel):
    """What `/api/version` answers."""

    version: str


class Status(BaseModel):
    """A line of what `/api/create` answers."""

    status: str = ""
    error: str | None = None
