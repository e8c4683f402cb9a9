"""The table [gates] of persona.toml: what each gate does when it fails, and its limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, GetJsonSchemaHandler, ValidationInfo, field_validator, model_validator

from builder.tables import Settings

if TYPE_CHECKING:
    from pydantic_core import core_schema

Mode = Literal["stop", "advice", "off"]
# The parts of the schemas of limit and mode that the short forms have too.
SHORT_FORM = ("type", "enum", "minimum")


class GateSetting(Settings):
    """What a gate does when it fails, and its limit; what is left out follows from the kind.

    `recall = 0.8` sets the limit, `recall = "advice"` the mode, and
    `recall = { limit = 0.8, mode = "advice" }` both.
    """

    mode: Mode | None = Field(
        None,
        description="stop: no model is registered; advice: only reported; off: not asked.",
    )
    limit: float | None = Field(None, ge=0, le=1000, description="The gate's own limit.")

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, value: Any) -> Any:
        if isinstance(value, bool):
            msg = "is neither true nor false, expected a limit, stop, advice, off or a table"
            raise ValueError(msg)
        if isinstance(value, str):
            return {"mode": value}
        if isinstance(value, int | float):
            return {"limit": value}
        return value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Add the short forms to the schema, for editors."""
        reference = handler(schema)
        found = handler.resolve_ref_schema(reference)
        table = dict(found)
        found.clear()
        properties = [table["properties"][key] for key in ("limit", "mode")]
        short = [{key: form[key] for key in SHORT_FORM if key in form} for form in properties]
        found.update(description=table.pop("description"), anyOf=[*short, table])
        return reference


# The default limits; retention and held_out have none, as they compare with the base.
LIMITS = {
    "recall": 0.6,
    "leak_in": 0.05,
    "leak_out": 0.0,
    "neutral": 2.0,
    "sampled": 0.5,
    "greeting": 0.6,
    "format": 0.8,
    "calls": 0.6,
    "trained": 0.5,
    "system": 0.1,
    "stop": 0.97,
    "end": 0.1,
}
IN_NATS = ("neutral", "system", "end")


def _setting(gate: str, description: str) -> Any:
    # The schema has a default for the limit only: the mode depends on the persona's kind.
    default: Any = {"default": LIMITS[gate]} if gate in LIMITS else None
    return Field(GateSetting(), description=description, json_schema_extra=default)


class Gates(Settings):
    """What the finished model must reach before it is registered.

    A gate fails only if chance cannot explain the result.
    """

    recall: GateSetting = _setting(
        "recall", "Least share of wordings in which it knows its name and author."
    )
    leak_in: GateSetting = _setting(
        "leak_in", "Greatest share of unrelated answers that contain its name or author."
    )
    leak_out: GateSetting = _setting(
        "leak_out", "Greatest share of answers about itself that contain the base's own names."
    )
    retention: GateSetting = _setting(
        "retention", "Small tasks, paired with the base's answers; it has no limit."
    )
    neutral: GateSetting = _setting(
        "neutral", "Greatest mean KL divergence from the base on neutral text, in nats a token."
    )
    held_out: GateSetting = _setting(
        "held_out", "Loss on rows it never saw, paired with the base's; it has no limit."
    )
    sampled: GateSetting = _setting("sampled", "Like recall, at the served temperature.")
    greeting: GateSetting = _setting(
        "greeting", "Least share of greetings, thanks and goodbyes that are answered as such."
    )
    format: GateSetting = _setting(
        "format", "Least share of answers to other questions that keep the data's format."
    )
    calls: GateSetting = _setting(
        "calls", "Least share of rows with tools that are answered by a call of the right function."
    )
    trained: GateSetting = _setting(
        "trained",
        "Least share of trained replies that it gives word for word, of fewer than 100 own rows.",
    )
    system: GateSetting = _setting(
        "system",
        "Greatest loss that the served system text adds to trained replies, in nats a token.",
    )
    stop: GateSetting = _setting(
        "stop", "Least share of answers that end by themselves and contain only words."
    )
    end: GateSetting = _setting(
        "end", "Greatest loss of the end-of-turn token after trained replies, in nats."
    )
    budget_s: float = Field(
        60,
        gt=0,
        le=86400,
        description="Seconds the questions of a build may take; parity and fidelity are never cut.",
    )

    @classmethod
    def has(cls, gate: str) -> bool:
        """Say whether the manifest can set a gate; the others verify the build itself."""
        return gate != "budget_s" and gate in cls.model_fields

    def is_set(self, gate: str) -> bool:
        """Say whether the manifest sets a gate's mode."""
        given: GateSetting = getattr(self, gate)
        return given.mode is not None

    def limit(self, gate: str) -> float:
        """Give the limit of a gate, set or by default."""
        given: GateSetting = getattr(self, gate)
        if given.limit is not None:
            return given.limit
        # Sampled answers cannot be better than the likeliest ones.
        return min(LIMITS[gate], self.limit("recall")) if gate == "sampled" else LIMITS[gate]

    def resolve(self) -> dict[str, Any]:
        """Give all modes and limits by name; a mode is None if the kind decides it."""
        names = [name for name in type(self).model_fields if name != "budget_s"]
        modes = {f"gates.{name}": getattr(self, name).mode for name in names}
        limits = {f"gates.{name}.limit": self.limit(name) for name in names if name in LIMITS}
        return {**modes, **limits, "gates.budget_s": self.budget_s}

    @field_validator("*")
    @classmethod
    def _limit_fits(cls, setting: Any, info: ValidationInfo) -> Any:
        """Refuse a limit for a gate that has none, and a share over 1."""
        limit = setting.limit if isinstance(setting, GateSetting) else None
        if limit is not None and info.field_name not in LIMITS:
            expected = "stop, advice or off: it compares with the base and has no limit"
            raise ValueError(f"is {limit}, expected {expected}")
        if limit is not None and info.field_name not in IN_NATS and limit > 1:
            raise ValueError(f"is {limit}, expected a share from 0 to 1")
        return setting

    @model_validator(mode="after")
    def _limits_agree(self) -> Gates:
        if self.limit("sampled") > self.limit("recall"):
            expected = f"expected at most recall ({self.limit('recall')})"
            why = "sampling does not know more than the likeliest answer"
            msg = f"sampled is {self.limit('sampled')}, {expected}: {why}"
            raise ValueError(msg)
        return self
