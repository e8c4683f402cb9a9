"""Standard streams that refuse what is written: a disk that is full, a reader that has gone."""

import contextlib
import os


@contextlib.contextmanager
def full_disk():
    """Open a file on a full disk; give its descriptor."""
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        yield full
    finally:
        os.close(full)


@contextlib.contextmanager
def gone_reader():
    """Open a pipe whose reader has gone, as `head` goes; give the descriptor to write to."""
    read, write = os.pipe()
    os.close(read)
    try:
        yield write
    finally:
        os.close(write)
