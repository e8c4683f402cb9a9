"""The parameters a persona is served with; all are set, as Ollama's defaults have changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builder.bases import families
from builder.data.dataset import Profile

# An answer may be this many times as long as the longest trained reply.
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
    """Decide all served parameters except the stops, from defaults, family, data and manifest.

    An answer may be several times as long as the longest trained reply, but at most half of the
    context. There is no repeat penalty: from 1.0 to 1.2 it did not make more answers end, but
    changed trained ones (benchmarks/personas.py --penalties).
    """
    known = {**families.COMMON_PARAMETERS, **family.parameters, **given}
    longest = max(profile.kind.answer_tokens, LONGER_ANSWERS * profile.longest_reply_tokens)
    fitting = max(profile.longest_reply_tokens, int(known["num_ctx"]) // 2)
    return {"num_predict": min(longest, fitting), **known}


def make_generation_config(
    parameters: Mapping[str, Any], vocabulary: Mapping[str, int], own: Mapping[str, Any]
) -> dict[str, Any]:
    """Convert the served parameters to generation_config.json.

    Args:
        parameters: The Ollama parameters, with the stops.
        vocabulary: The ids of the base's tokens; a stop that is not a token is left out.
        own: The base's generation_config.json, whose keys that are not about sampling are kept.

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
