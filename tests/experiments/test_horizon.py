"""The horizon: its closed form, what it measures of a network, and what it says of the cases with a known answer."""

from math import exp, inf, log, sqrt

import numpy as np
import pytest
from conftest import built, random_episode, rule
from hypothesis import given
from hypothesis import strategies as st

from hwsim.experiments.horizon import Horizon, forgetting, horizon

SMALL = st.floats(1e-12, 0.1)


@given(st.integers(1, 300), st.floats(1e-6, 0.5), SMALL)
def test_fresh_errors_add_up_at_random_and_grow(steps, rate, epsilon):
    """The closed form lies between the sums of its first and its last T terms."""
    variances = [epsilon**2 * exp(2 * rate * step) for step in range(steps + 1)]
    found = Horizon(steps, rate, epsilon, 0).fresh_error
    assert sqrt(sum(variances[:-1])) * (1 - 1e-6) <= found <= sqrt(sum(variances[1:])) * (1 + 1e-6)


@given(st.floats(1e-6, 3), SMALL, SMALL)
def test_at_the_horizon_the_error_is_the_tolerance(rate, fresh, frozen):
    asked = Horizon(1, rate, fresh, frozen)
    assert Horizon(asked.fresh_steps, rate, fresh, frozen).fresh_error == pytest.approx(asked.tolerance, rel=1e-6)
    assert Horizon(asked.frozen_steps, rate, fresh, frozen).frozen_error == pytest.approx(asked.tolerance)


def test_without_forgetting_or_without_noise():
    assert Horizon(100, 0.0, 0.01, 0).fresh_error == pytest.approx(0.1)
    assert Horizon(100, 0.0, 0.01, 0).fresh_steps == pytest.approx(400)
    assert Horizon(10**6, 0.1, 1e-16, 0).fresh_error == inf
    assert Horizon(100, 0.0, 1e-16, 0).frozen_steps == inf


def test_a_diagonal_recurrence_forgets_as_fast_as_its_smallest_eigenvalue():
    episode = random_episode()
    made = built("lru", rule("fpe"), episode)
    nu = next(trainable for trainable in made.trainables if trainable.name.endswith("nu")).master.value[0]
    assert forgetting(made, episode) == pytest.approx(np.exp(nu).max(), rel=1e-9)  # |λ| = exp(-exp(ν))


def test_a_single_tanh_unit_forgets_by_its_mean_logarithmic_slope():
    network = {"layers": [{"cell": {"name": "leaky_tanh", "units": 1, "leak": 0.3}}]}
    episode, learned = random_episode(), rule("fpe")
    made = built(network, learned, episode)
    w, u, b = (trainable.master.value[0] for trainable in made.trainables[:3])
    h, slopes = np.zeros((episode.batch, 1)), []
    for t in range(episode.steps):
        y = np.tanh(h @ w.T + episode.inputs[:, t] @ u.T + b)
        slopes.append(np.log(np.abs(0.7 + 0.3 * (1 - y**2) * w[0, 0])))
        h = 0.7 * h + 0.3 * y
    assert forgetting(made, episode) == pytest.approx(-np.mean(slopes), rel=1e-9)


@pytest.mark.parametrize(("leak", "fits"), [(0.1, True), (0.2, False)])
def test_it_says_yes_at_a_tenth_and_no_at_a_fifth(leak, fits):
    """N = 16, T = 60, in double precision and to 1e-9: the first can be carried forward, the second cannot."""
    network = {"layers": [{"cell": {"name": "leaky_tanh", "units": 16, "leak": leak}}]}
    learned = rule("fpe")
    for seed in range(5):
        episode = random_episode(seed, steps=60)
        made, exact = (built(network, learned, episode, seed=seed) for _ in range(2))
        assert horizon(made, exact, episode, 1e-9).fits == fits


def test_a_noisier_machine_has_a_nearer_horizon():
    learned, episode = rule("fpe"), random_episode()
    reach = []
    for noise in (1e-4, 1e-3, 1e-2):
        on = {"like": "ideal_crossbar", "parts": {"registers": {"noise": noise}}}
        made = built("lru", learned, episode, on=on)
        exact = built("lru", learned, episode)
        reach.append(horizon(made, exact, episode))
    assert reach[0].fresh_steps > reach[1].fresh_steps > reach[2].fresh_steps
    rate = reach[0].rate
    assert rate == reach[2].rate
    assert rate < log(1 / 0.89)
