"""The specification inverter recovers a known threshold, and says so where there is none."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from conftest import close

from hwsim.config import experiment as config
from hwsim.config.experiment import Experiment
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.experiments.properties import Property, properties
from hwsim.experiments.specification import Search, specification
from hwsim.reports import specification as report
from hwsim.results.limits import Method
from hwsim.results.paired import PairedDifference
from hwsim.results.specification import Sought, Specification, Threshold

SMALL: dict[str, Any] = {
    "name": "small",
    "seed": 5,
    "task": {"name": "random", "steps": 5, "width": 3, "train": 32, "test": 8},
    "network": {"layers": [{"cell": {"name": "lru", "modes": 4, "r_min": 0.9}, "readout": {"hidden": [5]}}]},
    "learning": {"name": "fpe"},
    "machine": "ideal_crossbar",
    "chips": 2,
    "gradient_check": {"sequences": 4},
    "training": {"optimizer": {"name": "sgd", "rate": 0.05}, "batch": 4, "epochs": 1},
}
TRIED = tuple(float(each) for each in np.geomspace(1e-3, 10, 511))


def small(**changes: Any) -> Experiment:
    return config.compose(Document("test", json.loads(json.dumps(SMALL | changes))))


def sought(**changes: Any) -> Sought:
    return Sought("noise", "noise", "a made one", "%", 0.1, 0.0, TRIED)._replace(**changes)


def searched(draws: np.ndarray, threshold: float, groups: list[slice]) -> Search:
    """A search where a noise of σ takes a unit vector g to g + σ ξ, whose cosine is 1 / √(1 + σ² |ξ|²)."""
    size = (draws**2).sum(-1)
    search = Search(Property(sought(), lambda value: value), np.ones(len(size)), np.ones(len(size)), threshold, groups)
    while wanted := search.wanted:
        search.learn({number: 1 / np.sqrt(1 + TRIED[number] ** 2 * size) for number in wanted})
    return search


def found(passed: tuple[int, ...], **changes: Any) -> Threshold:
    lost = PairedDifference(0.01, 0.005, 0.015, 3, 3, 0, "seeds")
    return Threshold(sought(**changes), lost, passed, "seeds")


def test_the_threshold_of_additive_noise_is_that_of_the_closed_form() -> None:
    """1 / √(1 + σ² n) = 1 - a at σ = √(((1 - a)⁻² - 1) / n), n numbers with ξ of variance 1, orthogonal to g.

    Twelve seeds; |ξ|² of n = 400 scatters by 7 %, so a threshold by 3.5 %, and its bias is below 0.2 %: the 95 %
    interval misses the truth in about 5 of 100 cases, and fewer than 12 of 20 intervals have it in 2 of 10⁷ tests.
    """
    allowed, n = 0.02, 400
    true = np.sqrt(((1 - allowed) ** -2 - 1) / n)
    draws, inside = np.random.default_rng(3), 0
    for _ in range(20):
        searches = [searched(draws.standard_normal((1, n)), allowed, [slice(None)]) for _ in range(12)]
        value, low, high = found(tuple(search.low[0] for search in searches)).needed
        assert value == close(true, rel=0.05)
        inside += low <= true <= high
    assert inside >= 12


def test_each_halving_is_of_the_values_that_remain() -> None:
    """With one group, 511 values take nine halvings; the last that passes and the first that fails are neighbours."""
    search = searched(np.ones((1, 1)), 0.02, [slice(None)])
    true = np.sqrt(0.98**-2 - 1)
    assert TRIED[search.low[0] - 1] < true <= TRIED[search.low[0]]


def test_one_seed_has_a_threshold_of_each_chip() -> None:
    draws = np.array([[1.0], [2.0]])
    search = searched(draws, 0.02, [slice(0, 1), slice(1, 2)])
    first, second = found(tuple(search.low)).values
    assert first / second == close(2.0, rel=0.02)


def test_what_no_value_fails_or_all_fail_is_said_with_the_range() -> None:
    none, every, some = found((511, 511)), found((0, 0)), found((511, 30))
    assert (none.state, every.state, some.state) == ("none fails", "all fail", "open")
    assert (none.good_enough, every.good_enough) == (True, False)
    assert np.isnan(none.needed).all()
    result = Specification(
        "x", "fpe", "m", "d", Method([1, 2], 2, 4, 8, None, None, None), "cosine", 0.02, [none, every]
    )
    text = " ".join(report.sentences(result))
    assert "needs any, up to 1e+03 %" in text
    assert "needs not even the best tried (0.1 %)" in text


@pytest.mark.parametrize(("now", "enough"), [(0.001, True), (9.0, False)])
def test_the_present_value_is_good_enough_below_the_interval_and_not_above(now: float, enough: bool) -> None:
    assert found((250, 255, 260), now=now).good_enough is enough


def test_of_states_fewer_are_worse() -> None:
    tried = tuple(float(each) for each in range(16, 1, -1))
    bits = found((9, 9, 9), tried=tried, whole=True, logarithmic=False, now=8)
    assert bits.needed[0] == 8  # nine pass: 16 to 8
    assert bits.good_enough is True
    assert bits._replace(sought=bits.sought._replace(now=6)).good_enough is False
    assert bits._replace(sought=bits.sought._replace(now=4)).factor == 0.5


def test_what_is_not_a_number_does_not_pass() -> None:
    search = Search(Property(sought(), lambda value: value), np.ones(1), np.ones(1), 0.02, [slice(None)])
    while wanted := search.wanted:
        search.learn({number: np.array([np.nan]) for number in wanted})
    assert search.low == [0]


@pytest.fixture(scope="module")
def measured() -> Specification:
    """Of a machine without errors, whose gradient is exact: a read noise, and a programming error."""
    names = "read noise", "programming error", "programming states"
    return specification(small(), seeds=3, chips=2, of=lambda each: each.sought.name in names)


def test_the_value_that_was_found_loses_what_is_allowed() -> None:
    """Of one chip: 3 % less read noise than was found loses less than 0.02 of the cosine, 3 % more loses more.

    Values that are tried are 1.8 % apart, and the same whatever the present one is. Nothing here is random.
    """

    def asked(experiment: Experiment) -> Threshold:
        found_ = specification(experiment, seeds=1, chips=1, of=lambda each: each.sought.name == "read noise")
        return found_.thresholds[0]

    first = asked(small())
    assert first.state == "found"
    knob = next(each for each in properties(small().machine)[0] if each.sought.name == "read noise")
    for factor, passes in ((0.97, True), (1.03, False)):
        machine = knob.at(factor * first.values[0])
        again = asked(small().model_copy(update={"machine": machine}))
        assert (again.lost.mean < 0.02) is passes
        assert again.sought.now == close(factor * first.values[0])
        assert again.passed == first.passed


def test_the_same_seed_gives_the_same_bytes_and_reads_back(measured: Specification) -> None:
    plain = json.dumps(measured.plain())
    back = Specification.of(json.loads(plain))
    assert json.dumps(back.plain()) == plain
    pairs = zip(back.table.to_dict("records"), measured.table.to_dict("records"), strict=True)
    assert all(str(one) == str(other) for one, other in pairs)


def test_values_of_a_sheet_are_those_that_its_law_gives() -> None:
    """Additive read noise of 1 % of g_max is, over the window from 50 to 225 µS, 1 % × 225 / 175 of its width."""
    found_, absent = properties(small(machine={"like": "pcm_crossbar", "device": "rram_milo"}).machine)
    knobs = {each.sought.name: each for each in found_}
    assert knobs["read noise"].sought.now == close(0.00707 * 225 / 175)
    assert knobs["programming states"].sought.now == round(175 / 1.8) + 1
    twice = knobs["read noise"].at(2 * knobs["read noise"].sought.now)
    assert twice.device.read_noise.deviation_of_g_max == close(2 * 0.00707)
    assert [name for name, _ in absent] == ["drift", "response to pulses"]


def test_drift_is_asked_about_at_an_age() -> None:
    machine = small(machine="pcm_crossbar").machine
    aged = [each for each in properties(machine, 3600.0)[0] if each.after is not None]
    assert [(each.sought.name, each.after, each.compensated) for each in aged] == [
        ("drift", 3600.0, False),
        ("drift, compensated", 3600.0, True),
    ]


def test_relaxation_is_asked_about_at_an_age() -> None:
    """σ of CMO cells after an hour is 0.0420 ln 3600 + 0.4118 = 0.7558 µS."""
    machine = small(machine={"like": "pcm_crossbar", "device": "rram_cmo_hfox"}).machine
    aged = [each for each in properties(machine, 3600.0)[0] if each.after is not None]
    assert [each.sought.name for each in aged] == ["relaxation", "relaxation, compensated"]
    assert aged[0].sought.now * machine.device.window == close(0.04201137e-6 * np.log(3600) + 0.41183342e-6)
    half = aged[0].at(aged[0].sought.now / 2).device.drift
    assert half.moments(3600.0) == close(np.array(machine.device.drift.moments(3600.0)) / 2)


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(ConfigError, match="no devices"):
        specification(small(machine="digital_45nm"))
    with pytest.raises(ConfigError, match="above 0 and below 1"):
        specification(small(), allowed=2)
    with pytest.raises(ConfigError, match="no classes"):
        specification(small(task={"name": "mackey_glass"}), measure="accuracy")
    with pytest.raises(ConfigError, match=r"seeds .0.: must be at least 1"):
        specification(small(), seeds=0)


def test_an_interval_is_told_as_far_as_it_was_tried() -> None:
    """Two seeds far apart have an interval by Student's t that no value tried lies in."""
    wide = found((100, 400))
    assert wide.needed[1] < TRIED[0]
    assert wide.within[1:] == (TRIED[0], TRIED[-1])
    assert "(below 0.1 % to above 1e+03 %)" in report.said(wide)


