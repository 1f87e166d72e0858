"""NeuroBench's Mackey-Glass series, and its score in closed loop against a roll-out in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import close
from pydantic import TypeAdapter, ValidationError

from hwsim import tasks
from hwsim.columns import MEASURES
from hwsim.config import experiment as config
from hwsim.experiments.run import run
from hwsim.tasks import delay_series
from hwsim.tasks.folder import data_folder
from hwsim.tasks.measure import smape

OPTIONS = TypeAdapter(tasks.AnyOptions)


def made(**options: Any) -> Any:
    return OPTIONS.validate_python({"name": "mackey_glass", **options})


def test_a_linear_decay_is_solved_to_the_last_digits() -> None:
    """Where nothing is made, x decays as e^(-0.1 t): from 1e20, of which x¹⁰ leaves no production."""
    found = delay_series.solved(17, 1e20, 40, 100)
    np.testing.assert_allclose(found, 1e20 * np.exp(-0.017 * np.arange(len(found))), rtol=1e-13)


@pytest.mark.parametrize("tau", [17, 22, 30])
def test_series_follow_their_equation(tau: int) -> None:
    """Heun's method, which has nothing in common with the solver, with 400 steps a unit of time."""
    lyapunov, start = delay_series.DELAYS[tau]
    fine, end = 400, lyapunov
    x = np.full(tau * fine + end * fine + 1, start)
    for now in range(tau * fine, len(x) - 1):
        late, behind = x[now - tau * fine], x[now - tau * fine + 1]
        slope = 0.2 * late / (1 + late**10) - 0.1 * x[now]
        guess = x[now] + slope / fine
        x[now + 1] = x[now] + 0.5 * (slope + 0.2 * behind / (1 + behind**10) - 0.1 * guess) / fine
    at = tau * fine + np.arange(76) * fine * end / 75
    expected = np.interp(at, np.arange(len(x)), x)
    np.testing.assert_allclose(delay_series.series(tau, 0, 76), expected, atol=2e-5)
    assert expected.std() > 0.1


def test_repeats_begin_half_a_lyapunov_time_apart() -> None:
    whole = delay_series.series(17, 0, 400)
    for repeat, first in ((1, 37), (2, 75), (5, 187)):
        np.testing.assert_array_equal(delay_series.series(17, repeat, 50), whole[first : first + 50])


@pytest.mark.data
def test_series_are_those_of_another_solver() -> None:
    """Runge and Kutta's method with steps of 0.02; within two Lyapunov times, before errors have grown."""
    path = data_folder() / "mackey_glass" / "mg14_rk4.npz"
    if not path.exists():
        pytest.skip("the Mackey-Glass series are not in the data folder")
    with np.load(path) as archive:
        for tau, lyapunov, start, values in zip(
            *(archive[key] for key in ("tau", "lyap", "x0", "series")), strict=True
        ):
            assert delay_series.DELAYS[int(tau)] == (int(lyapunov), float(start))
            np.testing.assert_allclose(delay_series.series(int(tau), 0, 150), values[:150], atol=5e-5)


def test_the_error_is_that_of_neurobench() -> None:
    """200 mean(|p - y| / (|p| + |y|)), and 200 where that is no number."""
    predicted, wanted = np.array([[[0.2], [-1.0]], [[np.nan], [0.0]]]), np.array([[0.7], [0.4]])
    measure = smape(1.0)
    found = measure.of(predicted, wanted) / 2
    assert found[0] == close(100 * (0.5 / 2.9 + 1.4 / 1.4), rel=1e-13)
    assert np.isnan(found[1])
    assert (measure.key in MEASURES, measure.undefined) == (True, 200)
    exact = measure.of(wanted[None], wanted)
    assert exact.tolist() == [0]


def test_neurobench_says_how_long_series_are() -> None:
    options = made(neurobench={"tau": 18, "repeat": 3}, window=50)
    data = tasks.build(options, 1)
    for episode in (data, tasks.outline(options)):
        train, test = episode
        assert (train.batch, train.lanes, train.steps) == (15, 1, 50)
        assert (test.batch, test.steps, test.free_from, test.loss_from) == (1, 1500, 751, 750)
    whole = delay_series.series(18, 3, 1501)
    np.testing.assert_array_equal(data.train.inputs.ravel(), whole[:750] - 1)
    assert data.test.values is not None
    np.testing.assert_array_equal(data.test.values.ravel(), whole[1:] - 1)
    for key, value in (("steps", 100), ("free_from", 50), ("train", 2), ("test", 1)):
        with pytest.raises(ValidationError, match=f"{key}: NeuroBench says that; leave it out"):
            made(neurobench={}, **{key: value})
    with pytest.raises(ValidationError, match="window: 751 steps are more than a series has, 750"):
        made(neurobench={}, window=751)


def test_the_score_in_closed_loop_is_that_of_a_roll_out() -> None:
    """After some updates on the exact machine, NumPy takes the weights, the series and the loop by itself."""
    found = run(
        config.load(
            {
                "name": "loop",
                "task": {"name": "mackey_glass", "window": 50, "neurobench": {"tau": 17, "repeat": 1}},
                "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 6, "leak": 0.4}}], "output_scale": 2.0},
                "learning": {"name": "bptt"},
                "machine": "ideal",
                "training": {"optimizer": {"name": "adam", "rate": 0.01}, "batch": 1, "steps": 30},
            }
        )
    )
    W, U, b, V, c = found.weights().values()
    series = delay_series.series(17, 1, 1501)
    h, x, predicted = np.zeros(6), np.zeros(1), []
    for t in range(1500):
        x = series[t : t + 1] - 1 if t <= 750 else predicted[-1]
        h = 0.6 * h + 0.4 * np.tanh(W @ h + U @ x + b)
        predicted.append(2.0 * (V @ h + c))
    p, y = np.array(predicted[750:]).ravel() + 1, series[751:]
    expected = 200 * np.mean(np.abs(p - y) / (np.abs(p) + np.abs(y)))
    system = found.summary.systems["substrate"]
    assert system.loss is not None
    assert system.measures["smape"].median == close(expected, rel=1e-10)
    assert system.loss.median == close(0.5 * np.square(p - y).mean(), rel=1e-10)
    assert p.std() > 1e-3
