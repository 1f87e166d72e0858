"""A readout on its own: its output and its gradient against automatic differentiation of its equations."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
from autograd import grad
from autograd import numpy as anp
from conftest import random_episode
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.machine import Machine, Register, Signal
from hwsim.networks.readout import Options, Readout, parameters
from hwsim.records import GRADIENT

WIDTH, ANSWERS, BATCH, STEPS = 6, 3, 4, 2
KINDS = [
    {"norm": norm, "hidden": hidden, **project}
    for norm, hidden, project in product((False, True), ([], [5], [5, 4]), ({}, {"project": 7}))
]


class Found(NamedTuple):
    """What a readout said of states, the error at the state, and its gradient; arrays have a first axis of steps."""

    outputs: np.ndarray
    errors: np.ndarray | None
    gradient: dict[str, np.ndarray]


def built(options: dict[str, Any], chips: int = 1) -> tuple[Machine, Readout]:
    """A readout of which no parameter is zero."""
    stage = Machine(chips=chips, seed=4)
    made = Readout(stage, "r", Options.model_validate(options), WIDTH, WIDTH, ANSWERS)
    draw = np.random.default_rng(5)
    for trainable in made.trainables:
        trainable.master.value = trainable.master.value + 0.3 * draw.normal(size=trainable.master.value.shape)
        trainable.begin_training()
    for _ in stage.phase("programming"):
        made.program()
    stage.journal.close_batch(1)
    return stage, made


def found(
    stage: Machine, made: Readout, h: np.ndarray, error: np.ndarray, learn: bool = True, onward: bool = True
) -> Found:
    """Show states and errors at the output, `(batch, n)`, in each of two steps."""
    seen: dict[str, list[np.ndarray]] = {"y": [], "g": []}
    for name, values in seen.items():
        stage.watchers[name] = lambda value, values=values: values.append(value[0].copy())  # type: ignore[misc]
    episode = random_episode(batch=len(h), steps=STEPS)
    with stage.showing(episode), stage.workspace() as workspace:

        def holding(name: str, value: np.ndarray) -> Register:
            register = workspace.register(name, value.shape[-1])
            register.value = np.broadcast_to(value, (stage.chips, *value.shape))
            return register

        state, wrong = holding("h", h), holding("e", error)
        for _ in stage.forward_pass("once"):
            y, kept = made.forward(state.load())
            stage.probe("y", y)
            back: Signal | None = made.back(kept, wrong.load(), learn, onward)
            if back is not None:
                stage.probe("g", back)
    gradient = {trainable.name: trainable.gradient.value[0] for trainable in made.trainables}
    return Found(np.stack(seen["y"]), np.stack(seen["g"]) if seen["g"] else None, gradient)


def equations(options: dict[str, Any], p: dict[str, Any], h: Any) -> Any:
    """What it says of one state."""
    if "project" in options:
        h = anp.dot(p["r C"], h) + p["r C b"]
    if options["norm"]:
        mean = anp.sum(h) / len(h)
        variance = anp.sum((h - mean) ** 2) / len(h)
        h = p["r norm"] * (h - mean) / (variance + 1e-6) ** 0.5 + p["r norm b"]
    for number, _ in enumerate(options["hidden"], 1):
        v = anp.dot(p[f"r V{number}"], h) + p[f"r V{number} b"]
        h = v * (v > 0)
    last = f"r V{len(options['hidden']) + 1}"
    return anp.dot(p[last], h) + p[f"{last} b"]


def drawn(seed: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(BATCH, width))


def name_of(options: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in options.items())


@pytest.mark.parametrize("options", KINDS, ids=name_of)
def test_a_readout_and_its_gradient_are_those_that_autograd_finds(options: dict[str, Any]) -> None:
    stage, made = built(options)
    h, error = drawn(6, WIDTH), drawn(7, ANSWERS)
    p = {trainable.name: trainable.values[0] for trainable in made.trainables}
    seen = found(stage, made, h, error)
    assert seen.errors is not None

    def along(p: dict[str, Any], h: Any) -> Any:
        """The outputs along the errors, over the batch: its slopes are what `back` is to give."""
        return sum(anp.dot(equations(options, p, h[row]), error[row]) for row in range(BATCH))

    for step in range(STEPS):
        wanted = np.stack([equations(options, p, row) for row in h])
        np.testing.assert_allclose(seen.outputs[step], wanted, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(seen.errors[step], grad(along, 1)(p, h), rtol=1e-12, atol=1e-12)
    slopes = grad(along, 0)(p, h)
    assert set(seen.gradient) == set(p)
    for name, slope in slopes.items():
        np.testing.assert_allclose(seen.gradient[name], STEPS * slope, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", KINDS, ids=name_of)
def test_nothing_is_learned_or_sent_on_unless_it_is_asked_for(options: dict[str, Any]) -> None:
    h, error = drawn(6, WIDTH), drawn(7, ANSWERS)
    asked = ((True, True), (False, True), (True, False))
    whole, fixed, top = (found(*built(options), h, error, learn, onward) for learn, onward in asked)
    assert whole.errors is not None
    assert fixed.errors is not None
    np.testing.assert_array_equal(fixed.errors, whole.errors)
    assert not any(values.any() for values in fixed.gradient.values())
    assert top.errors is None
    for name, values in whole.gradient.items():
        assert values.any()
        np.testing.assert_array_equal(top.gradient[name], values)


def test_an_error_that_is_not_sent_on_costs_no_product_with_the_first_matrix() -> None:
    kinds = []
    for onward in (True, False):
        stage, made = built({"hidden": [5], "norm": False})
        found(stage, made, drawn(6, WIDTH), drawn(7, ANSWERS), onward=onward)
        _, trace = stage.journal.traces
        kinds.append([record.kind for record in trace])
        assert {record.purpose for record in trace if record.kind in ("outer", "accumulate")} == {GRADIENT}
    assert [each.count("read transposed") for each in kinds] == [2, 1]
    assert [each.count("read") for each in kinds] == [2, 2]


def test_a_unit_that_is_at_zero_passes_no_error() -> None:
    """The slope of relu at zero is taken for zero, and so is that of a unit that is off."""
    stage, made = built({"hidden": [5]})
    hidden, last = made.trainables[0], made.trainables[2]
    hidden.master.value = np.zeros_like(hidden.master.value)
    bias = made.trainables[1]
    bias.master.value = np.array([[[0.0, -1.0, 1.0, 0.0, 2.0]]])
    for _ in stage.phase("programming"):
        made.program()
    stage.journal.close_batch(1)
    seen = found(stage, made, np.ones((1, WIDTH)), np.array([[1.0, 0.0, 0.0]]))
    wanted = STEPS * last.values[0][0] * [0, 0, 1, 0, 1]
    np.testing.assert_allclose(seen.gradient["r V1 b"], wanted, rtol=1e-14)
    assert np.flatnonzero(seen.gradient["r V1 b"]).tolist() == [2, 4]


@settings(max_examples=25, deadline=None)
@given(shift=st.floats(-100, 100), factor=st.floats(0.5, 50))
def test_a_norm_makes_shift_and_size_of_the_state_invisible(shift: float, factor: float) -> None:
    """But for ε, 1e-6 beside a variance of about 1; so the error has no part along a shift, or along the state."""
    options = {"norm": True, "hidden": [5]}
    h, error = drawn(6, WIDTH), drawn(7, ANSWERS)
    plain, moved = (found(*built(options), each, error) for each in (h, factor * h + shift))
    np.testing.assert_allclose(moved.outputs, plain.outputs, rtol=1e-4, atol=1e-5)
    assert plain.errors is not None
    assert moved.errors is not None
    np.testing.assert_allclose(moved.errors * factor, plain.errors, rtol=1e-3, atol=1e-4)
    for errors in (plain.errors, moved.errors):
        largest = np.abs(errors).max()
        assert np.abs(errors.sum(-1)).max() < 1e-10 * largest * (1 + abs(shift))
        assert np.abs((errors * (h - h.mean(-1, keepdims=True))).sum(-1)).max() < 1e-4 * largest


def test_a_norm_of_a_state_without_variance_is_its_bias() -> None:
    stage, made = built({"norm": True})
    p = {trainable.name: trainable.values[0] for trainable in made.trainables}
    seen = found(stage, made, np.full((1, WIDTH), 3.0), np.ones((1, ANSWERS)))
    np.testing.assert_allclose(seen.outputs[0][0], p["r V1"] @ p["r norm b"] + p["r V1 b"], rtol=1e-12)
    assert seen.errors is not None
    assert np.isfinite(seen.errors).all()
    assert not seen.gradient["r norm"].any()


@pytest.mark.parametrize("options", KINDS, ids=name_of)
def test_as_many_parameters_as_are_said_all_of_them_readout_parameters(options: dict[str, Any]) -> None:
    _, made = built(options)
    assert {trainable.group for trainable in made.trainables} == {"readout"}
    sizes = sum(trainable.values[0].size for trainable in made.trainables)
    assert parameters(Options.model_validate(options), WIDTH, ANSWERS) == sizes


def test_every_chip_has_the_gradient_of_its_own_parameters() -> None:
    options, h, error = KINDS[-1], drawn(6, WIDTH), drawn(7, ANSWERS)
    stage, made = built(options, chips=3)
    found(stage, made, h, error)
    for chip in range(3):
        alone, single = built(options)
        for mine, theirs in zip(single.trainables, made.trainables, strict=True):
            mine.master.value = theirs.master.value[chip : chip + 1]
        for _ in alone.phase("programming"):
            single.program()
        alone.journal.close_batch(1)
        seen = found(alone, single, h, error)
        for trainable in made.trainables:
            np.testing.assert_allclose(
                trainable.gradient.value[chip], seen.gradient[trainable.name], rtol=1e-13, atol=1e-14
            )
