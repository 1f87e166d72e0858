"""Intervals of fits to program and verify, and to drift, cover the truth behind measurements that were made up."""

from __future__ import annotations

import fits
import pytest


@pytest.mark.parametrize("kind", ["program and verify", "additive noise", "flicker noise", "drift"])
def test_intervals_cover(kind: str) -> None:
    """Each number is covered in 14 of 20 fits (at 95 %, fewer in 3 of 10⁵ tests), and told in 18 of them."""
    rows, falsely = fits.cover(kind, 20, small=True, first=500)
    assert {row.name for row in rows} == set(fits.MODELS[kind].truth)
    assert all(row.fits >= 18 for row in rows)
    assert all(row.covered >= 0.7 * row.fits for row in rows)
    assert falsely <= 4
