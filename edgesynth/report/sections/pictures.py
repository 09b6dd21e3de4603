"""Small pictures that lie in the page itself."""

from __future__ import annotations

from markupsafe import Markup

from edgesynth.report.svg import element, group


def picture(png: str, words: str, x: float, y: float, side: float) -> Markup:
    """A base64 PNG in a square of `side`; `words` is what the pointer shows."""
    return group(
        element("title", words),
        element(
            "image",
            href=f"data:image/png;base64,{png}",
            x=x,
            y=y,
            width=side,
            height=side,
        ),
    )
