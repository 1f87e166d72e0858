"""What all figures share: their size, their colours, and how Matplotlib's SVG becomes part of a page.

A figure is drawn in the colours of `INK` and `PALETTE`; in the page each becomes a variable of the style sheet, so it
follows the reader's light or dark mode, and text stays text in the reader's own font.
"""

from __future__ import annotations

import io
import re
import warnings
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from xml.etree import ElementTree

import matplotlib as mpl
from markupsafe import Markup
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullLocator

from hwsim.printing import opening
from hwsim.quantities import si

WIDTH = 350
"""Width of a figure, in units of 1/11 of the text size: text is legible where a phone shows 310 pixels."""

INK, MUTED, RULE, PAPER = "#1b2327", "#566067", "#d3d9dd", "#fefefe"
PALETTE = {
    "blue": "#1f5bcc",
    "orange": "#d18400",
    "green": "#0baa67",
    "purple": "#6b3a81",
    "sky": "#3f98e5",
    "brown": "#825d1c",
    "rose": "#d66ca3",
    "slate": "#5b5b52",
}
"""Colours that readers with red-green colour blindness can tell apart; `tests/reports` checks that."""

SERIES = tuple(PALETTE.values())
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", ":")
_VARIABLES = {INK: "ink", MUTED: "muted", RULE: "rule", PAPER: "paper"} | {
    value: name for name, value in PALETTE.items()
}
_COMMON = {
    "#000000": "ink",
    "#ffffff": "paper",
    "#444444": "muted",
    "#999999": "muted",
    "#dddddd": "rule",
    "#0072b2": "blue",
    "#d55e00": "orange",
    "#009e73": "green",
    "#cc79a7": "rose",
    "#e69f00": "brown",
    "#56b4e9": "sky",
}
"""Black, white and grey, and the colours of Okabe and Ito (2008)."""

_DRAWS = {
    "svg",
    "g",
    "defs",
    "path",
    "use",
    "text",
    "tspan",
    "rect",
    "circle",
    "line",
    "polyline",
    "polygon",
    "clipPath",
    "pattern",
}
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name may contain dollars
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.labelsize": 11,
    "axes.titlesize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.2,
    "legend.borderaxespad": 0,
    "hatch.linewidth": 0.8,
    "path.simplify": True,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
}


class Drawing(NamedTuple):
    """A figure for a page.

    Attributes:
        name: the name of the figure, and its identifier in the page.
        heading: what the figure shows, as a sentence.
        svg: the drawing.
        caption: how to read it.
        wide: whether it takes the whole width of a page.
    """

    name: str
    heading: str
    svg: str
    caption: str
    wide: bool = False

    def _repr_html_(self) -> str:
        """What a notebook shows: an image, whose colours and identifiers are its own, on paper of its own."""
        box = re.search(r'viewBox="[\d.]+ [\d.]+ ([\d.]+) ', self.svg)
        width = f"{1.4 * float(box[1]):.0f}px" if box else "100%"
        image = b64encode(self.svg.encode()).decode("ascii")
        return Markup(
            '<figure style="display:inline-block;max-width:100%;margin:0.5em 1em 0.5em 0;vertical-align:top">'
            '<b>{}</b><br><img alt="{}" style="width:{};max-width:100%;background:#ffffff" '
            'src="data:image/svg+xml;base64,{}">'
            '<figcaption style="max-width:{}"><small>{}</small></figcaption></figure>'
        ).format(self.heading, self.heading, width, image, width, self.caption)


@contextmanager
def canvas(height: float, width: float = WIDTH) -> Iterator[Figure]:
    """A figure to draw in; sizes are in the units of `WIDTH`."""
    with style.context(["default", _STYLE]), warnings.catch_warnings():  # whatever the reader's own matplotlibrc says
        warnings.filterwarnings("ignore", "Glyph")  # the reader's fonts draw the text, not these
        yield _DrawnOnce(figsize=(width / 72, height / 72))


class _DrawnOnce(Figure):
    """A figure that is laid out without being drawn: `savefig` draws it unseen for that."""

    def draw(self, renderer: Any) -> None:
        """Draw it; before it has been laid out, lay it out alone."""
        engine = self.get_layout_engine()
        if isinstance(engine, ConstrainedLayoutEngine) and self.axes:
            engine.execute(self)
        else:
            super().draw(renderer)


def drawing(figure: Figure, name: str, heading: str, caption: str, *, wide: bool = False) -> Drawing:
    """A figure as part of a page; the same figure gives the same bytes."""
    heading = opening(heading)
    return Drawing(name, heading, _inline(written(figure, name), name, heading), caption, wide)


def written(figure: Figure, name: str) -> str:
    """A figure as an SVG file; the same figure gives the same bytes."""
    file = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return file.getvalue()


_ALONE, _ALONE_WIDE = 560, 900
"""Width in pixels of a figure in a file of its own, and that of one that takes the whole width of a page."""


