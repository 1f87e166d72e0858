"""The header of a figure: title, caption and legends above its panels."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from hwsim.reports.figures.canvas import INK, MUTED

_GAP = 7
"""Gap between two elements, in points."""
_TOP = 3
"""Space above the first element: letters may exceed the measured line."""
_LETTER = 10
"""Width of a letter of a legend, in pixels; some room is left for its mark."""


class Header:
    """A stack of text and legends at the top of a figure; the height of the stack is added to the figure."""

    def __init__(self, figure: Figure) -> None:
        self._figure = figure
        self._stack: list[tuple[Any, float]] = []
        figure.draw_without_rendering()  # creates the renderer, which measures text
        self._renderer: Any = figure._get_renderer()  # type: ignore[attr-defined]

    def text(self, text: str, size: float = 11, *, bold: bool = False, muted: bool = False, gap: float = _GAP) -> None:
        """Lines of text as wide as the figure."""
        font = FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")
        words = self._wrapped(text, font)
        colour = MUTED if muted else INK
        artist = self._figure.text(0, 1, words, fontproperties=font, color=colour, va="top", linespacing=1.3)
        self._add(artist, gap)

    def legend(self, handles: Sequence[Artist], labels: Sequence[str], title: str | None = None) -> None:
        """A legend of lines and marks, in as many columns as fit."""
        wide = self._figure.bbox.width
        labels = [textwrap.fill(label, int(wide / _LETTER)) for label in labels]
        for columns in range(len(labels), 0, -1):
            artist = self._figure.legend(
                list(handles), list(labels), ncols=columns, loc="upper left", title=title, alignment="left",
                borderpad=0, bbox_to_anchor=(0, 1), title_fontsize=10,
            )  # fmt: skip
            if columns == 1 or artist.get_window_extent(self._renderer).width <= wide:
                break
            artist.remove()
        self._add(artist, _GAP)

    def settle(self) -> None:
        """Place all elements, and the panels below them."""
        width, body = self._figure.get_size_inches() * 72
        scale = 72 / self._figure.dpi
        heights = [artist.get_window_extent(self._renderer).height * scale for artist, _ in self._stack]
        whole = _TOP + body + sum(heights) + sum(gap for _, gap in self._stack)
        self._figure.set_size_inches(width / 72, whole / 72)
        at = whole - _TOP
        for (artist, gap), height in zip(self._stack, heights, strict=True):
            if hasattr(artist, "set_bbox_to_anchor"):
                artist.set_bbox_to_anchor((0, at / whole), self._figure.transFigure)
            else:
                artist.set_position((0, at / whole))
            at -= height + gap
        engine: Any = self._figure.get_layout_engine()
        engine.set(rect=(0, 0, 1, body / whole))

    def _add(self, artist: Any, gap: float) -> None:
        artist.set_in_layout(False)
        self._stack.append((artist, gap))

    def _wrapped(self, text: str, font: FontProperties) -> str:
        wide, lines = self._figure.bbox.width, [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and self._renderer.get_text_width_height_descent(longer, font, False)[0] > wide:
                lines.append(word)
            else:
                lines[-1] = longer
        return "\n".join(lines)
