"""A model in a conversation, with its messages and the settings of its answers."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from builder.bases import families
from builder.data.template import Message
from builder.errors import PersonaError
from builder.llama import MAX_CONTEXT_TOKENS, Model
from builder.ollama.served import Served

# llama.cpp uses the clock instead of this seed (llama.h, LLAMA_DEFAULT_SEED).
RANDOM_SEED = 0xFFFFFFFF


@dataclass
class Settings:
    """The settings of answers, which commands change."""

    system: str | None
    parameters: dict[str, Any]

    @property
    def limit_tokens(self) -> int:
        """Tokens after which an answer is cut off, at most half of the context."""
        asked, most = int(self.parameters["num_predict"]), MAX_CONTEXT_TOKENS // 2
        return min(asked, most) if asked > 0 else most

    @property
    def sampling(self) -> dict[str, Any] | None:
        """The parameters of the sampler; None for greedy answers."""
        if not self.parameters["temperature"] and self.parameters["repeat_penalty"] == 1:
            return None
        seed = int(self.parameters["seed"])
        return {**self.parameters, "seed": RANDOM_SEED if seed < 0 else seed}


def begin(served: Served) -> Settings:
    """Give the first settings of a conversation: those that are served, except for the temperature.

    Answers are greedy, as for the gates, until the user sets a temperature.
    """
    common = {**families.COMMON_PARAMETERS, "seed": -1, "num_predict": -1}
    return Settings(served.system, {**common, **served.parameters, "temperature": 0.0})


@dataclass(kw_only=True)
class Speaker:
    """One side of a conversation."""

    name: str
    model: Model
    turns: list[Message] = field(default_factory=list)
    """The messages, without the system text."""

    def answer(self, question: str, settings: Settings) -> Generator[str]:
        """Answer piece by piece; if it is closed early, the answer so far is kept.

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
            else:  # remove the question, as two questions must not follow each other
                self.turns.pop()


def fit(model: Model, system: str | None, turns: list[Message], room_tokens: int) -> list[int]:
    """Make the prompt of a conversation, without its oldest turns if it is too long.

    Questions are left out together with their answers.

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
