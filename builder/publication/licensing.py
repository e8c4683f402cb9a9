"""The licence of a published persona, and the conditions that it must meet."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from builder.bases.licences import LLAMA, Licence
from builder.errors import ToolError
from builder.project import Build

# Common licences on the hub (huggingface.co/docs/hub/repositories-licenses).
LISTED = frozenset(
    (
        "apache-2.0",
        "mit",
        "bsd-2-clause",
        "bsd-3-clause",
        "isc",
        "zlib",
        "unlicense",
        "artistic-2.0",
        "openrail",
        "cc0-1.0",
        "cc-by-4.0",
        "cc-by-sa-4.0",
        "cc-by-nc-4.0",
        "cc-by-nd-4.0",
        "cc-by-nc-sa-4.0",
        "cc-by-nc-nd-4.0",
        "gpl-2.0",
        "gpl-3.0",
        "agpl-3.0",
        "lgpl-3.0",
        "mpl-2.0",
        "epl-2.0",
        "eupl-1.2",
    )
)
KEY = "`license` in [ollama] of persona.toml"
MOST_NAME_CHARACTERS = 60


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The licence of the base, and that of the persona's author."""

    base_name: str
    licence: Licence | None
    """The base's licence, or its family's if that binds models made from it; else None."""
    is_known: bool
    """Whether it is the licence of this base, and not only of its family."""
    own: str
    """The value of `ollama.license`: a name or a text."""

    @property
    def is_bound(self) -> bool:
        """Whether the persona must keep the base's licence."""
        return self.licence is not None and self.licence.stays

    @property
    def identifier(self) -> str:
        """The identifier of the licence."""
        if self.own and not self.is_bound:
            first = re.sub(r"[^a-z0-9.]+", "-", self.own.splitlines()[0].lower())
            return first[:MOST_NAME_CHARACTERS].strip("-.") or "own"
        return self.licence.identifier if self.licence else "unknown"

    @property
    def is_listed(self) -> bool:
        """Whether the hub knows the identifier."""
        if self.own and not self.is_bound:
            return self.identifier in LISTED
        return self.licence is None or self.licence.is_listed

    @property
    def text(self) -> str:
        """The author's licence text; "" if it is a known name."""
        is_name = self.own.lower() in LISTED or (
            self.licence is not None and self.own == self.licence.name
        )
        return "" if is_name else self.own

    @property
    def link(self) -> str:
        """The link to its text."""
        if self.own and not self.is_bound:
            return "LICENSE" if self.text else ""
        return self.licence.link if self.licence else ""


def decide(build: Build) -> Terms:
    """Decide the licence of a published build.

    Raises:
        NotBuiltError: The base stage has not run.

    """
    base = build.read_base()
    family = base.family.licence
    binding = family if family and family.stays else None
    return Terms(
        base_name=base.repository or Path(base.source).name,
        licence=base.licence or binding,
        is_known=base.licence is not None,
        own=(build.persona.manifest.ollama.license or "").strip(),
    )


def check(terms: Terms, name: str) -> None:
    """Refuse to publish under a name that the licence does not allow.

    Raises:
        ToolError: The licence is not known, or requires another name.

    """
    if not terms.is_known and not terms.own:
        msg = f"{terms.base_name}: has a licence that is not known here, expected it by name"
        hint = f"read what {terms.base_name} is under, set {KEY} to it, and build"
        raise ToolError(msg, hint=hint)
    prefix = terms.licence.prefix if terms.licence else ""
    if prefix and not name.lower().startswith(prefix.lower()):
        licence = terms.licence.name if terms.licence else LLAMA.name
        msg = f"{name}: is made of {terms.base_name}, whose licence ({licence}) asks for a name "
        msg += f'that begins with "{prefix}", expected such a name'
        raise ToolError(msg, hint=f"push it as {prefix}-{name}")


def check_carried(terms: Terms) -> None:
    """Refuse a model that lacks a required notice or licence text.

    With Ollama only `ollama.license` is published.

    Raises:
        ToolError: The licence's notice or its text is not in `[ollama] license`.

    """
    licence = terms.licence
    if licence is None or not (licence.notice or licence.needs_copy):
        return
    notice = licence.notice
    if terms.text and " ".join(notice.split()) in " ".join(terms.text.split()):
        return
    msg = f"{terms.base_name}: its licence ({licence.name}) must go along with what is made of it, "
    line = f', with the line "{notice}"' if notice else ""
    hint = f"set {KEY} to the text of {licence.link}{line}, and build"
    raise ToolError(f"{msg}expected it in [ollama] license", hint=hint)


def write_notice(terms: Terms) -> str:
    """Write the file NOTICE; "" if the licence does not require it."""
    licence = terms.licence
    if licence is None or not licence.notice:
        return ""
    changed = f"The model was changed: {terms.base_name} was fine-tuned, merged and quantised."
    return "\n\n".join(filter(None, (licence.notice, licence.shown, changed))) + "\n"
