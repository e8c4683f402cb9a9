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

# A step of a batch takes a GPU about as long as a step of one row, up to some hundreds of rows.
MOST_ROWS = 512
# Of the free memory; the rest is for the activations of the prompts.
CACHE_SHARE = 0.4


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
    longest = max(map(len, prompts), default=0)
    rows = _count_rows(model, longest + max_tokens)
    for start in range(0, len(order), rows):
        progress.report("answers", start, len(order), "questions")
        part = order[start : start + rows]
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


def _count_rows(model: Any, tokens: int) -> int:
    """Count the rows of a batch whose keys and values fit into the GPU's free memory.

    Args:
        model: A causal language model.
        tokens: Of the longest row, answered.

    """
    if model.device.type != "cuda":
        return MOST_ROWS
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // heads
    keys = 2 * head * (getattr(config, "num_key_value_heads", None) or heads)
    # Twice in 16 bit: transformers copies a layer's when it grows by a token. And each row's
    # logits, in 16 and in 32 bit.
    row_bytes = 4 * keys * config.num_hidden_layers * tokens + 6 * config.vocab_size
    free_bytes, _ = torch.cuda.mem_get_info()
    free_bytes += torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    return max(1, min(MOST_ROWS, int(CACHE_SHARE * free_bytes / row_bytes)))
