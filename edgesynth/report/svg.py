"""SVG elements as escaped markup. Looks live in the page's style sheet, not in attributes."""

from __future__ import annotations

from markupsafe import Markup, escape

Attribute = str | float | None


def element(tag: str, *children: str | Markup, **attributes: Attribute) -> Markup:
    """`<tag ...>children</tag>`: text is escaped, markup is not, attributes of None are left out.

    `class_` and `stroke_width` become `class` and `stroke-width`; numbers get two decimals.
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(_name(name), _value(value))
        for name, value in attributes.items()
        if value is not None
    )
    inside = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(tag, written, inside)


def group(*children: str | Markup, **attributes: Attribute) -> Markup:
    """A `<g>` around `children`."""
    return element("g", *children, **attributes)


def path(places: list[tuple[float, float]], **attributes: Attribute) -> Markup:
    """An open line through `places`."""
    drawn = "M" + "L".join(f"{_value(x)} {_value(y)}" for x, y in places)
    return element("path", d=drawn, **attributes)


def _name(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _value(value: str | float | None) -> str:
    if isinstance(value, (int, float)):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
