"""Triton kernels that search the scales of k-quants, with the arithmetic of llama.cpp.

The results are equal to the bit (llama.cpp, ggml/src/ggml-quants.c of llama-cpp-python 0.3.36,
compiled for x86-64): sums are added up in the same order, products are rounded before they are
added (so kernels are launched with `enable_fp_fusion=False`), and divisions and square roots are
correctly rounded. A lane of a program searches one group of values; `zero` makes a vector of a
constant, which `div_rn` asks for.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _round(value):
    """Round to the nearest integer, and halves to even, as `nearest_int`, in float32."""
    # The sum with 1.5 * 2 ** 23 has the integer in its lower bits.
    bits = (value + 12582912.0).to(tl.int32, bitcast=True)
    return ((bits & 0x7FFFFF) - 0x400000).to(tl.float32)


@triton.jit
def _load(pointers, is_there):
    """Load a value of each group, in float32; 0 for lanes without a group."""
    return tl.load(pointers, mask=is_there, other=0).to(tl.float32)


@triton.jit
def _encode(value, minimum, inverse, LARGEST: tl.constexpr):
    """Round a value to a code between 0 and LARGEST."""
    return tl.minimum(tl.maximum(_round(inverse * (value - minimum)), 0.0), LARGEST)


@triton.jit
def search_scale_and_minimum(
    values,
    codes,
    scales,
    minima,
    count,
    GROUP: tl.constexpr,
    LARGEST: tl.constexpr,
    START: tl.constexpr,
    STEP: tl.constexpr,
    STEPS: tl.constexpr,
    LANES: tl.constexpr,
):
    """Approximate each group by code * scale - minimum, as `make_qkx2_quants`.

    Args:
        values: Shape (count, GROUP), float16.
        codes: Receives the codes, shape (count, GROUP), uint8.
        scales: Receives the scales, shape (count,), float32.
        minima: Receives the minima, shape (count,), float32: 0 or more.
        count: The number of groups.
        GROUP: The number of values of a group.
        LARGEST: The largest code.
        START: `rmin`: attempt n has the inverse scale (LARGEST + START + STEP * n) / (max - min).
        STEP: `rdelta`.
        STEPS: `nstep`, the number of attempts after the first.
        LANES: The number of groups that a program searches.

    """
    group = tl.program_id(0) * LANES + tl.arange(0, LANES)
    is_there = group < count
    first = group.to(tl.int64) * GROUP

    low = _load(values + first, is_there)
    zero = low * 0
    high, squares = low, zero
    for at in range(GROUP):
        x = _load(values + first + at, is_there)
        low, high, squares = tl.minimum(low, x), tl.maximum(high, x), squares + x * x
    rms = tl.sqrt_rn(tl.div_rn(squares, zero + GROUP))
    low = tl.minimum(low, 0.0)
    is_flat = high == low

    inverse = tl.div_rn(zero + LARGEST, high - low)
    scale = tl.div_rn(zero + 1, inverse)
    sum_w, sum_x, least_error = zero, zero, zero
    for at in range(GROUP):
        x = _load(values + first + at, is_there)
        weight = rms + tl.abs(x)
        difference = scale * _encode(x, low, inverse, LARGEST) + low - x
        sum_w += weight
        sum_x += weight * x
        least_error += weight * (difference * difference)

    # What gives the best codes. `low` becomes the minimum of the best attempt, from which the next
    # attempt starts.
    best_inverse, best_low = inverse, low
    for n in range(STEPS + 1):
        inverse = tl.div_rn(STEP * (zero + n) + START + LARGEST, high - low)
        sum_l, sum_ll, sum_xl = zero, zero, zero
        for at in range(GROUP):
            x = _load(values + first + at, is_there)
            code = _encode(x, low, inverse, LARGEST)
            weighted = (rms + tl.abs(x)) * code
            sum_l += weighted
            sum_ll += weighted * code
            sum_xl += weighted * x
        determinant = sum_w * sum_ll - sum_l * sum_l
        new_scale = tl.div_rn(sum_w * sum_xl - sum_x * sum_l, determinant)
        new_low = tl.div_rn(sum_ll * sum_x - sum_l * sum_xl, determinant)
        new_scale = tl.where(new_low > 0, tl.div_rn(sum_xl, sum_ll), new_scale)
        new_low = tl.where(new_low > 0, 0.0, new_low)
        error = zero
        for at in range(GROUP):
            x = _load(values + first + at, is_there)
            code = _encode(x, low, inverse, LARGEST)
            difference = new_scale * code + new_low - x
            error += (rms + tl.abs(x)) * (difference * difference)
        is_better = (determinant > 0) & (error < least_error)
        best_inverse = tl.where(is_better, inverse, best_inverse)
        best_low = tl.where(is_better, low, best_low)
        least_error = tl.where(is_better, error, least_error)
        scale = tl.where(is_better, new_scale, scale)
        low = tl.where(is_better, new_low, low)

    for at in range(GROUP):
        x = _load(values + first + at, is_there)
        code = tl.where(is_flat, 0.0, _encode(x, best_low, best_inverse, LARGEST))
        tl.store(codes + first + at, code.to(tl.uint8), mask=is_there)
    tl.store(scales + group, tl.where(is_flat, 0.0, scale), mask=is_there)
    tl.store(minima + group, -low, mask=is_there)


@triton.jit
def search_scale(
    values,
    codes,
    scales,
    count,
    GROUP: tl.constexpr,
    HALF: tl.constexpr,
    SMALLEST: tl.constexpr,
    LANES: tl.constexpr,
):
    """Approximate each group by (code - HALF) * scale, as `make_qx_quants`.

    Args:
        values: Shape (count, GROUP), float16.
        codes: Receives the codes, shape (count, GROUP), uint8.
        scales: Receives the scales, shape (count,), float32.
        count: The number of groups.
        GROUP: The number of values of a group.
        HALF: Half the number of codes.
        SMALLEST: Values below this count as zero.
        LANES: The number of groups that a program searches.

    """
    group = tl.program_id(0) * LANES + tl.arange(0, LANES)
    is_there = group < count
    first = group.to(tl.int64) * GROUP

    furthest = _load(values + first, is_there)
    for at in range(GROUP):
        x = _load(values + first + at, is_there)
        furthest = tl.where(tl.abs(x) > tl.abs(furthest), x, furthest)
    is_zero = tl.abs(furthest) < SMALLEST
    zero = furthest * 0

    scale, best, best_inverse = zero, zero, zero
    # The range itself comes first, then nine below and nine above it, a tenth of a code apart.
    for n in range(19):
        tenths = tl.where(zero + n > 9, zero + n - 9, zero + n - 10)
        tenths = tl.where(zero + n == 0, 0, tenths)
        inverse = tl.div_rn(-(0.1 * tenths + HALF), furthest)
        sum_xl, sum_ll = zero, zero
        for at in range(GROUP):
            x = _load(values + first + at, is_there)
            code = tl.minimum(tl.maximum(_round(inverse * x), -HALF), HALF - 1)
            weight = x * x
            sum_xl += weight * x * code
            sum_ll += weight * code * code
        is_better = (sum_ll > 0) & (sum_xl * sum_xl > best * sum_ll)
        is_better = is_better | (zero + n == 0)
        quotient = tl.where(sum_ll > 0, tl.div_rn(sum_xl, sum_ll), 0.0)
        best_inverse = tl.where(is_better, inverse, best_inverse)
        best = tl.where(is_better, quotient * sum_xl, best)
        scale = tl.where(is_better, quotient, scale)

    for at in range(GROUP):
        x = _load(values + first + at, is_there)
        code = tl.minimum(tl.maximum(_round(best_inverse * x), -HALF), HALF - 1) + HALF
        tl.store(codes + first + at, tl.where(is_zero, 0.0, code).to(tl.uint8), mask=is_there)
    tl.store(scales + group, tl.where(is_zero, 0.0, scale), mask=is_there)
