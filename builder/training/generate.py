"""Generates answers with the in-memory model: in batches on a GPU, or one while it trains.

Only a worker process or a benchmark imports this.
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

# A GPU generates a token for some hundreds of rows in about the time of one row.
MOST_ROWS = 512
# The share of the free memory for keys and values; the rest is for the activations of the prompts.
CACHE_SHARE = 0.4


def answer(
    model: Any, template: Template, conversations: list[list[Message]], max_tokens: int
) -> list[Answer]:
    """Answer conversations greedily.

    Args:
        model: A causal language model, with or without an adapter.
        template: Writes the prompts, and says what ends an answer.
        conversations: The conversations, each up to its answer.
        max_tokens: Tokens after which an answer is cut off.

    Returns:
        Text and ids of each answer, without the end-of-turn token, and whether it ended; no
        margins.

    """
    prompts = [template.tokenize(template.render(messages)) for messages in conversations]
    stop_id = template.end_of_turn_id
    answers: dict[int, Answer] = {}
    # Prompts of similar length share a batch, so that little is padded. The order depends on the
    # prompts only; the size of a batch also on the GPU's free memory.
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
    """Answer one conversation greedily with a model that is being trained, without changing it.

    There is no gradient and no dropout, so no random number is drawn. Layers run eagerly, as they
    would be compiled again otherwise. There is no cache of keys and values, so that a family needs
    to support nothing that training does not use.

    Args:
        model: A PEFT model around a causal language model.
        template: Writes the prompt, and says what ends the answer.
        messages: The conversation.
        max_tokens: Tokens after which the answer is cut off.
        most_s: Seconds after which the answer is cut off.

    Returns:
        Text, ids and whether it ended, no margins; None if the time does not suffice for half of
        the tokens, which is usually known after the second.

    """
    began_s = time.monotonic()
    prompt = template.tokenize(template.render(messages))
    made: list[int] = []
    ended, took_s = False, 0.0
    with _evaluating(model), torch.no_grad(), torch.compiler.set_stance("force_eager"):
        while not ended and len(made) < max_tokens and took_s < most_s:
            token = _predict(model, prompt + made)
            before_s, took_s = took_s, time.monotonic() - began_s
            # The first token is slower than the others, as memory is allocated for it.
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
    """Predict the most likely next token."""
    causal = model.get_base_model()
    batch = torch.tensor([ids], device=model.device)
    hidden = find_decoder(causal)(input_ids=batch, use_cache=False)[0]  # (1, T, C)
    return int(compute_logits(causal, hidden[0, -1]).argmax())


@contextlib.contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Set all modules to evaluation mode inside the context."""
    modules = [module for module in model.modules() if module.training]
    for module in modules:
        module.training = False
    try:
        yield
    finally:
        for module in modules:
            module.training = True


def _count_rows(model: Any, tokens: int) -> int:
    """Compute how many rows of keys and values fit into the GPU's free memory.

    Args:
        model: A causal language model.
        tokens: Length of the longest row with its answer.

    """
    if model.device.type != "cuda":
        return MOST_ROWS
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // heads
    keys = 2 * head * (getattr(config, "num_key_value_heads", None) or heads)
    # Twice in 16 bit, as transformers copies those of a layer when it adds a token; and the logits
    # of each row in 16 and in 32 bit.
    row_bytes = 4 * keys * config.num_hidden_layers * tokens + 6 * config.vocab_size
    free_bytes, _ = torch.cuda.mem_get_info()
    free_bytes += torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    return max(1, min(MOST_ROWS, int(CACHE_SHARE * free_bytes / row_bytes)))
