"""Makes the picture of a report for the README, in a real Chromium.

    python docs/screenshot.py demo/report.html docs/report.png --width 1280 --height 900

Without --height the whole page is taken. Needs playwright (in the `dev` extra) and Debian's
`chromium`, or Chrome.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROGRAMS = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser")
_ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --force-color-profile=srgb"
)


def program() -> str | None:
    """The path of a Chromium on this machine, None where there is none."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """A running headless Chromium without network habits of its own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=program(), args=_ARGUMENTS.split(), chromium_sandbox=False
        )
        try:
            yield running
        finally:
            running.close()


def screenshot(
    report: Path, picture: Path, *, width: int, height: int | None, scale: float, dark: bool
) -> None:
    """Write `picture`, a PNG of `report` seen in a window `width` CSS pixels wide."""
    with browser() as running:
        page = running.new_page(
            viewport={"width": width, "height": height or 900},
            device_scale_factor=scale,
            color_scheme="dark" if dark else "light",
        )
        page.goto(report.resolve().as_uri())
        page.screenshot(path=picture, full_page=height is None)


def main() -> int:
    """Read the arguments and take the picture."""
    parser = argparse.ArgumentParser(description="Take a picture of a report.")
    parser.add_argument("report", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--width", type=int, default=1280, help="CSS pixels (default: 1280)")
    parser.add_argument("--height", type=int, help="CSS pixels; the whole page otherwise")
    parser.add_argument("--scale", type=float, default=1.0, help="device pixels per CSS pixel")
    parser.add_argument("--dark", action="store_true", help="as with a dark desktop")
    options = vars(parser.parse_args())
    if program() is None:
        print("no Chromium on this machine; install Debian's package chromium", file=sys.stderr)
        return 4
    if not options["report"].is_file():
        print(f"there is no {options['report']}", file=sys.stderr)
        return 2
    screenshot(options.pop("report"), options.pop("picture"), **options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
