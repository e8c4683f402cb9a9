"""Asking one file, each question once: answers are kept by the file, the prompt and the seed."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder import files
from builder.data.questions import Question
from builder.llama import Answer

if TYPE_CHECKING:
    from builder.llama import Model

KEEP_EVERY = 20


class Asker:
    """A file that is asked, and what it answered before.

    Args:
        model: The file, loaded.
        kept: Where its answers are kept; below the cache folder, they may have come prepared.
        max_tokens: Tokens within which an answer must end.
        sampling: Of a question with a seed.
        owner: Names the file's content and what runs it; answers of another are forgotten.

    """

    def __init__(
        self, model: Model, kept: Path, max_tokens: int, sampling: dict[str, float], owner: str
    ) -> None:
        self.model, self.kept, self.max_tokens, self.sampling = model, kept, max_tokens, sampling
        self.owner, self.new = owner, 0
        values = (
            files.read_kept(kept.parent.name, kept.name)
            if kept.is_relative_to(files.cache_folder())
            else files.read_json(kept)
        )
        values = values if isinstance(values, dict) else {}
        self.answers: dict[str, Any] = (
            values.get("answers", {}) if values.get("owner") == owner else {}
        )

    def answer(self, question: Question) -> Answer:
        """Answer one question, from memory where it was asked before."""
        prompt = self.model.tokenize(self.model.render(question.as_messages()))
        sampling = None
        if question.seed is not None:
            sampling = {**self.sampling, "seed": question.seed}
        elif self.sampling.get("repeat_penalty", 1.0) != 1.0:
            sampling = {"temperature": 0, "repeat_penalty": self.sampling["repeat_penalty"]}
        key = hashlib.sha256(json.dumps([prompt, self.max_tokens, sampling]).encode()).hexdigest()[
            :24
        ]
        if key not in self.answers:
            made = self.model.continue_prompt(prompt, self.max_tokens, sampling)
            self.answers[key] = {
                "text": made.text,
                "ended": made.ended,
                "least_margin_nats": round(min(made.margins), 3),
            }
            self.new += 1
            if self.new % KEEP_EVERY == 0:
                self.keep()
        kept = self.answers[key]
        return Answer(
            kept["text"],
            [],
            [kept["least_margin_nats"]] if "least_margin_nats" in kept else [],
            kept["ended"],
        )

    def keep(self) -> None:
        """Write the answers down; without room they are asked again, no more."""
        with suppress(OSError):
            files.write_json(self.kept, {"owner": self.owner, "answers": self.answers})
