"""Options of chips that stand side by side and differ: one model, in which what differs is an array over chips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel


def stacked(models: Sequence[Any]) -> Any:
    """One model for all chips; a number that differs from chip to chip is an array `(chips,)`.

    Raises:
        TypeError: what differs is no number.
    """
    first = models[0]
    if all(each is first or each == first for each in models):
        return first
    if isinstance(first, BaseModel) and len({type(each) for each in models}) == 1:
        names = type(first).model_fields
        return first.model_copy(update={name: stacked([getattr(each, name) for each in models]) for name in names})
    if not all(isinstance(each, float | int) for each in models):
        raise TypeError(f"chips side by side cannot differ in {first!r}")
    return np.array(models)