def test_seeds_between_the_same_two_values_have_an_interval_as_wide_as_these_are_apart() -> None:
    assert found((250, 250, 250)).needed[1:] == close((TRIED[249], TRIED[250]))


def test_drift_that_does_good_is_explained() -> None:
    gained = PairedDifference(-0.11, -0.15, -0.07, 5, 5, 0, "seeds")
    drift = found((511, 511), name="drift", unit="")._replace(lost=gained)
    result = Specification("x", "fpe", "m", "d", Method([1, 2], 2, 4, 8, None, None, None), "cosine", 0.02, [drift])
    text = " ".join(report.sentences(result))
    assert "Better with it than without: drift (+0.110 ± 0.040)." in text
    assert "Drift makes all weights smaller." in text


def test_pulses_are_asked_about_where_they_change_weights() -> None:
    with pytest.raises(ConfigError, match="pulses change no weights in place"):
        specification(small(), measure="change")
    programmed = small(
        machine={"like": "ideal_crossbar", "device": "reram_sb"}, task={"name": "digits", "order": "rows"}
    )
    found_ = specification(
        programmed,
        measure="accuracy",
        seeds=1,
        chips=1,
        updates=1,
        of=lambda each: each.sought.name == "noise of pulses",
    )
    assert found_.thresholds == []
    assert found_.untried[-1] == (
        "noise of pulses",
        "it shows only while devices are pulsed in place: measure by the change",
    )
