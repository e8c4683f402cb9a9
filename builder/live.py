"""The loaded model, asked in batches: what a GPU does faster than llama.cpp.

Only a stage's child, or a benchmark, imports this.
"""

from __future__ import annotations

from typing import Any

import torch

from builder import progress
from builder.llama import Answer

BATCH = 64


def answer(model: Any, prompts: list[list[int]], eos: int, max_tokens: int) -> list[Answer]:
    """Answer prompts greedily.

    Args:
        model: A causal language model, with or without an adapter.
        prompts: Token ids, one list a prompt.
        eos: The id that ends an answer.
        max_tokens: Tokens after which one is cut off.

    Returns:
        Ids and whether each ended, the end itself left off; no text, and no margins.

    """
    answers: dict[int, Answer] = {}
    # Prompts of like length in one batch: the composition is fixed by the prompts alone.
    order = sorted(range(len(prompts)), key=lambda index: (len(prompts[index]), index))
    for start in range(0, len(order), BATCH):
        progress.report("answer", start, len(order), "prompts")
        part = order[start : start + BATCH]
        length = max(len(prompts[index]) for index in part)
        ids = torch.tensor([[eos] * (length - len(prompts[index])) + prompts[index] for index in part], device=model.device)
        mask = torch.tensor([[0] * (length - len(prompts[index])) + [1] * len(prompts[index]) for index in part], device=model.device)
        with torch.no_grad():
            made = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=max_tokens, do_sample=False, eos_token_id=eos, pad_token_id=eos)
        for index, row in zip(part, made[:, length:].tolist(), strict=True):
            ended = eos in row
            answers[index] = Answer("", row[: row.index(eos)] if ended else row, [], ended=ended)
    return [answers[index] for index in range(len(prompts))]
