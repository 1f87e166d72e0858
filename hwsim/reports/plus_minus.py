"""A difference and half of its interval, as in `+0.022 ± 0.008`."""

from __future__ import annotations

from math import floor, isfinite, log10


def plus_minus(mean: float, half: float, digits: int = 2) -> str:
    """The interval has so many digits, the mean as many places; a difference that is nowhere is `0`.

    >>> plus_minus(-0.02231, 0.00849)
    '−0.0223 ± 0.0085'

    Args:
        half: of the interval; not a number where there is none.
    """
    if mean == 0 and not half > 0:
        return "0"
    if not (half > 0 and isfinite(half)):
        return f"{mean:+.{digits}g}".replace("-", "−")
    places = max(0, digits - 1 - floor(log10(half)))
    rounded = round(mean, places) + 0.0  # no minus before zero
    return f"{rounded:+.{places}f} ± {half:.{places}f}".replace("-", "−")