def alone(drawn: Drawing) -> str:
    """A figure as a file of its own: on white, in the letters that it was measured with."""
    width = _ALONE_WIDE if drawn.wide else _ALONE
    head, _, body = drawn.svg.partition(">")
    head = re.sub(r"fill:var\(--ink[^)]*\)", f"fill:{INK};font-family:'DejaVu Sans',Verdana,sans-serif", head)
    return f'{head} width="{width}"><rect width="100%" height="100%" fill="#ffffff"/>{body}\n'


def adopted(svg: str, name: str, label: str) -> Drawing:
    """A drawing made elsewhere with Matplotlib; common colours become the colours of the page.

    Raises:
        ElementTree.ParseError: it is not XML.
    """
    inline = _inline(svg, name, label)
    box = re.search(r'viewBox="0 0 ([\d.]+) ', inline)
    return Drawing(name, opening(label), inline, "", wide=box is not None and float(box[1]) > 1.6 * WIDTH)


def _inline(svg: str, name: str, label: str) -> str:
    """Matplotlib's document as an element of a page: no header, colours by name, identifiers of its own.

    Only elements that draw are kept: no scripts, no external links, no event handlers.
    """
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(svg)
    for tag in ("metadata", "defs"):  # of the document; drawings keep theirs
        for child in root.findall(f"{{{_SVG}}}{tag}"):
            if tag == "metadata" or child.find(f"{{{_SVG}}}style") is not None:
                root.remove(child)
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag.removeprefix(f"{{{_SVG}}}") not in _DRAWS:
                parent.remove(child)
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
    for element in root.iter():
        if (known := element.get("id")) is not None:
            if known in used:
                element.set("id", f"{name}-{known}")
            else:
                del element.attrib["id"]
        for key, value in list(element.attrib.items()):
            elsewhere = "url(" in value.replace("url(#", "") or (key.endswith("href") and not value.startswith("#"))
            if elsewhere or key.lower().startswith("on"):
                del element.attrib[key]
                continue
            if key in ("style", "fill", "stroke"):
                value = _in_variables(value)
            if key in ("d", "transform", "x", "y", "width", "height", "points"):
                value = re.sub(r"-?\d+\.\d{3,}", lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), value)
            value = value.replace("url(#", f"url(#{name}-")
            element.set(key, f"#{name}-{value[1:]}" if key.endswith("href") else value)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-label", label)
    root.set("style", f"stroke-linejoin:round;stroke-linecap:butt;fill:var(--ink, {INK})")
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _in_variables(css: str) -> str:
    css = re.sub(r"font-family: [^;]*;? ?", "", css)
    return re.sub(r"#[0-9a-f]{6}\b", _variable, css)


def _variable(colour: re.Match[str]) -> str:
    name = _VARIABLES.get(colour[0]) or _COMMON.get(colour[0])
    return f"var(--{name}, {colour[0]})" if name else colour[0]


class Decades(LogLocator):
    """Ticks at powers of ten; at round numbers if fewer than two powers of ten are in range.

    Args:
        least: the smallest positive value, for an axis that includes zero; zero gets a tick as well.
    """

    def __init__(self, least: float | None = None) -> None:
        super().__init__(10, numticks=6)
        self._least = least

    def tick_values(self, vmin: float, vmax: float) -> Any:
        """Where ticks stand between two values."""
        low = vmin if self._least is None else self._least
        for candidates in (
            super().tick_values(low, vmax),
            MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, vmax),
        ):
            ticks = [tick for tick in map(float, candidates) if low <= tick <= vmax]
            if len(ticks) > 1:
                break
        return ticks if self._least is None else [0.0, *ticks]

    def nonsingular(self, vmin: float, vmax: float) -> tuple[float, float]:
        """The ends of an axis; an axis that includes zero keeps its ends."""
        return super().nonsingular(vmin, vmax) if self._least is None else Locator.nonsingular(self, vmin, vmax)


def quantities(axis: Axis, unit: str, *, log: bool = False) -> None:
    """Tick labels with SI prefixes, such as 10 nJ."""
    if log:
        axis.set_major_locator(Decades())
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: si(value, unit)))


def percent(axis: Axis) -> None:
    """Tick labels in per cent, for shares."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}".replace("%", " %")))


def legend(figure: Figure, axes: Axes, columns: int | None = None) -> None:
    """The legend above the axes; it has more columns if names are short."""
    handles, labels = axes.get_legend_handles_labels()
    columns = columns or (3 if labels and max(map(len, labels)) < 13 else 2)
    figure.legend(handles, [shortened(label) for label in labels], loc="outside upper left", ncols=columns)


def shortened(name: str, most: int = 26) -> str:
    """A name that fits into a figure."""
    return name if len(name) <= most else f"{name[: most - 1]}…"
