"""The page of a build in a real browser: its size, when it is interactive, and pictures of it.

Run as: .venv/bin/python benchmarks/page.py [--quick] [--json] [--pictures FOLDER] [PAGE]

PAGE is build/luma/report.html where none is given. Prints one object (`--json`) or a line: size_mb,
interactive_ms (the median of the loads, of Chromium without a window) and loads. `--pictures` takes
the upper part of the page in both themes at three widths, as PNG of 200 colours; it needs Pillow.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.report.browser import Browser

WIDTHS, HEIGHTS = (390, 820, 1280), (1700, 1500, 1300)
COLOURS = 200
INTERACTIVE = "performance.getEntriesByType('navigation')[0].domInteractive"


def main() -> int:
    """Measure, print, and take pictures where they are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", nargs="?", default="build/luma/report.html", type=Path)
    parser.add_argument("--quick", action="store_true", help="three loads, not fifteen")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pictures", metavar="FOLDER", type=Path)
    parser.add_argument("--name", default="report", help="how the pictures' names begin")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Browser(folder) as browser:
        loads = 3 if options.quick else 15
        times_ms = [load(browser, options.page) for _ in range(loads)]
        if options.pictures:
            take_pictures(browser, options.page, options.pictures / options.name)
    found = {
        "size_mb": round(options.page.stat().st_size / 1e6, 3),
        "interactive_ms": round(statistics.median(times_ms), 1),
        "loads": loads,
    }
    print(json.dumps(found) if options.json else found)
    return 0


def load(browser: Browser, page: Path) -> float:
    """Open the page, and give the milliseconds until it was interactive."""
    browser.open(page)
    return float(browser.run(INTERACTIVE))


def take_pictures(browser: Browser, page: Path, name: Path) -> None:
    """Write the upper part of the page in both themes at each width."""
    from PIL import Image  # noqa: PLC0415 — only for pictures

    for theme in ("light", "dark"):
        browser.show_as(theme=theme)
        for width, height in zip(WIDTHS, HEIGHTS, strict=True):
            browser.resize(width)
            browser.open(page)
            picture = Image.open(io.BytesIO(browser.photograph(height=height)))
            few = picture.convert("RGB").quantize(
                COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
            )
            few.save(f"{name}-{theme}-{width}.png", optimize=True)


if __name__ == "__main__":
    sys.exit(main())
