"""The horizon: its closed form, what it measures of a network, and what it says of the cases with a known answer."""

from math import exp, inf, log, nan, sqrt

import numpy as np
import pytest
from conftest import NETWORKS, Sized, built, close, horizon, random_episode, rule
from hypothesis import given
from hypothesis import strategies as st

from hwsim import learning
from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.experiments.footprint import footprint
from hwsim.experiments.forgetting import fastest, rates
from hwsim.experiments.run import run
from hwsim.learning.diagnostics import Diagnostic, Look
from hwsim.learning.fpe import FPE
from hwsim.learning.horizon import Horizon, Precision
from hwsim.machine import UnitErrors
from hwsim.reports import answers, tables

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
    assert Horizon(asked.fresh_steps, rate, fresh, frozen).fresh_error == close(asked.tolerance, rel=1e-6)
    assert Horizon(asked.frozen_steps, rate, fresh, frozen).frozen_error == close(asked.tolerance)


def test_without_forgetting_or_without_noise():
    assert Horizon(100, 0.0, 0.01, 0).fresh_error == close(0.1)
    assert Horizon(100, 0.0, 0.01, 0).fresh_steps == close(400)
    assert Horizon(10**6, 0.1, 1e-16, 0).fresh_error == inf
    assert Horizon(100, 0.0, 1e-16, 0).frozen_steps == inf


def test_a_diagonal_recurrence_forgets_as_fast_as_its_smallest_eigenvalue():
    episode = random_episode()
    made = built("lru", rule("fpe"), episode)
    nu = next(trainable for trainable in made.trainables if trainable.name.endswith("nu")).master.value[0]
    assert fastest(rates(made, episode)) == close(np.exp(nu).max(), rel=1e-9)  # |λ| = exp(-exp(ν))


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
    assert fastest(rates(made, episode)) == close(-np.mean(slopes), rel=1e-9)


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


# ---- what is no number, or at the end of them ----------------------------------------------------------------


def of(network, on, chips=1, spoil=lambda made: None, episode=None):
    """The horizon of a network whose weights are spoilt first."""
    learned, episode = rule("fpe"), episode or random_episode()
    made = built(network, learned, episode, on=on, chips=chips)
    spoil(made)
    with np.errstate(all="ignore"):
        return horizon(made, built(network, learned, episode), episode)


@pytest.mark.parametrize("network", ["lru stack", "tanh stack"])
@pytest.mark.parametrize("on", ["ideal", "digital_45nm", "pcm_crossbar"])
def test_there_is_no_horizon_for_weights_that_are_no_numbers(network, on):
    """Wherever they are: in the recurrence, before it or behind it, in the first layer or the last."""
    assert of(network, on).rate > 0
    for number in range(len(built(network, rule("fpe"), random_episode()).trainables)):
        for value in (np.nan, np.inf):

            def spoil(made, number=number, value=value):
                made.trainables[number].master.value.ravel()[-1] = value

            assert of(network, on, spoil=spoil) is None


def test_the_horizon_is_that_of_a_chip_that_has_numbers():
    def shifted(made, lost=slice(0, 0)):
        for trainable in made.trainables:
            trainable.master.value[1:] *= 1.01
            trainable.master.value[lost] = np.nan

    first, second = of("lru", "pcm_crossbar", 3), of("lru", "pcm_crossbar", 1, lambda made: scaled(made, 1.01))
    assert first != second
    assert of("lru", "pcm_crossbar", 3, shifted) == first
    assert of("lru", "pcm_crossbar", 3, lambda made: shifted(made, slice(1, 3))) == first
    assert of("lru", "pcm_crossbar", 3, lambda made: shifted(made, slice(0, 1))) == second
    assert of("lru", "pcm_crossbar", 3, lambda made: shifted(made, slice(0, 3))) is None


def scaled(made, factor):
    for trainable in made.trainables:
        trainable.master.value *= factor


def test_errors_beyond_all_numbers_leave_none():
    """Weights that are numbers and make of the exact errors what is none; noise has nothing to be beside."""

    def huge(made):
        for trainable in made.trainables:
            if trainable.group == "readout":
                trainable.master.value[:] = 1e38

    deep = {"layers": [{**NETWORKS["lru"]["layers"][0], "readout": {"hidden": [5] * 9}}]}
    assert of(deep, "pcm_crossbar", spoil=huge) is None


@pytest.mark.parametrize("network", ["lru", "lru stack"])
def test_what_is_forgotten_at_once_cannot_be_carried_a_step(network):
    """λ = 0 in one mode of one layer, whichever."""
    layers = len(NETWORKS[network]["layers"])
    for place in range(layers):

        def spoil(made, place=place):
            nus = [trainable for trainable in made.trainables if trainable.name.endswith("nu")]
            nus[place].master.value[..., 0] = 10  # |λ| = exp(-exp(ν)) is no longer above zero

        found = of(network, "digital_45nm", spoil=spoil)
        assert (found.rate, found.fresh_error, found.fresh_steps, found.fits) == (inf, inf, 0, False)


def test_one_layer_that_is_no_number_is_enough():
    learned, episode = rule("fpe"), random_episode()
    for place in (0, 1):
        made = built("lru stack", learned, episode)
        nus = [trainable for trainable in made.trainables if trainable.name.endswith("nu")]
        nus[place].master.value[..., 0] = np.nan
        made.program()
        with np.errstate(all="ignore"):
            assert np.isnan(fastest(rates(made, episode)))


