"""Regions of a grid in words."""

from __future__ import annotations

import itertools

import pytest

from hwsim.reports.region import GridAxis, region


def axis(name: str, *values: object, unit: str = "") -> GridAxis:
    return GridAxis(name, list(values), lambda v: f"{v}{unit or ' ' + name}", lambda v: f"{v}{unit}")


BITS, NOISE = axis("bits", 4, 6, 8, 10), axis("noise", 0.1, 0.2, 1, unit=" %")
DEVICE = axis("device", "PCM", "RRAM", "ideal")._replace(say=str, plain=str)


@pytest.mark.parametrize(
    ("good", "said"),
    [
        ([4, 6, 8, 10], [""]),
        ([], None),
        ([6, 8, 10], ["from 6 bits on"]),
        ([4, 6], ["up to 6 bits"]),
        ([6, 8], ["from 6 bits to 8 bits"]),
        ([10], ["at 10 bits"]),
        ([4], ["at 4 bits"]),
        ([4, 8], ["at 4 bits and 8 bits"]),
    ],
)
def test_a_line_has_its_threshold(good: list[int], said: list[str] | None) -> None:
    assert region([BITS], {(bits,): bits in good for bits in BITS.values}) == said


def test_thresholds_along_the_last_axis_hold_where_the_others_are() -> None:
    holds = {(n, b): b >= 6 if n <= 0.2 else False for n, b in itertools.product(NOISE.values, BITS.values)}
    assert region([NOISE, BITS], holds) == ["from 6 bits on, where noise ≤ 0.2 %"]
    holds = {(n, b): b >= (6 if n <= 0.2 else 10) for n, b in itertools.product(NOISE.values, BITS.values)}
    assert region([NOISE, BITS], holds) == ["from 6 bits on, where noise ≤ 0.2 %", "at 10 bits, where 1 %"]
    holds = {(n, b): n >= 0.2 for n, b in itertools.product(NOISE.values, BITS.values)}
    assert region([NOISE, BITS], holds) == ["where noise ≥ 0.2 %"]


def test_names_are_listed_and_three_axes_nest() -> None:
    points = list(itertools.product(DEVICE.values, NOISE.values, BITS.values))
    holds = {(d, n, b): d != "RRAM" and n <= 0.2 and b >= 6 for d, n, b in points}
    assert region([DEVICE, NOISE, BITS], holds) == ["from 6 bits on, where noise ≤ 0.2 %, for PCM and ideal"]


def test_points_that_are_absent_do_not_count() -> None:
    assert region([BITS], {(4,): False, (8,): True, (10,): True}) == ["from 8 bits on"]
    assert region([], {(): True}) == [""]
    assert region([], {(): False}) is None


def test_every_region_of_a_small_grid_is_told_by_itself() -> None:
    """No two regions of 3 × 3 points have the same words."""
    one, other = axis("bits", 4, 6, 8), axis("noise", 0.1, 0.2, 1)
    points = list(itertools.product(one.values, other.values))
    every = itertools.product([False, True], repeat=len(points))
    told = {str(region([one, other], dict(zip(points, chosen, strict=True)))) for chosen in every}
    assert len(told) == 2**9
