"""The tensors of a GGUF, found without reading its vocabulary."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import gguf

LENGTH = struct.Struct("<Q")


class Reader(gguf.GGUFReader):  # type: ignore[misc] # gguf has no types
    """Reads what a GGUF says of its tensors, and steps over lists.

    gguf makes two arrays of each string of a list, which takes a second and a half for a vocabulary
    of 49,000 tokens and its merges. Where another release of gguf calls this method no more, that
    time is all that is lost.
    """

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> tuple[int, Any, Any, Any]:
        if raw_type != gguf.GGUFValueType.ARRAY:
            parts: tuple[int, Any, Any, Any] = super()._get_field_parts(orig_offs, raw_type)
            return parts
        # The type of the items in four bytes, their number in eight, and the items (ggml, gguf.h).
        buffer, start = memoryview(self.data), orig_offs + 12
        kind = int.from_bytes(buffer[orig_offs : orig_offs + 4], "little")
        (count,) = LENGTH.unpack_from(buffer, orig_offs + 4)
        end = start
        if number := self.gguf_scalar_to_np.get(kind):
            end += count * number().itemsize
        elif kind == gguf.GGUFValueType.STRING:
            for _ in range(count):
                end += LENGTH.size + LENGTH.unpack_from(buffer, end)[0]
        else:
            for _ in range(count):
                end += self._get_field_parts(end, kind)[0]
        return end - orig_offs, [], [], []


def read_tensors(file: Path) -> dict[str, gguf.ReaderTensor]:
    """Give the tensors of a GGUF by name; their values are read from the file when used."""
    return {tensor.name: tensor for tensor in Reader(file).tensors}
