"""Expected cosines of gradients: closed forms beside the gradients of random linear modes, drawn and summed here.

A mode is h_t = λ h_{t-1} + x_t with λ of random phase, and its losses send normal errors g, independent of x. The
gradients are summed over all pairs of a loss and an input, as their definition says.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest
from conftest import close
from scipy.integrate import quad
from scipy.stats import norm

from hwsim.experiments.alignment import Bins, Coherence, Modes, Sums, Task, clipped, coherence_of_modes, expected
from hwsim.experiments.prospect import coherence
from hwsim.learning.keeps import Keeps, Lags


def layer(*radii: float, drive: float = 1.0, loss: float = 1.0, **errors: Any) -> Modes:
    rates = -np.log(np.array(radii))
    like = np.ones_like(rates)
    noise = {"state_noise": 0 * like, "error_noise": 0 * like, **errors}
    return Modes(rates, drive * like, loss * like, **noise)


def found(modes: Modes, kept: Keeps, steps: int, loss_from: int = 0) -> tuple[float, float]:
    (each,) = expected([modes], [kept], Task(steps, loss_from))
    return each.recurrent.cosine, each.input.cosine


def drawn(radii: list[float], steps: int, loss_from: int, lags: Lags, draws: int = 4000) -> tuple[float, float]:
    """Cosines of the recurrent and of the input gradient whose errors are cut, over many sequences of all modes."""
    draw = np.random.default_rng(1)
    sums = np.zeros((2, 3))
    for radius in radii:
        lam = radius * np.exp(2j * np.pi * draw.random(draws))
        x, g = draw.normal(size=(2, draws, steps, 2)) @ np.array([1, 1j])
        g[:, :loss_from] = 0
        h = np.zeros((draws, steps + 1), complex)
        for t in range(steps):
            h[:, t + 1] = lam * h[:, t] + x[:, t]
        exact, mine = np.zeros((2, draws), complex), np.zeros((2, draws), complex)
        for u in range(loss_from, steps):
            cut = draw.integers(lags.least, lags.most + 1, size=draws)
            for t in range(u + 1):
                delta = np.conj(lam) ** (u - t) * g[:, u]
                terms = np.array([delta * np.conj(h[:, t]), delta * np.conj(x[:, t])])
                exact += terms
                mine += terms * (u - t < cut)
        for group, (m, e) in enumerate(zip(mine, exact, strict=True)):
            sums[group] += [(a * np.conj(b)).real.sum() for a, b in ((m, e), (m, m), (e, e))]
    return tuple(common / sqrt(one * other) for common, one, other in sums)  # type: ignore[return-value]


@pytest.mark.parametrize("loss_from", [0, 19])
@pytest.mark.parametrize("lags", [Lags(1, 1), Lags(5, 5), Lags(1, 6), Lags(20, 20)], ids=str)
def test_cosines_of_errors_that_are_cut_are_those_of_drawn_modes(lags: Lags, loss_from: int) -> None:
    """Cuts that differ by step are drawn for each loss and sequence; so many draws tell a cosine to 0.01."""
    radii = [0.5, 0.8, 0.95]
    theirs = drawn(radii, 20, loss_from, lags)
    mine = found(layer(*radii), Keeps((lags,)), 20, loss_from)
    assert mine == close(theirs, rel=0, abs=0.03)


def test_in_a_long_sequence_one_step_keeps_what_the_closed_form_says() -> None:
    """One mode: 1/√(1 + q) of the recurrent gradient, √(1 - q) of the input gradient."""
    q = 0.81
    recurrent, input_ = found(layer(0.9), Keeps((Lags.up_to(1),)), 10**6)
    assert recurrent == close(1 / sqrt(1 + q), rel=1e-2)  # lags come in bins of 5 %
    assert input_ == close(sqrt(1 - q), rel=1e-3)


def test_what_keeps_all_lags_is_exact_without_errors_of_the_machine() -> None:
    for steps in (1, 7, 300, 10**5):
        assert found(layer(0.3, 0.99), Keeps((Lags.up_to(steps),), inverted=(steps,)), steps) == close((1.0, 1.0))


def test_noise_of_errors_adds_to_what_a_rule_finds() -> None:
    """Noise of a share ρ² of the power of g is carried as g is, so that the cosine is 1/√(1 + ρ²)."""
    kept = Keeps((Lags.up_to(50),))
    modes = layer(0.9, error_noise=np.array([0.25]))
    assert found(modes, kept, 50)[1] == close(1 / sqrt(1.25))


def test_noise_of_losses_is_noise_of_errors() -> None:
    kept = Keeps((Lags.up_to(50),))
    of_losses, of_errors = layer(0.9, loss_noise=0.25), layer(0.9, error_noise=np.array([0.25]))
    assert found(of_losses, kept, 50) == close(found(of_errors, kept, 50))


def test_directions_weigh_what_their_gradient_does() -> None:
    """Of two directions, the state of one is all noise; its share of the gradient says what that costs."""
    kept, noise = Keeps((Lags.up_to(50),)), np.array([0.0, 1.0])
    recurrent, _ = found(layer(0.9, 0.9, state_noise=noise), kept, 50)
    assert recurrent == close(1 / sqrt(1.5))
    for share in (0.0, 0.1, 1.0):
        powers = np.array([1 - share, share]), np.array([1.0, 1.0])
        recurrent, _ = found(layer(0.9, 0.9, state_noise=noise, powers=powers), kept, 50)
        assert recurrent == close(1 / sqrt(1 + share))


def test_terms_that_agree_stand_out_of_noise() -> None:
    """The gradient has k times the power of its terms, which fresh noise has not; a frozen mismatch agrees too."""
    kept, k = Keeps((Lags.up_to(50),)), 9.0
    agreeing = layer(0.9, error_noise=np.array([0.25]), coherence=Coherence(input=k))
    assert found(agreeing, kept, 50)[1] == close(1 / sqrt(1 + 0.25 / k))
    assert found(agreeing, kept, 50)[0] == close(found(layer(0.9, error_noise=np.array([0.25])), kept, 50)[0])
    frozen = [found(layer(0.9, mismatch=0.02, coherence=Coherence(c, c)), kept, 50) for c in (1.0, k)]
    assert frozen[0] == close(frozen[1])


def test_errors_of_a_readout_are_beside_what_lags_leave_of_it() -> None:
    """The readout below loses errors of later steps, and to its circuits a factor of the cosine."""
    kept, circuits = Keeps((Lags.up_to(50),), sends=(Lags.up_to(1),)), Sums(common=8.0, mine=9.0, exact=10.0)
    (quiet, _), (noisy, _) = (
        expected([layer(0.5, readout=each), layer(0.9)], [kept] * 2, Task(50, 0)) for each in (Sums(1, 1, 1), circuits)
    )
    assert quiet.readout.cosine < 0.9
    assert noisy.readout.cosine == close(circuits.cosine * quiet.readout.cosine)


def test_coherence_is_that_of_all_products() -> None:
    rng = np.random.default_rng(1)
    errors, factors = rng.normal(size=(7, 3, 4)) + 0.5, rng.normal(size=(7, 3, 5)) - 0.5
    terms = errors[..., :, None] * factors[..., None, :]
    assert coherence(errors, factors) == close(np.square(terms.sum((0, 1))).sum() / np.square(terms).sum())
    alike = np.ones((7, 3, 2))
    assert coherence(alike, alike) == close(21.0)
    assert coherence(alike * 0, alike) == 1.0


@pytest.mark.parametrize("loss_from", [0, 19])
def test_coherence_of_modes_is_that_of_drawn_ones(loss_from: int) -> None:
    """40,000 sequences tell the powers of sums to 1 %."""
    rng, radii, steps, draws = np.random.default_rng(1), np.array([0.5, 0.9]), 20, 40000
    whole, terms = 0.0, 0.0
    for radius in radii:
        lam = radius * np.exp(2j * np.pi * rng.random(draws))
        u, g = rng.normal(size=(2, steps, draws, 2)) @ np.array([1, 1j])
        g[:loss_from] = 0
        states, errors = np.zeros((steps + 1, draws), complex), np.zeros((steps + 1, draws), complex)
        for step in range(steps):
            states[step + 1] = lam * states[step] + u[step]
        for step in reversed(range(steps)):
            errors[step] = np.conj(lam) * errors[step + 1] + g[step]
        each = errors[:-1] * np.conj(states[:-1])
        whole, terms = whole + np.square(np.abs(each.sum(0))).sum(), terms + np.square(np.abs(each)).sum()
    found = coherence_of_modes(radii**2, np.ones(2), Task(steps, loss_from))
    assert found == close(whole / terms, rel=0.04)


def test_inverted_errors_are_lost_where_the_law_of_precision_says() -> None:
    """ε |λ|^-T = 1 where T = ln(1/ε) / ln(1/|λ|), here 100 steps: five less are good, five more are not."""
    rate, epsilon = 0.1, np.exp(-10.0)
    modes = layer(np.exp(-rate), relative=epsilon)
    for steps, good in ((85, True), (120, False)):
        assert (found(modes, Keeps((Lags.up_to(steps),), inverted=(steps,)), steps)[1] > 0.9) == good


def test_a_layer_below_gets_what_the_layer_above_sends() -> None:
    """rtrl sends errors of the same step alone: the lower layer keeps √(1 - q) of its input gradient, for fast modes of
    its own. Windows cut both ways together."""
    upper, lower, task = layer(0.9), layer(1e-3), Task(4000, 0)
    every = (Lags.up_to(4000),)
    below, above = expected([lower, upper], [Keeps(every, sends=(Lags.up_to(1),))] * 2, task)
    assert above.input.cosine == close(1.0)
    assert below.input.cosine == close(sqrt(1 - 0.81), rel=1e-2)
    assert below.readout.cosine == close(sqrt(1 - 0.81), rel=1e-2)
    window = expected([lower, upper], [Keeps((Lags.up_to(3),), jointly=True)] * 2, task)[0]
    assert window.input.cosine == close(sqrt(1 - 0.81**3), rel=1e-2)
    apart = expected([lower, upper], [Keeps((Lags.up_to(3),))] * 2, task)[0]
    assert apart.input.cosine == close(sqrt(1 - 0.81**3), rel=1e-2)


def test_random_feedback_is_expected_to_have_nothing_to_do_with_the_gradient() -> None:
    kept = Keeps((Lags.up_to(9),), aligned=False)
    below, top = expected([layer(0.5)] * 2, [kept] * 2, Task(9, 0))
    assert (below.input.cosine, below.readout.cosine, top.recurrent.cosine) == (0, 0, 0)
    assert top.readout.cosine == close(1.0)


@pytest.mark.parametrize("limit", [0.1, 1.0, 2.5])
def test_gain_and_power_of_a_normal_value_that_saturates(limit: float) -> None:
    def mean(of: Any) -> float:
        return float(quad(lambda x: of(x) * norm.pdf(x), -12, 12, points=[-limit, limit])[0])

    gain, square = clipped(limit)
    assert gain == close(mean(lambda x: x * np.clip(x, -limit, limit)), rel=1e-6)
    assert square == close(mean(lambda x: np.clip(x, -limit, limit) ** 2), rel=1e-6)


def test_bins_hold_all_lags_once() -> None:
    for steps in (1, 64, 65, 1000):
        bins = Bins.up_to(steps)
        assert bins.start[0] == 0
        assert list(bins.start[1:]) == list(bins.stop[:-1])
        assert bins.stop[-1] == steps
        assert bins.powers(np.array([0.9]))[0].sum() == close((1 - 0.9**steps) / (1 - 0.9))
        assert bins.powers(np.array([1.0]))[0].sum() == close(steps)


def test_sums_add_up_at_the_size_that_gradients_have() -> None:
    half = Sums(0.0, 1.0, 1.0).scaled(3.0) + Sums(1.0, 1.0, 1.0).scaled(1.0)
    assert half.cosine == close(0.25)
    assert Sums().cosine == 0
