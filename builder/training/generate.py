"""The loaded model, asked in batches: what a GPU does faster than llama.cpp.

Only a stage's child, or a benchmark, imports this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from builder import progress
from builder.llama import Answer

if TYPE_CHECKING:
    from builder.data.template import Message, Template

BATCH = 64


def answer(
    model: Any, template: Template, conversations: list[list[Message]], max_tokens: int
) -> list[Answer]:
    """Answer conversations greedily.

    Args:
        model: A causal language model, with or without an adapter.
        template: Writes the prompts, and says what ends an answer.
        conversations: Each awaits its answer.
        max_tokens: Tokens after which one is cut off.

    Returns:
        Text, ids and whether each ended, the end itself left off; no margins.

    """
    prompts = [template.tokenize(template.render(messages)) for messages in conversations]
    stop_id = template.end_of_turn_id
    answers: dict[int, Answer] = {}
    # Prompts of like length in one batch: the composition is fixed by the prompts alone.
    order = sorted(range(len(prompts)), key=lambda index: (len(prompts[index]), index))
    for start in range(0, len(order), BATCH):
        progress.report("answers", start, len(order), "questions")
        part = order[start : start + BATCH]
        length = max(len(prompts[index]) for index in part)
        padded = [[stop_id] * (length - len(prompts[at])) + prompts[at] for at in part]
        ids = torch.tensor(padded, device=model.device)
        mask = torch.tensor(
            [[0] * (length - len(prompts[index])) + [1] * len(prompts[index]) for index in part],
            device=model.device,
        )
        with torch.no_grad():
            made = model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=max_tokens,
                do_sample=False,
                eos_token_id=stop_id,
                pad_token_id=stop_id,
            )
        for index, row in zip(part, made[:, length:].tolist(), strict=True):
            ended = stop_id in row
            said = row[: row.index(stop_id)] if ended else row
            answers[index] = Answer(str(template.tokenizer.decode(said)), said, [], ended=ended)
    return [answers[index] for index in range(len(prompts))]
