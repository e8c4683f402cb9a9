"""Writes a checkpoint as a GGUF in one pass: converts, quantises and writes each tensor."""

from __future__ import annotations

import hashlib
import itertools
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import gguf
import numpy as np
import torch

from builder import progress
from builder.cpu import count_cores
from builder.errors import ToolError
from builder.gguf import quantiser
from builder.gguf.convert import Converter, Tensor
from builder.gguf.quantisation import Quantisation

ALIGNMENT = gguf.GGUF_DEFAULT_ALIGNMENT


@dataclass(frozen=True)
class _Quantiser:
    """What quantises tensors, and how many are in memory meanwhile."""

    start: Callable[..., Callable[[], np.ndarray[Any, Any]]]
    """Starts to quantise a tensor, as `quantiser.start`."""
    converted_at_once: int
    """How many tensors are converted at a time, each in one thread."""
    ahead: int
    """How many tensors are converted or quantised before their turn to be written. The first are
    large: the head and the embedding take seconds to convert."""


def plan(converter: Converter, out: Path, quantisation: Quantisation) -> list[Tensor]:
    """List the tensors of a file with their types, in the order in which they are written.

    Args:
        converter: The converter of the checkpoint.
        out: The GGUF that will be written, for temporary files beside it.
        quantisation: The quantisation.

    Raises:
        ToolError: The converter or the quantiser refused.

    """
    tensors = converter.prepare()
    if quantisation.is_converted:
        return tensors
    return _choose_types(converter, tensors, out, quantisation)


def write(
    converter: Converter,
    tensors: list[Tensor],
    out: Path,
    quantisation: Quantisation,
    sample: Callable[[str, np.ndarray[Any, Any]], None],
) -> str:
    """Write the same bytes as llama.cpp's converter followed by its quantiser.

    There is no 16-bit file between the two: while a tensor is written, the next are quantised and
    converted.

    Args:
        converter: The converter of the checkpoint.
        tensors: What `plan` returned.
        out: The GGUF to write.
        quantisation: The quantisation.
        sample: Called with each tensor's name and its values before they are quantised, in any
            order and by several threads.

    Returns:
        The SHA-256 of the file.

    Raises:
        ToolError: The converter or the quantiser refused, or a value is not finite.

    """
    what, total_mb = f"writes the GGUF in {quantisation.name}", _count_bytes(tensors) // 10**6
    chosen = _choose_quantiser()
    with (
        _open(out, converter, tensors, quantisation) as file,
        _threads(count_cores()) as quantising,
        _threads(chosen.converted_at_once) as converting,
    ):
        file.flush()
        digest = hashlib.sha256(out.read_bytes())

        def convert(tensor: Tensor) -> Callable[[], np.ndarray[Any, Any]]:
            values = converter.convert(tensor.name)
            sample(tensor.name, values)
            return chosen.start(values, tensor.kind, tensor.name, quantising)

        jobs = (converting.submit(convert, tensor) for tensor in tensors)
        running = deque(itertools.islice(jobs, chosen.ahead))
        while running:
            wait_for_rows = running.popleft().result()
            rows = wait_for_rows().data.cast("B")
            running.extend(itertools.islice(jobs, 1))
            progress.report(what, file.tell() // 10**6, total_mb, "MB")
            for part in (rows, _make_padding(len(rows))):
                file.write(part)
                digest.update(part)
    torch.cuda.empty_cache()  # this process lives on, and later stages may use the GPU
    return digest.hexdigest()


def _choose_quantiser() -> _Quantiser:
    # All cores quantise while two of them convert.
    on_cpu = _Quantiser(quantiser.start, converted_at_once=2, ahead=6)
    if not torch.cuda.is_available():
        return on_cpu
    try:
        from builder.gguf.gpu_quantiser import GpuQuantiser  # noqa: PLC0415 — imports Triton
    except ImportError:
        traceback.print_exc()  # into the stage's log
        return on_cpu
    return _Quantiser(GpuQuantiser().start, converted_at_once=8, ahead=16)


@contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Give threads; after a failure, what they have not begun is left."""
    threads = ThreadPoolExecutor(count)
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)


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
        file.write(_make_padding(file.tell()))
        yield file
    finally:
        writer.close()


def _make_padding(size_bytes: int) -> bytes:
    return bytes(-size_bytes % ALIGNMENT)


def _count_bytes(tensors: Iterable[Tensor]) -> int:
    """Compute the size of the tensors' values in the file."""
    return sum(-(-tensor.size_bytes // ALIGNMENT) * ALIGNMENT for tensor in tensors)
