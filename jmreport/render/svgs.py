"""From matplotlib's SVG to one that goes inside a page, and follows it.

    style="fill: #a5070a; …"     ->  fill="var(--failed, #a5070a)"
    clip-path="url(#p3f0c…)"     ->  clip-path="url(#ce680c2-0)"

Pages allow no styles inside of elements. Colours are written as `var(--token, #hex)`, so that a
chart follows its page into the dark and onto paper; ids begin with the chart's digest, so that
those of two charts on a page are not the same.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree

from jmreport.render.charts import INK, Chart, key

#: Colours as they are drawn, and as a page understands them.
_TOKENS = {colour: f"var(--{name}, {colour})" for name, colour in INK.items()}
_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_DECIMALS = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
#: Attributes whose numbers are places on the drawing.
_PLACES = ("d", "x", "y", "width", "height", "transform", "viewBox")
#: Matplotlib's styles that are worth an attribute; the rest are defaults, or the page's to choose.
_STYLES = (
    "fill",
    "stroke",
    "stroke-width",
    "stroke-dasharray",
    "stroke-dashoffset",
    "opacity",
    "fill-opacity",
    "font-size",
    "font-weight",
    "text-anchor",
)


def finished(drawn: bytes, chart: Chart, labels: Mapping[str, str]) -> str:
    """Matplotlib's document as an element for a page: no style, no needless id, no fixed size.

    `labels` are what bars are called, by the ids that they were drawn with.
    """
    root = ElementTree.fromstring(drawn)  # noqa: S314 (what matplotlib just made)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{_SVG}metadata" or _is_style(child):
                parent.remove(child)
    mark = key(chart)[:6]
    names = _referenced(root, mark)
    for element in root.iter():
        _restyle(element)
        _rename(element, names, labels)
    linked = any(element.tag == f"{_SVG}a" for element in root.iter())
    _introduce(root, chart, mark, "group" if linked else "img")
    ElementTree.register_namespace("", _SVG[1:-1])
    text = ElementTree.tostring(root, encoding="unicode")
    return re.sub(r"\s*\n\s*", " ", text).replace("> <", "><").replace("<g />", "")


def _is_style(element: ElementTree.Element) -> bool:
    return element.tag == f"{_SVG}defs" and any(child.tag == f"{_SVG}style" for child in element)


def _referenced(root: ElementTree.Element, mark: str) -> dict[str, str]:
    """The ids that something refers to, and what they are called on a page of several charts."""
    found: dict[str, str] = {}
    for element in root.iter():
        for name in _references(element.attrib.values()):
            found.setdefault(name, f"c{mark}-{len(found)}")
        if element.tag == f"{_SVG}use":
            found.setdefault(element.attrib[_XLINK][1:], f"c{mark}-{len(found)}")
    return found


def _references(values: Any) -> Iterator[str]:
    for value in values:
        yield from _REFERENCE.findall(value)


def _restyle(element: ElementTree.Element) -> None:
    style = element.attrib.pop("style", "")
    for part in style.split(";"):
        name, _, value = (piece.strip() for piece in part.partition(":"))
        if name in _STYLES:
            element.set(name, _TOKENS.get(value, value))
    for name in _PLACES:
        if name in element.attrib:
            element.set(name, _DECIMALS.sub(_rounded, element.attrib[name]))
    # Text that isn't turned still carries a turn of zero.
    if element.attrib.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]


def _rounded(number: re.Match[str]) -> str:
    # Adding zero turns -0.0 into 0.0.
    return f"{round(float(number[0]), 2) + 0.0:g}"


def _rename(
    element: ElementTree.Element, names: Mapping[str, str], labels: Mapping[str, str]
) -> None:
    own = element.attrib.pop("id", None)
    if own is not None and own in names:
        element.set("id", names[own])
    for name, value in list(element.attrib.items()):
        if "url(#" in value:
            element.set(name, _REFERENCE.sub(lambda m: f"url(#{names[m[1]]})", value))
    if _XLINK in element.attrib:
        target = element.attrib.pop(_XLINK)
        is_use = element.tag == f"{_SVG}use"
        element.set("href", f"#{names[target[1:]]}" if is_use else target)
    if own is not None and own in labels:
        _label(element, labels[own])


def _label(element: ElementTree.Element, text: str) -> None:
    """A name for a bar: what a pointer shows, and what a linked one is called when it is read."""
    title = ElementTree.Element(f"{_SVG}title")
    title.text = text
    element.insert(0, title)
    for link in element.iter(f"{_SVG}a"):
        link.attrib.pop("target", None)
        link.set("aria-label", text)


def _introduce(root: ElementTree.Element, chart: Chart, mark: str, role: str) -> None:
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("class", "chart")
    root.set("role", role)
    root.set("stroke-linejoin", "round")
    root.set("aria-labelledby", f"c{mark}-title c{mark}-desc")
    for place, (tag, text) in enumerate((("title", chart.title), ("desc", chart.take_away))):
        element = ElementTree.Element(f"{_SVG}{tag}", {"id": f"c{mark}-{tag}"})
        element.text = text
        root.insert(place, element)
