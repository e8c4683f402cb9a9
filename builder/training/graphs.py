"""Functions of the training step, captured as CUDA graphs, or called as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch

Function = Callable[[], None]


class Graphs(Protocol):
    """A way to run the same function again and again."""

    def make(self, function: Function) -> Function:
        """Give what does the same as a function that was called before."""
        ...

    def keep(self, function: Function) -> Function:
        """Give what calls a function that cannot be captured, between those that were."""
        ...

    def running(self) -> AbstractContextManager[None]:
        """Open the context in which all of its functions are made and called."""
        ...


class Eager:
    """Calls each function as it is."""

    def make(self, function: Function) -> Function:
        """Give the function itself."""
        return function

    keep = make

    @contextmanager
    def running(self) -> Iterator[None]:
        """Change nothing."""
        yield


class CudaGraphs:
    """Captures each function once and replays it: one launch in place of thousands.

    The graphs share one memory pool, so what a function leaves for another must have been
    allocated before it was captured.
    """

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def make(self, function: Function) -> Function:
        """Capture a function that was called before, so that nothing is compiled meanwhile."""
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
        """Call a function on the default stream, after what was captured and before what follows.

        bitsandbytes starts the kernels of its 8-bit optimisers there, whatever stream is in use
        (0.50.2, backends/cuda/ops.py), which would change the weights while a graph reads them.
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
        """Run all on the stream that is captured; nothing of it is left when this ends.

        Each run has its own pool: after a capture ran out of memory, torch 2.11 refuses the old one
        while a tensor is left in it.
        """
        self.pool = torch.cuda.graph_pool_handle()
        self.stream.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(self.stream):
                yield
        finally:
            torch.cuda.current_stream().wait_stream(self.stream)


def _end_capture_of_random_numbers() -> None:
    """Let the generator go on after a capture that failed, which leaves it in that capture.

    torch 2.11 (aten/src/ATen/cuda/CUDAGeneratorImpl.cpp) ends it in a capture that succeeds alone;
    whatever draws from it later in this process, such as the weights of the next base, would fail.
    """
    generator = torch.cuda.default_generators[torch.cuda.current_device()]
    generator.graphsafe_set_state(generator.clone_state())
