"""A matrix of which the connections alone are held: what is drawn, held, charged, saved and refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SPARSE, built, gradient_of, machine_options, random_episode, rule

from hwsim import initial, machines
from hwsim.accounts.memory import WEIGHTS
from hwsim.config import experiment as config
from hwsim.errors import CapabilityError, CausalityError, ConfigError
from hwsim.machine import SparseMatrix, resume, snapshot
from hwsim.records import GRADIENT, INFERENCE

ROWS, COLUMNS, FAN_IN = 50, 9, 3


def made(on: Any = "ideal", name: str = "W", seed: int = 1, **kinds: Any) -> SparseMatrix:
    stage = machines.build(machine_options(on), seed=seed, **kinds)
    weights = initial.normal(seed, name, ROWS, FAN_IN)
    places = initial.connections(seed, name, ROWS, COLUMNS, FAN_IN)
    return SparseMatrix(stage, name, "recurrent", weights, places, COLUMNS)


def places(matrix: SparseMatrix) -> np.ndarray:
    found: np.ndarray = matrix.fetched.places
    return found


def test_each_row_has_as_many_different_connections_drawn_once_by_name_and_seed() -> None:
    drawn = places(made())
    assert drawn.shape == (1, ROWS, FAN_IN)
    assert all(len(set(row)) == FAN_IN for row in drawn[0])
    assert drawn.min() == 0
    assert drawn.max() == COLUMNS - 1
    np.testing.assert_array_equal(np.sort(drawn, 2), drawn)
    for other in (made("digital_45nm", chips=3), made(strict=True)):
        np.testing.assert_array_equal(places(other), drawn)
    for other in (made(name="V"), made(seed=2)):
        assert (places(other) != drawn).any()


def test_all_columns_are_as_likely() -> None:
    drawn = initial.connections(3, "W", 20_000, 8, 2).draw()
    share = np.bincount(drawn.ravel(), minlength=8) / drawn.size
    np.testing.assert_allclose(share, 1 / 8, atol=5 * np.sqrt(1 / 8 / drawn.size))


@pytest.mark.parametrize(("columns", "bits"), [(1, 1), (2, 1), (3, 2), (8, 3), (9, 4), (1024, 10), (1025, 11)])
def test_an_index_takes_as_many_bits_as_name_a_column(columns: int, bits: int) -> None:
    stage = machines.build(machine_options("digital_45nm"), chips=2)
    weights, drawn = initial.normal(1, "W", 5, 1), initial.connections(1, "W", 5, columns, 1)
    SparseMatrix(stage, "W", "recurrent", weights, drawn, columns)
    held = stage.memory.live["W columns"]
    assert (held.kind, held.values, held.bits, held.technology) == (WEIGHTS, 5, bits, "weight memory")
    assert (stage.memory.live["W"].values, stage.memory.live["W"].bits) == (5, 32)


def test_gradient_optimizer_and_copies_have_a_number_per_connection() -> None:
    episode = random_episode()
    network = built(SPARSE, rule("bptt"), episode, on="digital_45nm_fp16")
    gradient_of(network, rule("bptt"), episode)
    live = network.machine.memory.live
    for name in ("layer 1 W", "layer 1 W copy", "layer 1 W gradient"):
        assert live[name].values == 12
    assert network.layers[0].cell.W.trainable.slot("moment", "optimizer slots").size == (12,)


@pytest.mark.parametrize(("cell", "key"), [("leaky_tanh", "fan_in"), ("lif, decay: 0.9", "input_fan_in")])
def test_a_file_with_connections_for_a_crossbar_is_refused_with_its_line(cell: str, key: str, tmp_path: Path) -> None:
    file = tmp_path / "few.yaml"
    file.write_text(
        "name: few\ntask: {name: digits}\nnetwork:\n  layers:\n"
        f"    - cell: {{name: {cell}, units: 8, {key}: 2}}\nlearning: {{name: one_step}}\nmachine: rram_crossbar\n"
    )
    with pytest.raises(ConfigError, match=rf"few.yaml:5:\d+: network.layers.0.cell.{key}: rram_crossbar, the machine"):
        config.load(file)


@pytest.mark.parametrize("on", ["pcm_crossbar", "hermes_14nm", "pcm_crossbar_in_the_loop"])
def test_a_crossbar_refuses_it_and_says_what_to_do(on: str) -> None:
    with pytest.raises(CapabilityError, match=r"W is sparse.*leave out `fan_in`.*or take a digital machine"):
        made(on)


def test_it_is_written_in_phases_only() -> None:
    with pytest.raises(CausalityError, match="weights are written"):
        made().program()


@pytest.mark.parametrize("learner", ["bptt", "fpe"])
@pytest.mark.parametrize("on", ["ideal", "digital_45nm_fp16"])
def test_a_run_goes_on_from_what_the_ledger_lists(on: str, learner: str) -> None:
    """The mask is part of it: it is restored, and not drawn again."""
    learned, episode, shots = rule(learner), random_episode(steps=5), []
    stage = machines.build(machine_options(on), seed=3)
    network = built(SPARSE, learned, episode, stage=stage)
    stage.sequencer.after_step = lambda: shots.append(snapshot(stage))
    found = gradient_of(network, learned, episode)
    for shot in (shots[2], shots[len(shots) // 2], shots[-2]):
        again = machines.build(machine_options(on), seed=4)  # other draws
        resume(again, shot)
        resumed = gradient_of(built(SPARSE, learned, episode, stage=again), learned, episode)
        for name, value in found.items():
            assert resumed[name].tobytes() == value.tobytes(), name


@pytest.mark.parametrize("learner", ["bptt", "fpe", "one_step"])
def test_a_strict_machine_finds_the_same(learner: str) -> None:
    learned, episode = rule(learner), random_episode()
    found, strict = (
        gradient_of(built(SPARSE, learned, episode, strict=strict), learned, episode) for strict in (False, True)
    )
    for name, value in found.items():
        assert strict[name].tobytes() == value.tobytes()


def test_outer_products_at_connections_are_the_vector_units_and_serve_the_gradient() -> None:
    matrix, episode = made("digital_45nm"), random_episode(batch=2, steps=1, width=COLUMNS)
    stage = matrix.machine
    matrix.trainable.begin_training()
    with stage.showing(episode):
        for step in stage.forward_pass("once"):
            matrix.gradient.add_outer(matrix @ step.input, step.input)
    _, product, outer = stage.journal.traces[-1]
    assert (product.unit, product.purpose, product.size) == ("vector unit", INFERENCE, (ROWS, FAN_IN, COLUMNS))
    assert (outer.unit, outer.purpose, outer.size) == ("vector unit", GRADIENT, (ROWS, FAN_IN, COLUMNS))
    assert (product.reads, outer.reads, outer.writes) == ((0, "W"), (1, 0, "W"), "W gradient")
