"""The parameters that a persona is served with: all are set, as Ollama's defaults have changed."""

from __future__ import annotations

from typing import Any

from builder.bases import families
from builder.data.dataset import Profile

# An answer may be so many times as long as the longest that was trained.
LONGER_ANSWERS = 4


def find_parameters(
    family: families.Family, profile: Profile, given: dict[str, Any]
) -> dict[str, Any]:
    """Give every parameter that is served but the stops: common, by family, by data, as set.

    An answer may be several times as long as the longest that was trained, and fills at most half
    of the context.
    No repeat penalty is set: from 1.0 to 1.2 it ended no answer more, and changed trained ones
    (benchmarks/personas.py --penalties).
    """
    known = {**families.COMMON_PARAMETERS, **family.parameters, **given}
    longest = max(profile.kind.answer_tokens, LONGER_ANSWERS * profile.longest_reply_tokens)
    fitting = max(profile.longest_reply_tokens, int(known["num_ctx"]) // 2)
    return {"num_predict": min(longest, fitting), **known}
