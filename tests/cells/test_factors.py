"""Factors and own decays of cells against autograd, and traces that are made of them against NumPy."""

from __future__ import annotations

from functools import partial
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad, jacobian
from conftest import built, distance, gradient_of, machine_options, perturb, random_episode, rule
from equations import gated, leaks, readout

from hwsim import initial, machines
from hwsim.accounts.memory import LEARNING
from hwsim.cells import Cell
from hwsim.cells.backward import OperatingPoint
from hwsim.cells.derived import Derived
from hwsim.cells.gru import GRU
from hwsim.cells.own_rows import products_behind
from hwsim.episode import Episode
from hwsim.errors import CapabilityError
from hwsim.learning.rule import Rule
from hwsim.machine import Bias, Matrix, Signal
from hwsim.machine.following import following
from hwsim.networks import Network
from hwsim.operations import join, pad, sigmoid, take, tanh, total
from hwsim.records import GRADIENT

LEAK = 0.3
CELLS: dict[str, dict[str, Any]] = {
    "tanh": {"name": "leaky_tanh", "units": 4, "leak": LEAK},
    "whole tanh": {"name": "leaky_tanh", "units": 4},
    "tanh groups": {
        "name": "leaky_tanh",
        "units": 4,
        "leak": [{"value": 1.0, "units": 1}, {"value": 0.2, "units": 2}, {"value": LEAK, "units": 1}],
    },
    "gru": {"name": "gru", "units": 4},
    "lstm": {"name": "lstm", "units": 3},
    "lru": {"name": "lru", "modes": 3, "r_min": 0.5},
}
REAL = [name for name in CELLS if name != "lru"]


def network(name: str) -> dict[str, Any]:
    return {"layers": [{"cell": CELLS[name], "readout": {"hidden": [5]}}]}


def moved(name: str, episode: Episode, learner: Any = None) -> Network:
    """A network in which no parameter is zero."""
    made = built(network(name), learner or rule("one_step"), episode, seed=5)
    perturb(made)
    return made


def parameters(cell: Cell) -> dict[str, np.ndarray]:
    return {cell.traced_as(trainable): trainable.values[0].copy() for trainable in cell.trainables}


def step(name: str, h: Any, x: Any, p: Any) -> Any:
    """A step of a cell, written from its equations."""
    if name in ("gru", "lstm"):
        return gated(name, p, h, x)
    leak = leaks(CELLS[name])
    return (1 - leak) * h + leak * anp.tanh(p["W"] @ h + p["U"] @ x + p["b"])


