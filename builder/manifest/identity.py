"""The table [identity] of persona.toml: the persona's name and author."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from builder.escapes import quote
from builder.manifest.fields import TextByLanguage
from builder.tables import Settings

LANGUAGE_PATTERN = re.compile(r"[a-z]{2,3}")


class Identity(Settings):
    """Who the persona is: the values of `{{ name }}` and `{{ author }}` in the data.

    A voice or a format needs neither.
    """

    name: TextByLanguage = Field(
        description="What it calls itself: one text, or one per language (`en`, `zh`)."
    )
    author: TextByLanguage | None = Field(
        None, description="Who made it: one text, or one per language."
    )

    @field_validator("name", "author")
    @classmethod
    def _languages_are_codes(cls, value: TextByLanguage | None) -> TextByLanguage | None:
        if not isinstance(value, dict):
            return value
        if not value:
            msg = "no language is given, expected a text or at least one `language = text`"
            raise ValueError(msg)
        wrong = [key for key in value if not LANGUAGE_PATTERN.fullmatch(key)]
        if wrong:
            msg = f"{quote(wrong[0])} is not a language, expected a code such as 'en' or 'zh'"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _languages_agree(self) -> Identity:
        if (
            isinstance(self.name, dict)
            and isinstance(self.author, dict)
            and set(self.name) != set(self.author)
        ):
            missing = [
                f"{field} has no {language!r}"
                for field, value, other in (
                    ("name", self.name, self.author),
                    ("author", self.author, self.name),
                )
                for language in sorted(set(other) - set(value))
            ]
            raise ValueError(", ".join(missing) + ", expected the same languages in both")
        return self

    def languages(self) -> list[str]:
        """List the languages that have their own text; empty if there is one text for all."""
        keyed = [value for value in (self.name, self.author) if isinstance(value, dict)]
        return sorted(set().union(*keyed))

    def placeholders(self, language: str) -> dict[str, str]:
        """Give `{{ name }}` and `{{ author }}` in a language, or else in the first one."""

        def pick(value: TextByLanguage) -> str:
            return (
                value if isinstance(value, str) else value.get(language, next(iter(value.values())))
            )

        author = {} if self.author is None else {"author": pick(self.author)}
        return {"name": pick(self.name), **author}

    @property
    def own_words(self) -> list[str]:
        """All wordings of the name and the author."""
        return list(dict.fromkeys([*self.texts("name"), *self.texts("author")]))

    def texts(self, field: Literal["name", "author"]) -> list[str]:
        """List all wordings of the name or the author."""
        value = self.name if field == "name" else self.author
        if value is None:
            return []
        return [value] if isinstance(value, str) else list(dict.fromkeys(value.values()))
