"""Fetches the tables of a data set on the Hugging Face hub into its cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from glob import escape
from pathlib import Path

from builder.bases import download, hub_errors
from builder.bases.hub_errors import Purpose
from builder.errors import DataError

PREFIX = "hf:"
# More than the rows of any persona; data sets for training bases are a thousand times larger.
MOST_BYTES = 1 << 30
DATA_SET = Purpose(
    expected="to reach it",
    again="run this again",
    noun="data set",
    kinds="hf:OWNER/NAME of a data set",
    retry="run this again",
    folder="datasets/",
    words="fetches the rows",
)


def fetch(source: str, choose: Callable[[Sequence[str]], Sequence[str]]) -> list[Path]:
    """Fetch files of the newest commit of a data set.

    Args:
        source: `hf:OWNER/NAME`.
        choose: Chooses files by their names.

    Raises:
        DataError: No file is chosen, or the files are too large.
        ToolError: There is no such data set, the hub cannot be reached, or there is no room.

    """
    name = source.removeprefix(PREFIX)
    with hub_errors.explaining(name, DATA_SET):
        from huggingface_hub import HfApi  # noqa: PLC0415 — takes a second

        found = HfApi().dataset_info(name, timeout=30, files_metadata=True)
        sizes = {sibling.rfilename: sibling.size or 0 for sibling in found.siblings or ()}
    chosen = choose(list(sizes))
    if not chosen:
        raise DataError(f"{source}: contains no table of rows, expected one such as data.jsonl")
    size_bytes = sum(sizes[one] for one in chosen)
    if size_bytes > MOST_BYTES:
        much = (
            f"contains {size_bytes / 1e9:.1f} GB of rows, expected at most {MOST_BYTES / 1e9:.1f}"
        )
        raise DataError(f"{source}: {much}", hint="fetch a file that you want of it, and give that")
    patterns = [escape(one) for one in chosen]
    folder = download.download(name, str(found.sha), patterns, kind="dataset", purpose=DATA_SET)
    return [folder / one for one in chosen]