def kept(name: str, h: np.ndarray, x: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    """∂h'/∂h where all products W h are held fixed."""
    n, leak = p["W"].shape[1], leaks(CELLS[name])
    if name == "gru":
        z = 1 / (1 + np.exp(-(p["W"] @ h + p["U"] @ x + p["b"])[:n]))
        return np.diag(1 - z)
    if name == "lstm":
        fixed = {"W": 0 * p["W"], "U": p["U"], "b": p["b"] + p["W"] @ h[:n]}
        found: np.ndarray = jacobian(lambda state: gated("lstm", fixed, state, x))(h)
        return found
    return (1 - leak) * np.eye(n)


def same_unit(units: int, rows: int, columns: int) -> np.ndarray:
    """Ones where a row and a column belong to one unit."""
    return (np.arange(rows)[:, None] % units == np.arange(columns) % units).astype(float)


class Found:
    """What a cell says in one step, at a random state: factors, and own decays with and without recurrent weights."""

    def __init__(self, made: Network, episode: Episode) -> None:
        machine, cell = made.machine, made.layers[0].cell
        self.cell, self.h, self.x = cell, np.random.default_rng(7).normal(size=cell.width), episode.inputs[0, 0]
        self.factors: list[tuple[str, list[Any], Any]] = []
        self.decays: dict[bool, list[list[Any]]] = {}

        def value(signal: Any) -> Any:
            return signal._value[0, 0].copy() if isinstance(signal, Signal) else signal

        with machine.showing(episode), machine.workspace() as workspace:
            register = workspace.register("h", cell.width)
            register.value = np.tile(self.h, (1, episode.batch, 1))
            for at_step in machine.forward_pass("once"):
                _, at = cell.step(register.load(), at_step.input)
                for name, rows, column, _, _ in cell.factors(at):
                    self.factors.append((name, [value(r) for r in rows], value(column)))
                for recurrent in (True, False):
                    decay = cell.own_decay(at, recurrent)
                    self.decays[recurrent] = [[value(each) for each in row] for row in decay]


@pytest.fixture(params=REAL)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_factors_are_the_derivative_of_the_step_by_the_parameters(name: str) -> None:
    episode = random_episode(4, batch=1, steps=1)
    made = moved(name, episode)
    found, p = Found(made, episode), parameters(made.layers[0].cell)
    units, width = found.cell.width // found.cell.blocks, found.cell.width
    assert {parameter for parameter, _, _ in found.factors} == set(p)
    for parameter, rows, column in found.factors:
        by = partial(lambda key, value: step(name, found.h, found.x, {**p, key: value}), parameter)
        by_parameter = jacobian(by)(p[parameter])
        assert np.abs(by_parameter).max() > 1e-3
        mine = np.zeros(by_parameter.reshape(width, len(p[parameter]), -1).shape)
        for block, r in enumerate(rows):
            for i in range(len(r) if r is not None else 0):
                mine[block * units + i % units, i] = r[i] * (1 if column is None else column)
        np.testing.assert_allclose(mine.reshape(by_parameter.shape), by_parameter, atol=1e-13)


def assembled(blocks: list[list[Any]], units: int) -> np.ndarray:
    """The matrix whose blocks have these diagonals."""
    return np.block([[np.diag(np.broadcast_to(0.0 if d is None else d, units)) for d in row] for row in blocks])


def test_own_decays_are_the_part_of_the_jacobian_within_units(name: str) -> None:
    episode = random_episode(4, batch=1, steps=1)
    made = moved(name, episode)
    found, p = Found(made, episode), parameters(made.layers[0].cell)
    units, width = found.cell.width // found.cell.blocks, found.cell.width
    whole = jacobian(lambda h: step(name, h, found.x, p))(found.h)
    mine = assembled(found.decays[True], units)
    np.testing.assert_allclose(mine, whole * same_unit(units, width, width), atol=1e-13)
    np.testing.assert_allclose(assembled(found.decays[False], units), kept(name, found.h, found.x, p), atol=1e-13)
    assert np.abs(mine - assembled(found.decays[False], units)).max() > 1e-3


# ---- hand-written products beside derived ones ---------------------------------------------------------------


class Twin(Derived):
    """A hand-written cell whose step alone is written, with the same units."""

    def __init__(self, cell: Any) -> None:
        super().__init__(cell.machine, cell.name)
        self.cell, self.width = cell, cell.width
        self.keep(*(unit for unit in vars(cell).values() if isinstance(unit, Matrix | Bias)))

    def next(self, h: Signal, x: Signal) -> Signal:
        new: Signal = self.cell.step(h, x)[0]
        return new


@pytest.mark.parametrize("name", ["tanh", "whole tanh"])
def test_what_leaky_tanh_says_by_hand_follows_from_its_step(name: str) -> None:
    episode = random_episode(4, batch=1, steps=1)
    made = moved(name, episode)
    mine, cell = Found(made, episode), made.layers[0].cell
    made.layers[0].cell = Twin(cell)
    derived = Found(made, episode)
    for (one, rows, column), (other, its_rows, its_column) in zip(mine.factors, derived.factors, strict=True):
        assert one == other
        np.testing.assert_allclose(rows, its_rows, atol=1e-15)
        assert (column is None) == (its_column is None)
        np.testing.assert_array_equal(1 if column is None else column, 1 if its_column is None else its_column)
    for recurrent in (True, False):
        decays = (assembled(found.decays[recurrent], cell.width) for found in (mine, derived))
        np.testing.assert_allclose(*decays, atol=1e-15)


@pytest.mark.parametrize("name", ["tanh", "whole tanh", "tanh groups", "lru"])
def test_products_by_hand_are_those_that_follow_from_the_step(name: str) -> None:
    """J v, Jᵀ v and (∂f/∂x)ᵀ v."""
    episode = random_episode(4, batch=1, steps=1)
    made = moved(name, episode, rule("bptt"))
    stage, cell = made.machine, made.layers[0].cell
    found: list[np.ndarray] = []
    stage.watchers["product"] = lambda value: found.append(value.copy())
    with stage.showing(episode), stage.workspace() as workspace:
        h, v = (workspace.register(what, cell.width) for what in "hv")
        draw = np.random.default_rng(8)
        h.value, v.value = (draw.normal(size=h.value.shape) for _ in range(2))
        for now in stage.forward_pass("once"):
            for each in (cell, Twin(cell)):
                _, at = each.step(h.load(), now.input)
                stage.probe("product", each.along(at, v.load()))
                stage.probe("product", each.transposed(at, v.load()))
                stage.probe("product", each.input_error(each.drive_error(at, v.load())))
    for mine, derived in zip(found[:3], found[3:], strict=True):
        np.testing.assert_allclose(mine, derived, atol=1e-15)


# ---- rules that are made of them -----------------------------------------------------------------------------


class OwnTraces(Rule):
    """A trace per parameter and block of the state: e ← d e + r cᵀ, dL/dθ ≈ Σ_t g_t e_t.

    With the own decay of the Jacobian this is SnAp-1 (Menick et al., ICLR 2021), without recurrent weights it is RFLO
    (Murray, eLife 8:e43299, 2019), e-prop for rate units, with symmetric feedback.
    """

    def __init__(self, recurrent: bool) -> None:
        super().__init__(None)
        self.recurrent = recurrent

    def gradients(self, network: Network) -> None:
        machine = network.machine
        with machine.workspace() as workspace:
            states = network.states(workspace)
            traces = {
                (cell, name): [
                    workspace.register(f"{name} trace {block}", shape[0], LEARNING, bundle=(*shape, 0)[1])
                    for block in range(cell.blocks)
                ]
                for cell in (layer.cell for layer in network.layers)
                for name, shape in cell.traced.items()
            }
            for now in machine.forward_pass("forward"):
                output, seen = network.step(states, now)
                for level in network.downward(network.loss_error(output, now), seen):
                    cell, g = level.cell, level.g()
                    with machine.part(purpose=GRADIENT):
                        decay = cell.own_decay(level.at, self.recurrent)
                        for factor in cell.factors(level.at):
                            registers = traces[cell, factor.name]
                            old = [register.load() for register in registers]
                            for block, register in enumerate(registers):
                                parts = [spread(d, e) for d, e in zip(decay[block], old, strict=True) if d is not None]
                                parts += [factor.own(block)] if factor.rows[block] is not None else []
                                trace = sum(parts[1:], parts[0])
                                register.store(trace)
                                if g is not None:
                                    units = cell.width // cell.blocks
                                    mine = take(g, block * units, (block + 1) * units) if cell.blocks > 1 else g
                                    factor.sums.add(factor.product(repeated(mine, trace.width), trace))
        network.finish_gradient()


def repeated(signal: Signal, rows: int) -> Signal:
    """A signal on the wires of units, once for each of the rows that a parameter has per unit."""
    times = rows // signal.width
    return signal if times == 1 else join(*[signal] * times)


def spread(decay: Any, trace: Signal) -> Signal:
    product: Signal = (repeated(decay, trace.width) if isinstance(decay, Signal) else decay) * trace
    return product


def by_hand(name: str, episode: Episode, p: dict[str, Any], layer: dict[str, Any], recurrent: bool) -> dict[str, Any]:
    """The same in NumPy, with whole sensitivities of which all entries between units are set to zero."""
    sums = {key: np.zeros_like(value) for key, value in layer.items()}
    units = layer["W"].shape[1]
    width = units * (2 if name == "lstm" else 1)
    masks = {key: same_unit(units, width, len(value)) for key, value in layer.items()}
    for number in range(episode.batch):
        h = np.zeros(width)
        M = {key: np.zeros((width, *value.shape)) for key, value in layer.items()}
        for x, label in zip(episode.inputs[number], episode.labels[number], strict=True):
            J = jacobian(lambda h, x=x: step(name, h, x, layer))(h) if recurrent else kept(name, h, x, layer)
            after = step(name, h, x, layer)
            for key, value in layer.items():
                F = jacobian(lambda v, key=key, h=h, x=x: step(name, h, x, {**layer, key: v}))(value)
                through = np.tensordot(J, M[key], 1) + F
                M[key] = through * masks[key].reshape(*masks[key].shape, *[1] * (value.ndim - 1))
            h = after

            def loss(h: Any, label: int = label) -> Any:
                y = readout({"hidden": [5]}, p, h[:units])
                return anp.log(anp.sum(anp.exp(y))) - y[label]

            g = grad(loss)(h)
            for key in layer:
                sums[key] += np.tensordot(g, M[key], 1)
    return sums


@pytest.mark.parametrize("recurrent", [True, False])
def test_local_traces_are_those_of_numpy(name: str, recurrent: bool) -> None:
    """SnAp-1 and RFLO, of which the first is no longer RTRL where units speak to each other."""
    episode, learner = random_episode(2, batch=2, steps=5), OwnTraces(recurrent)
    made = moved(name, episode, learner)
    layer = parameters(made.layers[0].cell)
    p = {each.name.removeprefix("layer 1 "): each.values[0].copy() for each in made.trainables}
    found = {key.removeprefix("layer 1 "): value[0] for key, value in gradient_of(made, learner, episode).items()}
    assert distance(found, by_hand(name, episode, p, layer, recurrent), layer) < 1e-12
    exact = gradient_of(moved(name, episode, rule("bptt")), rule("bptt"), episode)
    assert distance(found, {key: exact[f"layer 1 {key}"][0] for key in layer}) > 1e-3


def test_local_traces_of_a_diagonal_cell_are_real_time_recurrent_learning() -> None:
    episode = random_episode(2)
    exact = gradient_of(moved("lru", episode, rule("rtrl")), rule("rtrl"), episode)
    assert distance(gradient_of(moved("lru", episode), OwnTraces(True), episode), exact) < 1e-14


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("on", ["digital_45nm", "pcm_crossbar"])
def test_local_traces_run_on_machines(cell: str, on: str) -> None:
    episode, learner = random_episode(2, batch=1, steps=3), OwnTraces(True)
    made = built(network(cell), learner, episode, on=on, strict=True)
    found = gradient_of(made, learner, episode)
    assert all(np.isfinite(value).all() and value.any() for value in found.values())


# ---- what has no rows of its own -----------------------------------------------------------------------------


def reset_before(self: GRU, h: Signal, x: Signal) -> Signal:
    """The reset gate as in Cho et al., in front of the product: rows of r reach all units."""
    z, r = (sigmoid(self._gate(self.W @ h + self.U @ x, number)) for number in (0, 1))
    c = tanh(self._gate(self.W @ (r * h) + self.U @ x + self.b, 2))
    return h + z * (c - h)


def rotated(self: GRU, h: Signal, x: Signal) -> Signal:
    """Each unit drives the one beside it."""
    v = self._gate(tanh(self.W @ h + self.U @ x + self.b), 0)
    return take(join(v, v), 1, 1 + self.n)


def normed(self: GRU, h: Signal, x: Signal) -> Signal:
    """All units together decide on a factor."""
    v = self._gate(tanh(self.W @ h + self.U @ x + self.b), 0)
    return total(v) * v


def narrow(self: GRU, h: Signal, x: Signal) -> Signal:
    """The first unit acts on all."""
    v = self._gate(tanh(self.W @ h + self.U @ x + self.b), 0)
    return v * take(v, 0, 1) + pad(take(v, 0, 1), 0, self.n - 1)


@pytest.mark.parametrize(
    ("step", "decay", "factors"),
    [
        (reset_before, "comes back through one product behind another", "layer 1 W reaches other rows of the state"),
        (rotated, "layer 1, take of 8 wires: it mixes the cell's 4 units", "it mixes the cell's 4 units"),
        (normed, "layer 1, sum of 4 wires: it mixes the cell's 4 units", "it mixes the cell's 4 units"),
        (narrow, "layer 1, take of 4 wires: it mixes the cell's 4 units", "it mixes the cell's 4 units"),
    ],
)
def test_cells_whose_rows_are_not_their_own_say_so(
    monkeypatch: pytest.MonkeyPatch, step: Any, decay: str, factors: str
) -> None:
    monkeypatch.setattr(GRU, "next", step)
    episode = random_episode(2)
    with pytest.raises(CapabilityError, match=decay):
        gradient_of(moved("gru", episode), OwnTraces(True), episode)
    with pytest.raises(CapabilityError, match=factors):
        gradient_of(moved("gru", episode), rule("rtrl"), episode)


def test_parts_of_a_state_that_are_no_blocks_of_all_units_mix_them() -> None:
    """Wire 0 of three is wire 1 of the state of four."""
    stage = machines.build(machine_options("ideal"), seed=1)
    episode = Episode(np.ones((1, 1, 3)), values=np.ones((1, 1, 1)))
    bias = Bias.trained(stage, "b", "input", initial.ones(3))
    with stage.showing(episode), stage.workspace():
        for now in stage.forward_pass("once"):
            with following(stage) as nodes:
                three = now.input + bias
                new = join(total(now.input), three)
            at = OperatingPoint(stage, now.input, now.input, new, nodes)
            assert products_behind(at, new, 4) == 0
            with pytest.raises(CapabilityError, match="join of 1 wires: it mixes the cell's 4 units"):
                products_behind(at, three, 4)


def used_twice(self: GRU, h: Signal, x: Signal) -> Signal:
    """A step that reads W and U twice, and adds b twice."""
    driven = self.W @ h + self.U @ x + self.b
    again = self.W @ h + self.U @ (0.5 * x) + self.b
    return self._gate(tanh(driven), 0) * self._gate(sigmoid(again), 0) + self._gate(tanh(again), 2)


def test_a_parameter_that_enters_twice_has_two_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GRU, "next", used_twice)
    episode, learner = random_episode(2), rule("rtrl")
    exact = gradient_of(moved("gru", episode, rule("bptt")), rule("bptt"), episode)
    assert distance(gradient_of(moved("gru", episode), learner, episode), exact) < 1e-10


@pytest.mark.parametrize("name", REAL)
def test_rtrl_is_bptt_for_a_layer_of_any_cell(name: str) -> None:
    """J M + F with all N sensitivities of each parameter."""
    episode = random_episode(3)
    exact = gradient_of(moved(name, episode, rule("bptt")), rule("bptt"), episode)
    assert distance(gradient_of(moved(name, episode), rule("rtrl"), episode), exact) < 1e-10
