"""A model that answers, its side of the conversation, and what its answers are made with."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from builder.bases import families
from builder.data.template import Message
from builder.errors import PersonaError
from builder.llama import MAX_CONTEXT_TOKENS, Model
from builder.ollama.served import Served

# llama.cpp takes the clock in its place (llama.h, LLAMA_DEFAULT_SEED).
RANDOM_SEED = 0xFFFFFFFF


@dataclass
class Settings:
    """What answers are made with; commands change it."""

    system: str | None
    parameters: dict[str, Any]

    @property
    def limit_tokens(self) -> int:
        """Tokens after which an answer is cut off: half of the context at most."""
        asked, most = int(self.parameters["num_predict"]), MAX_CONTEXT_TOKENS // 2
        return min(asked, most) if asked > 0 else most

    @property
    def sampling(self) -> dict[str, Any] | None:
        """The sampler's parameters; None where the likeliest token is always taken."""
        if not self.parameters["temperature"] and self.parameters["repeat_penalty"] == 1:
            return None
        seed = int(self.parameters["seed"])
        return {**self.parameters, "seed": RANDOM_SEED if seed < 0 else seed}


def begin(served: Served) -> Settings:
    """Give what a conversation begins with: what is served, but for the temperature.

    The likeliest token is taken, as the gates ask, until a person sets a temperature.
    """
    common = {**families.COMMON_PARAMETERS, "seed": -1, "num_predict": -1}
    return Settings(served.system, {**common, **served.parameters, "temperature": 0.0})


@dataclass(kw_only=True)
class Speaker:
    """One side of a conversation."""

    name: str
    model: Model
    turns: list[Message] = field(default_factory=list)
    """All that was said, without the system text."""

    def answer(self, question: str, settings: Settings) -> Generator[str]:
        """Answer piece by piece; what was said when it is closed stays in the conversation.

        Raises:
            PersonaError: The question alone is too long.

        """
        self.turns.append({"role": "user", "content": question})
        answer = ""
        limit = settings.limit_tokens
        try:
            prompt = fit(self.model, settings.system, self.turns, MAX_CONTEXT_TOKENS - limit)
            for piece in self.model.stream(prompt, limit, settings.sampling):
                answer += piece
                yield piece
        finally:
            if answer.strip():
                self.turns.append({"role": "assistant", "content": answer})
            else:  # two questions without an answer between them are no conversation
                self.turns.pop()


def fit(model: Model, system: str | None, turns: list[Message], room_tokens: int) -> list[int]:
    """Write the prompt of a conversation, its oldest turns left out where it has grown too long.

    Whole questions with their answers are left out.

    Raises:
        PersonaError: The last question alone is too long.

    """
    before = [{"role": "system", "content": system}] if system else []
    for start in range(0, len(turns), 2):
        prompt = model.tokenize(model.render([*before, *turns[start:]]))
        if len(prompt) <= room_tokens:
            return prompt
    msg = f"the question is {len(prompt)} tokens long, expected at most {room_tokens}"
    raise PersonaError(msg)
