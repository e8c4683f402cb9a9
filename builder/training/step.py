"""One optimiser step on tensors that stay in place, so that CUDA graphs can capture it."""

from __future__ import annotations

from typing import Any

import torch
from peft.optimizers import create_loraplus_optimizer
from torch import Tensor
from torch.amp.grad_scaler import GradScaler

from builder.training.batches import TokenRow, place
from builder.training.loss import placed_loss
from builder.training.settings import Settings
from builder.training.shapes import BatchShape

# transformers 5.17, training_args.py: `max_grad_norm`.
MOST_GRADIENT_NORM = 1.0


class TrainingStep:
    """A model, its optimiser, and the tensors that a step reads and writes.

    Args:
        model: A PEFT model; its trainable weights are the adapter's.
        settings: The settings.
        dtype: The type that the layers compute in; with float16 the loss is scaled.

    """

    def __init__(self, model: Any, settings: Settings, dtype: torch.dtype) -> None:
        self.model, self.dtype = model, dtype
        self.weights = {
            name: weight for name, weight in model.named_parameters() if weight.requires_grad
        }
        self.device = next(iter(self.weights.values())).device
        for weight in self.weights.values():
            weight.grad = torch.zeros_like(weight)
        self.optimizer = _make_optimizer(model, settings, self.device)
        self.is_capturable = settings.optimizer == "adamw"
        """Whether the update can be captured; bitsandbytes counts steps on the CPU."""
        self.groups = [group for group in self.optimizer.param_groups if group["params"]]
        self.highest_rates = [float(group["lr"]) for group in self.groups]
        self.scaler = GradScaler(self.device.type, enabled=dtype == torch.float16)
        self.loss = torch.zeros((), device=self.device)
        """The mean loss over the labels of the batches so far."""
        self.labels = torch.ones((), device=self.device)
        """The number of labels in the whole step."""
        self.inputs: dict[BatchShape, dict[str, Tensor]] = {}

    def fill(self, shape: BatchShape, rows: list[TokenRow]) -> None:
        """Copy rows into the input tensors of a shape."""
        batch = place(rows, size=shape.rows, tokens=shape.tokens, slots=shape.slots)
        if shape not in self.inputs:
            self.inputs[shape] = {
                name: torch.zeros_like(value, device=self.device) for name, value in batch.items()
            }
        for name, value in batch.items():
            source = value.pin_memory() if self.device.type == "cuda" else value
            self.inputs[shape][name].copy_(source, non_blocking=True)

    def accumulate(self, shape: BatchShape) -> None:
        """Add the gradients and the loss of the batch in the input tensors of a shape."""
        # autocast's cache of weights would be filled in one graph and read in another.
        with torch.autocast(
            self.device.type, self.dtype, enabled=self.dtype != torch.float32, cache_enabled=False
        ):
            loss = placed_loss(self.model, self.inputs[shape]) / self.labels
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.loss.add_(loss.detach())

    def update(self) -> None:
        """Update the weights, and set the gradients to zero in place."""
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.weights.values(), MOST_GRADIENT_NORM, foreach=True)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.clear()

    def clear(self) -> None:
        """Set gradients and loss to zero."""
        torch._foreach_zero_([weight.grad for weight in self.weights.values()])
        self.loss.zero_()

    def set_rate(self, factor: float) -> None:
        """Set each group's learning rate to a share of its peak."""
        for group, highest in zip(self.groups, self.highest_rates, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(highest * factor)
            else:
                group["lr"] = highest * factor

    def measure_gradients(self) -> Tensor:
        """Compute the norm of all gradients."""
        return torch.nn.utils.get_total_norm([weight.grad for weight in self.weights.values()])


def _make_optimizer(model: Any, settings: Settings, device: torch.device) -> Any:
    """Make AdamW with PEFT's groups of LoRA+."""
    # A float would be captured as a constant.
    rate: Any = torch.tensor(settings.learning_rate, device=device)
    kind: Any = torch.optim.AdamW
    options: dict[str, Any] = {"fused": True, "capturable": device.type == "cuda"}
    if settings.optimizer == "adamw_8bit":
        from bitsandbytes import optim  # noqa: PLC0415 — where it is asked for

        rate, kind, options = settings.learning_rate, optim.AdamW8bit, {}
    return create_loraplus_optimizer(
        model,
        kind,
        lr=rate,
        loraplus_lr_ratio=settings.learning_rate_ratio,
        loraplus_weight_decay=settings.weight_decay,
        **options,
    )
