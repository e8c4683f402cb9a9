"""The loaded model, asked in batches, which a GPU does faster than llama.cpp, or in training.

Only a stage's child, or a benchmark, imports this.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from builder import progress
from builder.llama import Answer
from builder.training.decoder import compute_logits, find_decoder

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
    # Prompts of like length share a batch, so that little is padded. Their order depends on the
    # prompts alone; how many share a batch, on the GPU's free memory too.
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
            tokens = row[: row.index(stop_id)] if ended else row
            answers[index] = Answer(str(template.tokenizer.decode(tokens)), tokens, [], ended=ended)
    return [answers[index] for index in range(len(prompts))]


def answer_in_training(
    model: Any, template: Template, messages: list[Message], *, max_tokens: int, most_s: float
) -> Answer | None:
    """Answer one conversation greedily with a model that is being trained, and leave it as it was.

    There is no gradient and no dropout, so that no random number is drawn. The layers run as they
    are: compiled ones would be compiled again, and without a cache of keys and values nothing is
    asked of a family but what training asks.

    Args:
        model: A PEFT model around a causal language model.
        template: Writes the prompt, and says what ends the answer.
        messages: The conversation.
        max_tokens: Tokens after which the answer is cut off.
        most_s: Seconds after which it is.

    Returns:
        Text, ids and whether it ended, no margins; None where not half of the tokens come in time,
        which the second token mostly shows.

    """
    began_s = time.monotonic()
    prompt = template.tokenize(template.render(messages))
    made: list[int] = []
    ended, took_s = False, 0.0
    with _evaluating(model), torch.no_grad(), torch.compiler.set_stance("force_eager"):
        while not ended and len(made) < max_tokens and took_s < most_s:
            token = _predict(model, prompt + made)
            before_s, took_s = took_s, time.monotonic() - began_s
            # The first one is slower than the others: what it needs is not there yet.
            if len(made) == 1 and took_s + (took_s - before_s) * (max_tokens // 2 - 2) > most_s:
                return None
            ended = token == template.end_of_turn_id
            made += [] if ended else [token]
    if not ended and len(made) < max_tokens // 2:
        return None
    text = str(template.tokenizer.decode(made))
    # A character of several tokens may be cut off.
    return Answer(text.rstrip("\ufffd"), made, [], ended=ended)


def _predict(model: Any, ids: list[int]) -> int:
    """Give the likeliest token after others."""
    causal = model.get_base_model()
    batch = torch.tensor([ids], device=model.device)
    hidden = find_decoder(causal)(input_ids=batch, use_cache=False)[0]  # (1, T, C)
    return int(compute_logits(causal, hidden[0, -1]).argmax())


@contextlib.contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Take every module that is in training mode out of it meanwhile."""
    modules = [module for module in model.modules() if module.training]
    for module in modules:
        module.training = False
    try:
        yield
    finally:
        for module in modules:
            module.training = True


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
