"""A product with a sparse matrix that goes through the connections of what fired has the bits of one through all."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from conftest import machine_options, random_episode
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hwsim import initial, machines
from hwsim.machine import Counted, SparseMatrix
from hwsim.machine.counted import HEADER
from hwsim.machine.counted import WEIGHTS as OF_WEIGHTS
from hwsim.operations import sparse
from hwsim.operations.sparse import Connected, by_column, outgoing


def matrix(seed: int, dtype: str, chips: int, rows: int, columns: int, fan_in: int) -> tuple[Connected, Connected]:
    """A matrix whose products go through all connections, and the same one with its connections by column."""
    draw = np.random.default_rng(seed)
    places = np.sort([draw.choice(columns, fan_in, replace=False) for _ in range(rows)], 1)[None]
    weights = (draw.normal(size=(chips, rows, fan_in)) * 10.0 ** draw.integers(-8, 8, (chips, rows, 1))).astype(dtype)
    weights[draw.random(weights.shape) < 0.1] = -0.0
    through_all = Connected(weights, places, columns)
    return through_all, through_all._replace(outgoing=outgoing(weights, *by_column(places, columns)))


@given(
    st.integers(0, 2**32),
    st.sampled_from(["float32", "float64"]),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 40),
    st.integers(1, 40),
    st.floats(0, 1),
    st.booleans(),
)
@settings(deadline=None)  # the first call compiles
@example(0, "float64", 1, 1, 1, 1, 0.0, True)
@example(1, "float32", 3, 2, 40, 40, 0.1, False)
def test_a_product_of_what_fired_is_that_of_all_connections_to_the_last_bit(
    seed: int, dtype: str, chips: int, vectors: int, rows: int, columns: int, active: float, spikes: bool
) -> None:
    draw = np.random.default_rng(seed)
    through_all, of_fired = matrix(seed, dtype, chips, rows, columns, 1 + seed % columns)
    x = (draw.random((chips, vectors, columns)) < active).astype(dtype)
    if not spikes:
        x *= draw.normal(size=x.shape).astype(dtype)
    found, expected = (sparse.read.values(each, x) for each in (of_fired, through_all))
    assert found.dtype == expected.dtype
    assert found.tobytes() == expected.tobytes()
    for chip, vector in np.ndindex(chips, vectors):  # alone as among others, whatever way these others go
        mine = of_fired.outgoing
        assert mine is not None
        alone = of_fired._replace(
            weights=of_fired.weights[[chip]], outgoing=mine._replace(weights=mine.weights[[chip]])
        )
        assert sparse.read.values(alone, x[[chip], vector][:, None]).tobytes() == found[chip, vector].tobytes()


def test_connections_by_column_are_those_by_row() -> None:
    held, listed = matrix(1, "float64", 2, 30, 20, 3)
    by = listed.outgoing
    assert by is not None
    found = [
        (int(by.rows[at]), column, *by.weights[:, at])
        for column in range(20)
        for at in range(by.starts[column], by.starts[column + 1])
    ]
    expected = [(i, int(held.places[0, i, k]), *held.weights[:, i, k]) for i, k in np.ndindex(30, 3)]
    assert sorted(found) == sorted(expected)
    assert [(column, row) for row, column, *_ in found] == sorted((column, row) for row, column, *_ in expected)


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_a_weight_that_is_no_finite_number_spoils_its_row_without_a_spike_as_well(number: float) -> None:
    held, _ = matrix(2, "float64", 1, 6, 5, 2)
    held.weights[0, 3, 1] = number
    assert outgoing(held.weights, *by_column(held.places, 5)) is None
    assert np.isnan(sparse.read.values(held, np.zeros((1, 1, 5)))[0, 0]).tolist() == [row == 3 for row in range(6)]


@pytest.mark.parametrize("on", ["ideal", "digital_45nm_fp16"])
def test_a_machine_holds_and_charges_the_same_and_new_weights_are_read_at_once(on: str) -> None:
    """The second pass reads weights that were changed after the first; the traces of both machines are equal."""
    found, traces, ledgers = [], [], []
    for of_spikes in (False, True):
        stage = machines.build(machine_options(on), seed=1, chips=2)
        weights, places = initial.normal(1, "W", 8, 3), initial.connections(1, "W", 8, 9, 3)
        W = SparseMatrix(stage, "W", "recurrent", weights, places, 9, of_spikes)
        seen: list[bytes] = []
        stage.watchers["y"] = lambda value, seen=seen: seen.append(value.tobytes())
        episode = random_episode(batch=3, steps=4, width=9)
        episode.inputs[...] = episode.inputs > [[[0.9]], [[0.7]], [[0.2]]]
        for change in count():
            for _ in stage.phase("programming"):
                W.program()
            with stage.showing(episode):
                for step in stage.forward_pass("once"):
                    stage.probe("y", W @ step.input)
            if change:
                break
            W.trainable.master.value = W.trainable.master.value * 2 - 0.1
        found.append(seen)
        traces.append(stage.journal.traces)
        ledgers.append(dict(stage.memory.live))
    assert found[0] == found[1]
    assert len(set(found[1])) == 8
    assert traces[0] == traces[1]
    assert {name: held.values for name, held in ledgers[0].items()} == {
        name: held.values for name, held in ledgers[1].items()
    }


def test_the_weight_of_a_run_has_the_lists_by_column() -> None:
    """Of each connection its weight once more on each chip, and two indices of 4 bytes; where each column starts."""
    bytes_ = []
    for of_spikes in (False, True):
        numerics = Counted()
        stage = machines.build(machine_options("ideal"), seed=1, chips=2, numerics=numerics)
        weights, places = initial.normal(1, "W", 8, 3), initial.connections(1, "W", 8, 9, 3)
        W = SparseMatrix(stage, "W", "recurrent", weights, places, 9, of_spikes)
        W.take(W.trainable.values)  # another time: what was held before is given back
        bytes_.append(numerics.gauge.live[OF_WEIGHTS])
    assert bytes_[1] - bytes_[0] == 2 * 24 * 8 + 2 * 24 * 4 + 10 * 8 + 4 * HEADER
