"""The licences of bases: their names on the hub, and their conditions for publishing a model.

This is a short summary and no legal advice: read the licence before you publish a model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Licence:
    """One licence."""

    name: str
    identifier: str
    """The hub's identifier (huggingface.co/docs/hub/repositories-licenses), or one of our own."""
    link: str
    is_listed: bool = True
    """Whether the hub knows the identifier; if not, a card has `license: other`."""
    asks: str = ""
    """Its conditions for publishing a persona, in words."""
    prefix: str = ""
    """What the name of a published model must begin with."""
    shown: str = ""
    """What the model card must show."""
    notice: str = ""
    """The text of the file NOTICE that must be published too."""
    needs_copy: bool = False
    """Whether its text must be published too."""
    stays: bool = False
    """Whether models made from the base must keep it."""


APACHE = Licence(
    name="Apache-2.0",
    identifier="apache-2.0",
    link="https://www.apache.org/licenses/LICENSE-2.0",
)
MIT = Licence(name="MIT", identifier="mit", link="https://opensource.org/license/mit")
# Section 3.1 of the terms (ai.google.dev/gemma/terms, of April 2026).
GEMMA = Licence(
    name="Gemma terms",
    identifier="gemma",
    link="https://ai.google.dev/gemma/terms",
    asks="the terms and their prohibited uses are passed on; files say that they were changed",
    notice=(
        "Gemma is provided under and subject to the Gemma Terms of Use found at "
        "ai.google.dev/gemma/terms"
    ),
    stays=True,
)
# For a base whose version is not known.
LLAMA = Licence(
    name="Llama Community License",
    identifier="llama-community-license",
    link="https://www.llama.com/license/",
    is_listed=False,
    asks='the name begins with "Llama"; "Built with Llama" is shown',
    prefix="Llama",
    shown="Built with Llama",
    needs_copy=True,
    stays=True,
)
# Sections 3 and 4 of the agreement in Qwen/Qwen2.5-3B-Instruct.
QWEN_RESEARCH = Licence(
    name="Qwen Research License",
    identifier="qwen-research",
    link="https://huggingface.co/Qwen/Qwen2.5-3B-Instruct/blob/main/LICENSE",
    is_listed=False,
    asks='no commercial use; "Built with Qwen" is shown; its text and a notice go along',
    shown="Built with Qwen",
    notice=(
        "Qwen is licensed under the Qwen RESEARCH LICENSE AGREEMENT, Copyright (c) Alibaba Cloud. "
        "All Rights Reserved."
    ),
    needs_copy=True,
    stays=True,
)
LFM = Licence(
    name="LFM Open License v1.0",
    identifier="lfm1.0",
    link="https://www.liquid.ai/lfm-license",
    is_listed=False,
    asks="no commercial use above a yearly revenue of 10 million dollars",
    needs_copy=True,
    stays=True,
)


def make_llama(version: str) -> Licence:
    """Make the record of a version of the Llama licence, such as 3.2.

    Source:
        Section 1.b of the community licences of Llama 3.1, 3.2 and 3.3, which only differ in the
        version.

    """
    return replace(
        LLAMA,
        name=f"Llama {version} Community License",
        identifier=f"llama{version}",
        link=f"https://www.llama.com/llama{version.replace('.', '_')}/license/",
        is_listed=True,
        notice=(
            f"Llama {version} is licensed under the Llama {version} Community License, "
            "Copyright © Meta Platforms, Inc. All Rights Reserved."
        ),
    )
