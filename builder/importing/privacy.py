"""Finds what looks private in a text: mail addresses, phone numbers, keys and account numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

# A phone number has at most 15 digits (E.164); with fewer than 8 it is more likely something else.
PHONE_DIGITS = range(8, 16)


@dataclass(frozen=True)
class Kind:
    """A kind of private data, and how it is recognised."""

    name: str
    pattern: re.Pattern[str]
    is_one: Callable[[str], bool] = bool
    """Checks a match of the pattern."""


def _has_checksum(text: str) -> bool:
    """Check an IBAN: rearranged as a number, it is 1 modulo 97 (ISO 13616)."""
    plain = re.sub(r"\s", "", text)
    number = "".join(str(int(character, 36)) for character in plain[4:] + plain[:4])
    return int(number) % 97 == 1


def _is_phone(text: str) -> bool:
    return sum(character.isdigit() for character in text) in PHONE_DIGITS


# In order: later kinds skip the matches of earlier ones.
KINDS = (
    Kind(
        "key or password",
        re.compile(
            r"\b(?:sk|pk|rk)[-_](?:[A-Za-z]+[-_])*[A-Za-z0-9_-]{16,}"  # OpenAI, Anthropic, Stripe
            r"|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}|\bglpat-[\w-]{20,}"
            r"|\bhf_[A-Za-z0-9]{30,}|\bAKIA[0-9A-Z]{16}\b|\bAIza[\w-]{35}|\bxox[abeprs]-[\w-]{10,}"
            r"|(?<![\w-])eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"  # JSON Web Token
            r"|-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"
            r"|\b(?i:password|passwd|passwort|api[_ -]?key)\s*[:=]\s*[^\s,;]{6,}"
        ),
    ),
    Kind(
        "mail address",
        re.compile(
            r"(?<![\w.+-])[\w.+-]+@[^\W_](?:[\w-]*[^\W_])?(?:\.[^\W_][\w-]*)*\.[^\W\d_]{2,}"
        ),
    ),
    Kind(
        "IBAN",
        re.compile(r"\b[A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]{4}){2,7}(?:[ ]?[A-Z0-9]{1,3})?\b"),
        _has_checksum,
    ),
    Kind(
        "phone number",
        re.compile(
            r"(?<![A-Za-z0-9_.,/+-])(?<!\d )(?:"
            r"(?:\+|00)[1-9]\d{0,14}(?:(?:[ ./-]{1,2}\(?|\()\d{1,12}\)?){0,6}"  # international
            r"|0\d(?:[ .-]\d{2}){4}"  # France
            r"|\(?0\d{2,5}\)?[ /-]{1,3}\d(?:[ -]?\d){4,9}"  # Germany, the United Kingdom
            r"|(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}"  # North America
            r"|1[3-9]\d{9}"  # China
            r")(?![A-Za-z0-9_-]|[.,]\d)"
        ),
        _is_phone,
    ),
)


def find(text: str) -> Counter[str]:
    """Count what looks private in a text, by kind."""
    found: Counter[str] = Counter()
    for kind in KINDS:
        matches = [match for match in kind.pattern.finditer(text) if kind.is_one(match[0])]
        if matches:
            found[kind.name] += len(matches)
        for match in reversed(matches):
            text = f"{text[: match.start()]}\n{text[match.end() :]}"
    return found
