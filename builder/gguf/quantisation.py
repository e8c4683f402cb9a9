"""The quantisations that a persona can be exported in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantisation:
    """A quantisation of llama.cpp."""

    name: str
    file_type: int
    """`llama_ftype` in llama.h of llama-cpp-python 0.3.36: the quantiser's parameter, and
    `general.file_type` of the file."""
    bits_per_weight: float
    """For a model of a few billion parameters (llama.cpp, tools/quantize/README.md)."""
    kl_share: float
    """Largest mean KL divergence allowed, as a share of the family's limit for q4_k_m.

    Twice what benchmarks/quantisation.py measures on the embedded base, divided by that base's
    limit of 0.25 nats, and at least `FLOOR_SHARE`, since the in-memory model computes in bfloat16,
    which differs from float16. Measured: q4_k_m 0.103 nats, q5_k_m 0.125 (this base was 4-bit once,
    and q5 does not fit its grid), q6_k 0.025, q8_0 0.007, f16 0.00001.
    """

    def allowed_kl_nats(self, family_limit_nats: float) -> float:
        """Give the largest mean KL divergence allowed, given the family's limit for q4_k_m."""
        return family_limit_nats * self.kl_share

    @property
    def is_converted(self) -> bool:
        """Whether llama.cpp's converter writes it without the quantiser."""
        return self.name == "f16"

    def count_room_bytes(self, base_bytes: int) -> int:
        """Compute the free space that an export needs, for 16-bit weights of *base_bytes*.

        A tenth of it is for the other files.
        """
        return int(base_bytes * self.bits_per_weight / BITS_16 * 1.1)


BITS_16 = 16
FLOOR_SHARE = 0.25
QUANTISATIONS = (
    Quantisation("q4_k_m", 15, 4.9, 1.0),
    Quantisation("q5_k_m", 17, 5.7, 1.0),
    Quantisation("q6_k", 18, 6.6, FLOOR_SHARE),
    Quantisation("q8_0", 7, 8.5, FLOOR_SHARE),
    Quantisation("f16", 1, 16.0, FLOOR_SHARE),
)
BY_NAME = {quantisation.name: quantisation for quantisation in QUANTISATIONS}
DEFAULT = BY_NAME["q4_k_m"]
