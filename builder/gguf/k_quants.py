"""Quantises rows on a GPU to the bytes that llama.cpp's quantiser writes.

The layouts of the blocks are those of llama.cpp (ggml/src/ggml-common.h of llama-cpp-python
0.3.36). A block holds 256 values, in groups of 32 (q4_K, q5_K) or 16 (q6_K).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gguf
import torch
import triton

from builder.gguf import kernels

BLOCK = 256
# How many groups a program of a kernel searches, each in one thread.
LANES = 128
# Scales and values below this count as zero (GROUP_MAX_EPS in ggml-quants.c).
SMALLEST = 1e-15
# Without fused multiply-add, which rounds once where llama.cpp rounds twice.
OPTIONS = {"enable_fp_fusion": False}


def quantise(rows: torch.Tensor, kind: gguf.GGMLQuantizationType) -> torch.Tensor:
    """Quantise rows.

    Args:
        rows: Shape (R, C), float16, contiguous, C a multiple of 256.
        kind: One of `KINDS`.

    Returns:
        The rows as the file holds them, uint8, one after another.

    """
    return KINDS[kind](rows.reshape(-1, BLOCK))


def _quantise_q4(blocks: torch.Tensor) -> torch.Tensor:
    header, codes = _quantise_with_minimum(blocks, largest=15, start=-1.0, steps=20)
    return _join(*header, _pack_nibbles(codes))


def _quantise_q5(blocks: torch.Tensor) -> torch.Tensor:
    header, codes = _quantise_with_minimum(blocks, largest=31, start=-0.5, steps=15)
    fifth = sum((codes[:, group] >> 4) << group for group in range(codes.shape[1]))
    return _join(*header, fifth, _pack_nibbles(codes & 15))


def _quantise_with_minimum(
    blocks: torch.Tensor, *, largest: int, start: float, steps: int
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Approximate values by code * scale - minimum, with scales and minima in 6 bit.

    Args:
        blocks: Shape (N, 256), float16.
        largest: The largest code.
        start: `rmin` of `make_qkx2_quants`.
        steps: `nstep` of `make_qkx2_quants`; `rdelta` is 0.1.

    Returns:
        The parts of the blocks before the codes, each of shape (N, bytes); and the codes, shape
        (N, 8, 32), uint8.

    """
    groups = blocks.view(len(blocks), 8, 32)
    count = groups.shape[0] * groups.shape[1]
    codes = torch.empty(groups.shape, dtype=torch.uint8, device=blocks.device)
    scales, minima = blocks.new_empty((2, *groups.shape[:2]), dtype=torch.float32)
    _launch(
        kernels.search_scale_and_minimum,
        (groups, codes, scales, minima, count),
        count,
        GROUP=32,
        LARGEST=largest,
        START=start,
        STEP=0.1,
        STEPS=steps,
    )
    scale, scales_6 = _round_to_6_bits(scales)
    minimum, minima_6 = _round_to_6_bits(minima)
    own_scale = (scale.float() * scales_6).unsqueeze(2)
    own_minimum = (minimum.float() * minima_6).unsqueeze(2)
    rounded = ((groups.float() + own_minimum) / own_scale).round_().clamp_(0, largest)
    codes = torch.where(own_scale == 0, codes, rounded.byte())
    return [_as_bytes(scale), _as_bytes(minimum), _pack_6_bits(scales_6, minima_6)], codes


def _round_to_6_bits(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Give each block one factor, shape (N, 1), float16, and each group 6 bits, shape (N, 8)."""
    largest = values.amax(1, keepdim=True).clamp_(min=0)
    # As a tensor: torch would multiply by the inverse of a number, and round twice.
    most = torch.full_like(largest, 63)
    inverse = torch.where(largest > 0, most / largest, 0)
    rounded = (inverse * values).round_().clamp_(max=63).byte()
    return (largest / most).half(), rounded


def _pack_6_bits(scales: torch.Tensor, minima: torch.Tensor) -> torch.Tensor:
    """Pack 8 scales and 8 minima into 12 bytes.

    The upper two bits of the last four go into the bytes of the first four.
    """
    low, high = slice(0, 4), slice(4, 8)
    return torch.cat(
        [
            scales[:, low] | (scales[:, high] >> 4) << 6,
            minima[:, low] | (minima[:, high] >> 4) << 6,
            (scales[:, high] & 15) | (minima[:, high] & 15) << 4,
        ],
        dim=1,
    )


def _pack_nibbles(codes: torch.Tensor) -> torch.Tensor:
    """Pack pairs of groups: the even group's codes are the lower four bits."""
    return codes[:, 0::2] | codes[:, 1::2] << 4


def _quantise_q6(blocks: torch.Tensor) -> torch.Tensor:
    """Approximate values by (code - 32) * scale, with scales in 8 bit."""
    groups = blocks.view(len(blocks), 16, 16)
    count = groups.shape[0] * groups.shape[1]
    codes = torch.empty(groups.shape, dtype=torch.uint8, device=blocks.device)
    scales = blocks.new_empty(groups.shape[:2], dtype=torch.float32)
    _launch(
        kernels.search_scale,
        (groups, codes, scales, count),
        count,
        GROUP=16,
        HALF=32,
        SMALLEST=SMALLEST,
    )
    furthest = scales.gather(1, scales.abs().argmax(1, keepdim=True))
    is_zero = furthest.abs() < SMALLEST
    inverse = -128 / furthest  # exact, as torch multiplies the reciprocal by a power of two
    scale = (1 / inverse).half()
    scales_8 = (inverse * scales).round_().clamp_(max=127)
    own_scale = (scale.float() * scales_8).unsqueeze(2)
    rounded = (groups.float() / own_scale).round_().clamp_(-32, 31) + 32
    codes = torch.where(own_scale == 0, codes, rounded.byte())
    # Halves of a block, each of four quarters of 32 values.
    quarters = codes.view(-1, 2, 4, 32)
    low = quarters & 15
    upper = sum((quarters[:, :, at] >> 4) << 2 * at for at in range(4))
    packed = _join(low[:, :, :2] | low[:, :, 2:] << 4, upper, scales_8.char(), _as_bytes(scale))
    return torch.where(is_zero, 0, packed)


def _launch(kernel: Any, arguments: tuple[Any, ...], count: int, **constants: float) -> None:
    grid = (triton.cdiv(count, LANES),)
    kernel[grid](*arguments, **constants, LANES=LANES, **OPTIONS)


def _as_bytes(numbers: torch.Tensor) -> torch.Tensor:
    return numbers.contiguous().view(torch.uint8)


def _join(*parts: Any) -> torch.Tensor:
    """Join the parts of each block, shape (N, bytes)."""
    return torch.cat([_as_bytes(part).view(len(part), -1) for part in parts], dim=1)


KINDS: dict[gguf.GGMLQuantizationType, Callable[[torch.Tensor], torch.Tensor]] = {
    gguf.GGMLQuantizationType.Q4_K: _quantise_q4,
    gguf.GGMLQuantizationType.Q5_K: _quantise_q5,
    gguf.GGMLQuantizationType.Q6_K: _quantise_q6,
}
