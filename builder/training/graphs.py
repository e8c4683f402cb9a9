"""Runs the functions of a training step as CUDA graphs, or eagerly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch

Function = Callable[[], None]


class Graphs(Protocol):
    """A way to run the same functions again and again."""

    def make(self, function: Function) -> Function:
        """Return a function that does the same as one that was called before."""
        ...

    def keep(self, function: Function) -> Function:
        """Return a function that calls one that cannot be captured, between captured ones."""
        ...

    def running(self) -> AbstractContextManager[None]:
        """Open the context in which functions are made and called."""
        ...


class Eager:
    """Calls each function directly."""

    def make(self, function: Function) -> Function:
        """Return the function itself."""
        return function

    keep = make

    @contextmanager
    def running(self) -> Iterator[None]:
        """Change nothing."""
        yield


class CudaGraphs:
    """Captures each function once and replays it: one launch instead of thousands.

    The graphs share a memory pool, so tensors that one function leaves for another must be
    allocated before the capture.
    """

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def make(self, function: Function) -> Function:
        """Capture a function that was called before, so that nothing is compiled during capture."""
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads of this process may call CUDA meanwhile.
            with torch.cuda.graph(
                graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"
            ):
                function()
        except BaseException:
            _end_capture_of_random_numbers()
            raise
        return graph.replay

    def keep(self, function: Function) -> Function:
        """Call a function on the default stream, in order with the captured functions.

        bitsandbytes runs its 8-bit optimisers there, whatever the current stream (0.50.2,
        backends/cuda/ops.py): they would change the weights while a graph reads them.
        """

        def call() -> None:
            default = torch.cuda.default_stream()
            default.wait_stream(self.stream)
            with torch.cuda.stream(default):
                function()
            self.stream.wait_stream(default)

        return call

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run everything on the stream that is captured, and wait for it at the end.

        Each run has its own pool: after a capture ran out of memory, torch 2.11 refuses the old
        pool as long as a tensor is left in it.
        """
        self.pool = torch.cuda.graph_pool_handle()
        self.stream.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(self.stream):
                yield
        finally:
            torch.cuda.current_stream().wait_stream(self.stream)


def _end_capture_of_random_numbers() -> None:
    """Reset the random generator after a failed capture.

    torch 2.11 (aten/src/ATen/cuda/CUDAGeneratorImpl.cpp) leaves it in capture mode, in which any
    later use would fail, such as initialising the weights of the next base.
    """
    generator = torch.cuda.default_generators[torch.cuda.current_device()]
    generator.graphsafe_set_state(generator.clone_state())
