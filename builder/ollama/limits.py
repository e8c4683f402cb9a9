"""Ends a daemon's answer that takes too long or is too large, for both clients."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any, cast

import httpx


class LimitedTransport(httpx.HTTPTransport):
    """A transport that ends an answer at its deadline, headers included.

    httpx limits each read, so that a byte at a time is read without end.

    Args:
        deadline_s: How long an answer may take once its request is sent.
        most_bytes: The largest body that is read.
        options: Those of `httpx.HTTPTransport`.

    """

    def __init__(self, deadline_s: float, most_bytes: int, **options: Any) -> None:
        super().__init__(**options)
        self._deadline_s, self._most_bytes = deadline_s, most_bytes
        self._connection: Any = None
        self._clock = _Clock(deadline_s)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the clock runs until the answer is closed.

        Raises:
            httpx.ReadTimeout: The headers were not there in time.
            httpx.DecodingError: The answer is compressed, though that was not asked for.

        """
        self._clock = clock = _Clock(self._deadline_s)
        # What is compressed has no limit to its size.
        request.headers["Accept-Encoding"] = "identity"
        request.extensions["trace"] = self._trace
        with clock.checked():
            response = super().handle_request(request)
        if "content-encoding" in response.headers:
            response.close()
            clock.stop()
            raise httpx.DecodingError("its answer is compressed", request=request)
        stream = cast("httpx.SyncByteStream", response.stream)
        limited = _LimitedStream(stream, clock, self._most_bytes)
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=limited,
            extensions=response.extensions,
        )

    def _trace(self, event: str, told: dict[str, Any]) -> None:
        """Remember the connection, and start the clock once the answer is waited for.

        A daemon may answer, and close, before all of the request is sent.
        """
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._connection = told["return_value"].get_extra_info("socket")
        elif event == "http11.receive_response_headers.started":
            self._clock.start(self._connection)


class _Clock:
    """Shuts a connection at its deadline, which ends a read that waits in another thread."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s, self._is_over = deadline_s, False
        self._timer: threading.Timer | None = None

    def start(self, connection: socket.socket) -> None:
        """Begin to count for the connection that is read from."""
        self._timer = threading.Timer(self._deadline_s, self._end, [connection])
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """Stop counting."""
        if self._timer:
            self._timer.cancel()

    @contextlib.contextmanager
    def checked(self) -> Iterator[None]:
        """Raise httpx.ReadTimeout in place of what reading a shut connection raises or gives."""
        try:
            yield
        except httpx.HTTPError as error:
            self.stop()
            self._check(error)
            raise
        self._check()

    def _check(self, error: Exception | None = None) -> None:
        if self._is_over:
            msg = f"did not end its answer within {self._deadline_s:g} s"
            raise httpx.ReadTimeout(msg) from error

    def _end(self, connection: socket.socket) -> None:
        self._is_over = True
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


class _LimitedStream(httpx.SyncByteStream):
    """The body of an answer, up to the deadline and the size."""

    def __init__(self, stream: httpx.SyncByteStream, clock: _Clock, most_bytes: int) -> None:
        self._stream, self._clock, self._most_bytes = stream, clock, most_bytes

    def __iter__(self) -> Iterator[bytes]:
        size_bytes = 0
        with self._clock.checked():
            for part in self._stream:
                size_bytes += len(part)
                if size_bytes > self._most_bytes:
                    msg = f"its answer is over {self._most_bytes >> 20} MiB"
                    raise httpx.ReadError(msg)
                yield part

    def close(self) -> None:
        self._clock.stop()
        self._stream.close()
