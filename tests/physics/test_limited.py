"""A parameter over devices of which some tell only a limit."""

from __future__ import annotations

import numpy as np
from conftest import close

from hwsim.physics.fits.limited import limited
from hwsim.physics.fits.population import population


def test_intervals_cover_where_a_quarter_of_devices_tells_a_limit() -> None:
    """60 populations of 16: mean and spread each cover in 50 or more (at 95 %, fewer in 1 of 2,000 tests)."""
    draw, covered, means, left = np.random.default_rng(1), np.zeros(2), [], []
    for _ in range(60):
        true = 1 + 0.1 * draw.normal(size=16)
        limit = 1.07 + 0.1 * draw.normal(size=16)  # far enough for three of four
        out = true > limit
        estimates = np.where(out, limit, true + 0.02 * draw.normal(size=16))
        mean, spread = limited(estimates, np.full(16, 4e-4), out.astype(np.int64))
        covered += mean[1] <= 1 <= mean[2], spread[1] <= 0.1 <= spread[2]
        means.append(mean[0])
        left.append(estimates[~out].mean())
    assert (covered >= 50).all()
    assert np.mean(means) == close(1, abs=0.016)  # 4.5 standard errors
    assert np.mean(left) < 0.975  # what leaving them out gives


def test_limits_far_from_the_others_tell_next_to_nothing() -> None:
    """With one device whose limit is certain to be beyond it, numbers are those of the others."""
    draw = np.random.default_rng(2)
    estimates, variances = draw.normal(size=15), np.full(15, 0.04)
    of_others = population(estimates, variances)
    found = limited(np.append(estimates, -8.0), np.append(variances, 0.0), np.append(np.zeros(15, int), 1))
    for one, other in zip(found.mean, of_others.mean, strict=True):
        assert one == close(other, abs=0.02)
    assert found.spread[0] == close(of_others.spread[0], rel=0.06)
    mirrored = limited(-np.append(estimates, -8.0), np.append(variances, 0.0), np.append(np.zeros(15, int), -1))
    assert mirrored.mean[0] == close(-found.mean[0], abs=1e-3)
    assert mirrored.spread[2] == close(found.spread[2], rel=1e-3)
