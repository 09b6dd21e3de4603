"""A power document as one self-contained HTML page: no script, no font, nothing loaded."""

from __future__ import annotations

from typing import Any

from edgesynth.device.power_figure import draw
from edgesynth.device.power_text import ROLES, facts


def page(document: dict[str, Any], trace: dict[str, Any]) -> bytes:
    """The page with its figures, rails and drawing, as UTF-8."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("edgesynth.device"), autoescape=True, undefined=StrictUndefined
    )
    svg = draw(document, trace, "svg").decode("utf-8")
    drawing = Markup(svg[svg.index("<svg") :])  # noqa: S704  (our own drawing, text as outlines)
    template = environment.get_template("power.html")
    html = template.render(document=document, facts=facts(document), roles=ROLES, drawing=drawing)
    return html.encode("utf-8")
