"""The parameters that a persona is served with: all are set, as Ollama's defaults have changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builder.bases import families
from builder.data.dataset import Profile

# An answer may be so many times as long as the longest that was trained.
LONGER_ANSWERS = 4
# Ollama's names, and those of transformers' GenerationConfig, which vLLM reads too.
GENERATION_NAMES = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "typical_p": "typical_p",
}


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


def make_generation_config(
    parameters: Mapping[str, Any], vocabulary: Mapping[str, int], own: Mapping[str, Any]
) -> dict[str, Any]:
    """Say in the words of generation_config.json how a persona is served.

    Args:
        parameters: What Ollama is told, the stops among it.
        vocabulary: The ids of the base's tokens; a stop that is no token is left out.
        own: The base's own generation_config.json, of which what says nothing of sampling stays.

    """
    stops = [vocabulary[text] for text in parameters.get("stop", []) if text in vocabulary]
    is_greedy = float(parameters.get("temperature", 1.0)) == 0
    sampling = {
        name: parameters[key] for key, name in GENERATION_NAMES.items() if key in parameters
    }
    kept = {key: value for key, value in own.items() if key not in GENERATION_NAMES.values()}
    config = {**kept, "do_sample": not is_greedy, **({} if is_greedy else sampling)}
    config["repetition_penalty"] = float(parameters.get("repeat_penalty", 1.0))
    if stops:
        config["eos_token_id"] = stops
    if int(parameters.get("num_predict", 0)) > 0:
        config["max_new_tokens"] = int(parameters["num_predict"])
    return config