def test_errors_that_shrink_may_never_reach_the_tolerance():
    """Where all directions grow, errors carried forward shrink: their sum is bounded."""
    assert Horizon(100, -0.1, 1e-16, 0).fresh_steps == inf
    assert Horizon(100, -0.1, 1e-16, 0).fits
    near = Horizon(1, -0.1, 0.19, 0)
    assert Horizon(near.fresh_steps, -0.1, 0.19, 0).fresh_error == close(near.tolerance, rel=1e-6)


def test_errors_that_have_all_but_vanished_are_drowned_in_noise():
    made = built("lru", rule("fpe"), random_episode(), on="pcm_crossbar")
    assert Precision.of(Sized(made.machine, 1e-170)).fresh > 1e160
    assert np.isnan(Precision.of(Sized(made.machine, np.nan)).fresh)


# ---- what a rule says of it ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "where"), [(98, "within"), (150, "beyond")])
def test_the_horizon_is_the_shorter_of_its_two_limits(steps, where):
    frozen, fresh = Horizon(steps, 0.0, 1e-3, 0.2 / 123.4), Horizon(steps, 0.0, 0.2 / 11, 1e-6)
    assert frozen.verdict == f"for the circuits that carry errors, {steps} steps are {where} the horizon of " + (
        "123 (by frozen errors)"
    )
    assert fresh.reached == "121 (by fresh errors)"
    first, *rest = frozen.diagnostics()
    assert (first.name, first.words, first.verdict) == ("horizon", frozen.reached, frozen.verdict)
    assert (first.good, first.value) == (where == "within", frozen.frozen_steps)
    assert {each.name: each.value for each in rest} == {
        "horizon_fresh_steps": frozen.fresh_steps,
        "horizon_frozen_steps": frozen.frozen_steps,
    }


class Fixed(Look):
    """A look that finds what it is told, on units of these errors."""

    steps = 98

    def __init__(self, missing, rate=0.01):
        self.missing, self.rate = missing, rate

    def forgetting(self):
        return self.rate

    def rates(self):
        return {}

    def errors(self, operation):
        return UnitErrors(operation.name, 5e-4, 0.0, 7e-5, 0.0)

    def size(self):
        return 1.0

    def differences(self, name):
        return self.missing if name == "residual" else {}


def test_errors_that_miss_their_end_are_reported_before_the_horizon():
    learned = rule({"name": "fpe", "tolerance": 0.2})
    missing = {"layer 1": 0.05, "layer 2": 0.234, "layer 3": inf}
    residual, *others = learned.diagnostics(Fixed(missing))
    assert (residual.name, residual.value, residual.good) == ("end_residual", missing, False)
    assert "were off by 23% in layer 2, more than any number in layer 3. Fresh noise" in residual.verdict
    assert others == learned.horizon(Fixed(missing)).diagnostics()
    assert learned.diagnostics(Fixed({"layer 1": 0.05}))[0].verdict is None
    assert rule("rtrl").diagnostics(Fixed(missing)) == []
    assert learned.diagnostics(Fixed(missing, rate=nan)) == []


def test_a_rule_says_over_how_many_steps_it_carries_errors(monkeypatch):
    """One that finds errors anew every four steps has a horizon of four; all that reports show comes from that."""

    class Anchored(FPE):
        def horizon(self, look):
            return Horizon.of(4, look.forgetting(), Precision.of(look), 0.5)

    monkeypatch.setattr(learning, "build", lambda options: Anchored(options))
    task = {"name": "random", "steps": 9, "width": 2, "train": 8, "test": 4}
    training = {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 4, "steps": 2}
    data = {"name": "own", "task": task, "network": NETWORKS["lru"], "machine": "digital_45nm", "training": training}
    asked = config.compose(Document("test", {**data, "learning": {"name": "fpe"}}))
    found = run(asked)
    said = found.summary.systems["substrate"]
    assert (said.horizon.steps, said.horizon.tolerance) == (4, 0.5)
    (line, *_) = tables.remarks(found.summary.systems)
    assert "4 steps are within the horizon of" in line
    assert said.diagnostics[1].value == min(said.horizon.fresh_steps, said.horizon.frozen_steps or inf)
    assert list(found.metrics["horizon_fresh_steps"])[-1] == said.horizon.fresh_steps
    assert any(moment.when.endswith("to find its horizon, simulating it") for moment in footprint(asked).moments)


def test_a_rule_without_a_horizon_may_report_what_it_likes(monkeypatch):
    class Telling(type(rule("one_step"))):
        def diagnostics(self, look):
            return [Diagnostic("reach", "steps", "steps that errors reach", 1.0, "one", "errors reach one step", False)]

    monkeypatch.setattr(learning, "build", lambda options: Telling(options))
    data = {"name": "own", "network": NETWORKS["lru"], "machine": "digital_45nm", "learning": {"name": "one_step"}}
    data |= {
        "task": {"name": "random", "steps": 5, "width": 2, "train": 8, "test": 4},
        "gradient_check": {"sequences": 2},
    }
    asked = config.compose(Document("test", data))
    found = run(asked)
    said = found.summary.systems["substrate"]
    assert said.horizon is None
    assert [each.name for each in said.diagnostics] == ["reach", "error_change"]
    first, second = tables.remarks(found.summary.systems)
    assert first == "substrate: errors reach one step; at the initial weights it was one."
    assert second == "substrate: 5 steps back from the last loss, exact errors are kept in layer 1."
    assert answers.warnings(found.summary.systems)[0] == (
        "substrate (one_step): errors reach one step; at the initial weights it was one."
    )
    assert found.metrics["horizon_fresh_steps"].isna().all()
    assert not any("horizon" in moment.when for moment in footprint(asked).moments)
