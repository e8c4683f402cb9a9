"""Writes a checkpoint as a GGUF in one pass: converts, quantises and writes each tensor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import gguf
import numpy as np

from builder import progress
from builder.errors import ToolError
from builder.gguf import quantiser
from builder.gguf.convert import Converter, Tensor
from builder.gguf.quantisation import Quantisation
from builder.processor import count_cores

ALIGNMENT = gguf.GGUF_DEFAULT_ALIGNMENT
# How many tensors are converted at a time, each in one thread, while all cores quantise others.
AHEAD = 2


def write(
    converter: Converter,
    out: Path,
    quantisation: Quantisation,
    watch: Callable[[str, np.ndarray[Any, Any]], None],
) -> None:
    """Write the same bytes as llama.cpp's converter followed by its quantiser.

    There is no 16-bit file between the two: while a tensor is quantised, the next are converted.

    Args:
        converter: The converter of the checkpoint.
        out: The GGUF to write.
        quantisation: The quantisation.
        watch: Called with each tensor's name and its values before they are quantised.

    Raises:
        ToolError: The converter or the quantiser refused, or a value is not finite.

    """
    tensors = converter.prepare()
    if not quantisation.is_converted:
        tensors = _choose_types(converter, tensors, out, quantisation)
    what, total_mb = f"writes the GGUF in {quantisation.name}", _count_bytes(tensors) // 10**6
    with (
        _open(out, converter, tensors, quantisation) as file,
        ThreadPoolExecutor(count_cores()) as threads,
    ):
        for tensor, values in _convert(converter, tensors):
            progress.report(what, file.tell() // 10**6, total_mb, "MB")
            watch(tensor.name, values)
            file.write(quantiser.quantize(values, tensor.kind, tensor.name, threads).data)
            _pad(file)


def _choose_types(
    converter: Converter, tensors: Iterable[Tensor], out: Path, quantisation: Quantisation
) -> list[Tensor]:
    """Give tensors the types and the order of llama.cpp's quantiser.

    Raises:
        ToolError: The quantiser refused, or its log does not name every tensor.

    """
    by_name = {tensor.name: tensor for tensor in tensors}
    draft = out.with_name("draft.gguf")
    with _open(draft, converter, by_name.values()) as file:
        # The quantiser checks the size of the file but reads no values: a hole suffices.
        file.truncate(file.tell() + _count_bytes(by_name.values()))
    kinds = quantiser.choose_types(draft, quantisation)
    draft.unlink()
    if kinds.keys() != by_name.keys():
        raise ToolError(
            f"llama.cpp's quantiser chose types for {len(kinds)} of {len(by_name)} tensors, "
            "expected all",
            hint="install the llama-cpp-python that requirements.lock names",
        )
    return [
        replace(by_name[name], kind=kind, shape=_drop_ones(by_name[name].shape))
        for name, kind in kinds.items()
    ]


def _drop_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Drop outer dimensions of size one, which llama.cpp does not write."""
    first = next((at for at, size in enumerate(shape) if size != 1), len(shape) - 1)
    return shape[first:]


def _convert(
    converter: Converter, tensors: Iterable[Tensor]
) -> Iterator[tuple[Tensor, np.ndarray[Any, Any]]]:
    """Convert tensors in order, a few ahead of the one in use."""
    coming, running = deque(tensors), deque[tuple[Tensor, Future[np.ndarray[Any, Any]]]]()
    with ThreadPoolExecutor(AHEAD) as threads:
        while coming or running:
            while coming and len(running) <= AHEAD:
                tensor = coming.popleft()
                job = threads.submit(converter.convert, tensor)
                running.append((replace(tensor, values=None), job))
            tensor, job = running.popleft()
            yield tensor, job.result()


@contextmanager
def _open(
    path: Path,
    converter: Converter,
    tensors: Iterable[Tensor],
    quantisation: Quantisation | None = None,
) -> Iterator[IO[bytes]]:
    """Open a new GGUF, and write everything but the tensors' values."""
    writer = gguf.GGUFWriter(path, converter.architecture)
    writer.kv_data = [dict(converter.metadata)]
    if quantisation and not quantisation.is_converted:
        for key in (gguf.Keys.General.QUANTIZATION_VERSION, gguf.Keys.General.FILE_TYPE):
            writer.kv_data[0].pop(key, None)  # llama.cpp's quantiser writes both at the end
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        writer.add_file_type(quantisation.file_type)
    for tensor in tensors:
        writer.add_tensor_info(
            tensor.name, tensor.shape, np.dtype(np.float16), tensor.size_bytes, tensor.kind
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    (file,) = writer.fout
    try:
        _pad(file)
        yield file
    finally:
        writer.close()


def _pad(file: IO[bytes]) -> None:
    file.write(bytes(-file.tell() % ALIGNMENT))


def _count_bytes(tensors: Iterable[Tensor]) -> int:
    """Compute the size of the tensors' values in the file."""
    return sum(-(-tensor.size_bytes // ALIGNMENT) * ALIGNMENT for tensor in tensors)
