"""A network computes what its equations say, from rest, under the names that its records say."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from autograd import grad
from autograd import numpy as anp
from conftest import MIXED, NETWORKS, TANH, built, close, gradient_of, random_episode, rule
from equations import coupled
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hwsim import networks
from hwsim.accounts.journal import PASS, PHASE
from hwsim.accounts.memory import STATE
from hwsim.episode import Episode
from hwsim.machine import Diagonal, Machine, Matrix, Register, Signal, Step
from hwsim.networks import Network, Seen
from hwsim.records import ERROR, GRADIENT, INFERENCE, PURPOSES, REPLAY, WEIGHT_WRITE, Record

CASES = {**NETWORKS, "mixed": MIXED}


# ---- the equations, in NumPy -------------------------------------------------------------------------------------


def outputs(options: dict[str, Any], parameters: dict[str, np.ndarray], episode: Episode) -> np.ndarray:
    """What the loss sees, `(steps, batch, n)`."""
    x = np.moveaxis(episode.inputs, 1, 0)
    for number, layer in enumerate(options["layers"], 1):
        name = f"layer {number} "
        p = {key.removeprefix(name): value for key, value in parameters.items() if key.startswith(name)}
        h = np.stack(list(states(layer["cell"], p, x)))
        x = readout(layer.get("readout", {}), p, h)
    if options.get("pooling") == "cumulative_mean":
        return np.cumsum(x, 0) / np.arange(1, len(x) + 1)[:, None, None]
    return x


def states(cell: dict[str, Any], p: dict[str, np.ndarray], xs: np.ndarray) -> Iterator[np.ndarray]:
    """The states of a cell, complex ones as pairs of real numbers."""
    if cell["name"] == "leaky_tanh":
        leak, h = cell.get("leak", 1.0), 0.0 * p["b"]
        for x in xs:
            h = (1 - leak) * h + leak * np.tanh(h @ p["W"].T + x @ p["U"].T + p["b"])
            yield h
        return
    if cell["name"] in ("gru", "lstm"):
        yield from gated(cell["name"], p, xs)
        return
    if cell["name"] == "rev_gru":
        h = np.zeros((xs.shape[1], 2 * cell["units"]))
        for x in xs:
            h = np.stack([coupled(p, *each) for each in zip(h, x, strict=True)])
            yield h
        return
    eigenvalues = np.exp(-np.exp(p["nu"])) * np.exp(1j * np.exp(p["theta"]))
    B, b = p["B"][::2] + 1j * p["B"][1::2], p["b"][::2] + 1j * p["b"][1::2]
    z = 0.0 * b
    for x in xs:
        z = eigenvalues * z + np.exp(p["log gamma"]) * (x @ B.T + b)
        yield np.ascontiguousarray(z).view(float)


def gated(name: str, p: dict[str, np.ndarray], xs: np.ndarray) -> Iterator[np.ndarray]:
    """What is seen of the states of a cell with gates."""
    n = p["W"].shape[1]
    W, U, b = (p[key].reshape(-1, n, *p[key].shape[1:]) for key in ("W", "U", "b"))
    h = c = np.zeros((xs.shape[1], n))
    for x in xs:
        recurrent, driven = h @ W.swapaxes(1, 2), x @ U.swapaxes(1, 2) + b[:, None]
        gates = 1 / (1 + np.exp(-recurrent - driven))
        if name == "gru":
            candidate = np.tanh(driven[2] + gates[1] * recurrent[2])
            h = (1 - gates[0]) * h + gates[0] * candidate
        else:
            c = gates[1] * c + gates[0] * np.tanh(recurrent[3] + driven[3])
            h = gates[2] * np.tanh(c)
        yield h


def readout(options: dict[str, Any], p: dict[str, np.ndarray], h: np.ndarray) -> np.ndarray:
    """The readout of a layer."""
    if "project" in options:
        h = h @ p["C"].T + p["C b"]
    if options.get("norm"):
        h = p["norm"] * (h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + 1e-6) + p["norm b"]
    for number, _ in enumerate(options.get("hidden", []), 1):
        h = np.maximum(h @ p[f"V{number}"].T + p[f"V{number} b"], 0)
    last = f"V{len(options.get('hidden', [])) + 1}"
    return h @ p[last].T + p[f"{last} b"]


# ---- a network that is looked at ---------------------------------------------------------------------------------


def made(options: dict[str, Any] | str, episode: Episode, **kinds: Any) -> Network:
    """A network, every parameter moved a little so that none is zero."""
    found = built(CASES[options] if isinstance(options, str) else options, rule("bptt"), episode, **kinds)
    draw = np.random.default_rng(3)
    for trainable in found.trainables:
        trainable.master.value = trainable.master.value + 0.1 * draw.normal(size=trainable.master.value.shape)
    found.program()
    found.machine.journal.close_batch(1)
    return found


def parameters_of(network: Network, chip: int = 0) -> dict[str, np.ndarray]:
    return {trainable.name: trainable.values[chip].copy() for trainable in network.trainables}


def inferred(network: Network, episode: Episode) -> np.ndarray:
    """What it says at the steps that carry a loss, `(steps, chips, batch, n)`."""
    said: list[np.ndarray] = []
    network.machine.watchers["output"] = lambda value: said.append(value.copy())
    with network.machine.showing(episode):
        network.infer()
    return np.stack(said)


def records(network: Network, kind: str) -> list[tuple[str, list[Record]]]:
    """The records of all sweeps of a kind in the latest batch, by the name of the sweep."""
    journal = network.machine.journal
    assert journal.latest is not None
    return [
        (sweep.name, [record for trace, _ in sweep.runs for record in journal.traces[trace]])
        for sweep in journal.latest.sweeps
        if sweep.kind == kind
    ]


# ---- dynamics ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["none", "last", "cumulative_mean"])
@pytest.mark.parametrize("case", CASES)
def test_what_a_network_says_is_what_its_equations_say(case: str, pooling: str) -> None:
    options, episode = {**CASES[case], "pooling": pooling}, random_episode(1, steps=9)
    found = made(options, episode, chips=2)
    said = inferred(found, episode)
    for chip in range(2):
        np.testing.assert_allclose(
            said[:, chip], outputs(options, parameters_of(found, chip), episode), rtol=1e-12, atol=1e-13
        )


@pytest.mark.parametrize("case", ["mixed", "lru stack"])
def test_every_episode_begins_from_rest(case: str) -> None:
    first, other = random_episode(1), random_episode(2, steps=5)
    found = made(case, first)
    before = inferred(found, first)
    assert inferred(found, other).shape[0] == 5
    np.testing.assert_array_equal(inferred(found, first), before)


@pytest.mark.parametrize("pooling", ["none", "cumulative_mean"])
def test_a_pass_that_begins_with_the_first_step_begins_from_rest_and_others_go_on(pooling: str) -> None:
    episode = random_episode(1, steps=6)
    found = made({**MIXED, "pooling": pooling}, episode)
    stage = found.machine
    said: list[np.ndarray] = []
    stage.watchers["said"] = lambda value: said.append(value.copy())
    with stage.showing(episode), stage.workspace(keep_inputs=True) as workspace:
        held = found.states(workspace)
        for part in (None, range(4), range(4, 6)):
            for step in stage.forward_pass("again", part):
                stage.probe("said", found.step(held, step)[0])
    np.testing.assert_array_equal(said[6:], said[:6])


def test_sequences_of_a_batch_do_not_see_each_other() -> None:
    episode = random_episode(1, batch=4)
    found = made(MIXED, episode)
    together = inferred(found, episode)
    for row in range(4):
        alone = inferred(found, episode.select(slice(row, row + 1)))
        np.testing.assert_allclose(together[:, :, row : row + 1], alone, rtol=1e-13, atol=1e-14)


def test_only_steps_that_carry_a_loss_are_answered() -> None:
    options, episode = {**MIXED, "pooling": "cumulative_mean"}, random_episode(1, steps=6, loss_from=4)
    found = made(options, episode)
    wanted = outputs(options, parameters_of(found), episode)
    np.testing.assert_allclose(inferred(found, episode)[:, 0], wanted[4:], rtol=1e-12)  # of all steps before, as well


@pytest.mark.parametrize("pooling", ["none", "cumulative_mean"])
def test_the_state_that_is_held_is_that_of_the_cells_and_of_the_mean(pooling: str) -> None:
    episode = random_episode(1)
    found = made({**MIXED, "pooling": pooling}, episode)
    with found.machine.showing(episode), found.machine.workspace() as workspace:
        held = found.states(workspace)
        widths = {"layer 1 h": 8, "layer 2 h": 4, "layer 3 h": 8, "layer 4 h": 6}  # a mode is two real numbers
        widths |= {"pooled output": 3} if pooling != "none" else {}
        assert {register.name: register.size for register in held.all()} == {n: (w,) for n, w in widths.items()}
        ledger = found.machine.memory.live
        assert {name: one.values for name, one in ledger.items() if one.kind == STATE} == widths
        for _ in found.machine.forward_pass("nothing"):
            pass
    assert not [one for one in found.machine.memory.live.values() if one.kind == STATE]


# ---- errors on their way down ------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_what_is_sent_below_the_lowest_layer_is_not_worked_out(layers: int) -> None:
    """The error at the drive of a linear recurrent unit is one product with γ, which no other error needs."""
    episode, learner = random_episode(1, steps=6), rule("rtrl")
    found = built({"layers": NETWORKS["lru"]["layers"] * layers}, learner, episode)
    gradient_of(found, learner, episode)
    products = [
        record.layer
        for trace in found.machine.journal.traces
        for record in trace
        if record.kind == "mode gain" and record.purpose == ERROR
    ]
    assert set(products) == {f"layer {number}" for number in range(2, layers + 1)}


# ---- the past ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["state", "input"])
@pytest.mark.parametrize("case", ["mixed", "mixed mean", "tanh stack"])
def test_a_step_that_is_recalled_is_the_step_that_was_taken(case: str, by: str) -> None:
    """Its output, the products with the Jacobian of each cell at its point, and the sums that these go into."""
    pooling = "cumulative_mean" if case.endswith("mean") else "none"
    episode = random_episode(1, steps=6)
    found = made({**CASES[case.removesuffix(" mean")], "pooling": pooling}, episode)
    stage = found.machine
    taken: list[list[np.ndarray]] = []
    stage.watchers["seen"] = lambda *values: taken.append([value.copy() for value in values])

    def look(errors: list[Register], seen: list[Seen], output: Signal) -> None:
        signals = [output]
        for layer, register, (at, *_) in zip(found.layers, errors, seen, strict=True):
            delta = register.load()
            drive = layer.cell.drive_error(at, delta)
            layer.cell.accumulate(at, delta, drive)
            signals += [layer.cell.transposed(at, delta), layer.cell.input_error(drive)]
        stage.probe("seen", *signals)

    with stage.showing(episode), stage.workspace(keep_inputs=True) as workspace:
        held = found.states(workspace)
        tapes = [workspace.tape(f"{each.name} tape", *each.size) for each in held.all()]
        errors = [workspace.register(f"{layer.name} e", layer.cell.width) for layer in found.layers]
        for register in errors:
            register.value = np.random.default_rng(5).normal(size=register.value.shape)
        for step in stage.forward_pass("forward"):
            output, seen = found.step(held, step, tapes)
            look(errors, seen, output)
        ahead, taken = taken, []
        sums = {each.name: each.value.copy() for each in stage.holdings.accumulators()}
        for step in stage.backward_pass("backward"):
            output, seen = found.recall(held, step, tapes, by)
            look(errors, seen, output)
        for register in held.all():
            assert not register.value.any()  # at rest, as before the first step
    assert len(ahead) == len(taken) == 6
    for one, other in zip(ahead, taken[::-1], strict=True):
        assert len(one) == 1 + 2 * len(found.layers)
        for mine, theirs in zip(one, other, strict=True):
            np.testing.assert_allclose(theirs, mine, rtol=1e-11, atol=1e-12)
    assert any(each.any() for each in sums.values())
    for each in stage.holdings.accumulators():
        np.testing.assert_allclose(each.value, 2 * sums[each.name], rtol=1e-11, atol=1e-11)


# ---- the loss ----------------------------------------------------------------------------------------------------


def errors(network: Network, episode: Episode, said: np.ndarray) -> list[tuple[np.ndarray, np.ndarray] | None]:
    """Answer and error of each step, had the network said this, `(batch, n)`."""
    stage, found = network.machine, []
    shown: dict[str, np.ndarray] = {}
    for name in ("answer", "error"):
        stage.watchers[name] = lambda value, name=name: shown.update({name: value[0].copy()})  # type: ignore[misc]
    with stage.showing(episode), stage.workspace() as workspace:
        register = workspace.register("said", said.shape[-1])
        register.value = said[None]

        def one(step: Step) -> tuple[np.ndarray, np.ndarray] | None:
            error = network.loss_error(register.load(), step)
            if error is None:
                return None
            stage.probe("error", error)
            return shown["answer"], shown["error"]

        found += [one(step) for step in stage.forward_pass("once")]
    return found


OUTPUTS = st.lists(st.floats(-200, 200), min_size=4, max_size=4)


@pytest.mark.parametrize("scale", [1.0, 0.3, 7.0])
@settings(max_examples=25, deadline=None)
@given(said=OUTPUTS, label=st.integers(0, 3))
def test_the_error_of_classes_is_the_slope_of_the_cross_entropy(scale: float, said: list[float], label: int) -> None:
    y, inputs = np.array(said), np.ones((1, 1, 2))
    network = built({"layers": [TANH], "output_scale": scale}, rule("bptt"), random_episode(classes=4))
    found = errors(network, Episode(inputs, np.array([label]), classes=4), y[None])[0]
    assert found is not None

    def cross_entropy(y: Any) -> Any:
        shifted = scale * (y - y.max())
        return anp.log(anp.sum(anp.exp(shifted))) - shifted[label]

    np.testing.assert_allclose(found[1][0], grad(cross_entropy)(y), rtol=1e-9, atol=1e-12 * scale)
    powers = np.exp(scale * (y - y.max()))
    np.testing.assert_allclose(found[0][0], powers / powers.sum(), rtol=1e-9, atol=1e-14)
    assert found[1].sum() == close(0, abs=1e-12 * scale)  # probabilities, and the one that is asked for, are 1 in all


@pytest.mark.parametrize("scale", [1.0, 0.3, 7.0])
@settings(max_examples=25, deadline=None)
@given(said=OUTPUTS, wanted=OUTPUTS)
def test_the_error_of_values_is_the_slope_of_half_the_squared_distance(
    scale: float, said: list[float], wanted: list[float]
) -> None:
    y, target = np.array(said), np.array(wanted)
    episode = Episode(np.ones((1, 1, 2)), values=target[None, None])
    network = built({"layers": [TANH], "output_scale": scale}, rule("bptt"), episode)
    found = errors(network, episode, y[None])[0]
    assert found is not None
    np.testing.assert_allclose(
        found[1][0],
        grad(lambda y: 0.5 * anp.sum((scale * y - target) ** 2))(y),
        rtol=1e-12,
        atol=1e-12 * scale,
    )
    np.testing.assert_allclose(found[0][0], scale * y, rtol=1e-14)


def test_steps_without_a_loss_have_no_error_and_leave_no_record_of_one() -> None:
    episode = random_episode(1, steps=5, loss_from=3)
    network = made(MIXED, episode)
    found = errors(network, episode, np.ones((3, 3)))
    assert [each is not None for each in found] == [False, False, False, True, True]
    journal = network.machine.journal
    assert journal.latest is not None
    (sweep,) = journal.latest.sweeps
    with_loss = {trace: any(record.layer == "loss" for record in journal.traces[trace]) for trace, _ in sweep.runs}
    assert sum(steps for trace, steps in sweep.runs if with_loss[trace]) == 2
    assert sum(steps for trace, steps in sweep.runs if not with_loss[trace]) == 3


@pytest.mark.parametrize(("scale", "factors"), [(1.0, 0), (2.5, 2)])
def test_a_scale_of_one_is_not_multiplied_by(scale: float, factors: int) -> None:
    episode = random_episode(1, steps=1)
    network = built({**NETWORKS["tanh"], "output_scale": scale}, rule("bptt"), episode)
    errors(network, episode, np.ones((3, 3)))
    ((_, found),) = records(network, PASS)
    assert sum(record.kind == "scale" for record in found) == factors


# ---- parameters --------------------------------------------------------------------------------------------------

SMALL = st.integers(1, 6)
CELLS = st.one_of(
    st.fixed_dictionaries({"name": st.just("lru"), "modes": SMALL}),
    st.fixed_dictionaries({"name": st.just("leaky_tanh"), "units": SMALL}),
)
READOUTS = st.fixed_dictionaries(
    {"norm": st.booleans(), "hidden": st.lists(SMALL, max_size=2)}, optional={"project": SMALL, "width": SMALL}
)
STACKS = st.lists(st.fixed_dictionaries({"cell": CELLS, "readout": READOUTS}), min_size=1, max_size=3)


@settings(max_examples=40, deadline=None)
@given(STACKS, SMALL, SMALL)
def test_parameters_are_as_many_as_the_equations_have(layers: list[dict[str, Any]], inputs: int, answers: int) -> None:
    counted, width = 0, inputs
    for number, layer in enumerate(layers, 1):
        cell, out = layer["cell"], layer["readout"]
        units = cell.get("modes") or cell["units"]
        if cell["name"] == "lru":  # ν, θ, log γ, and a complex B and b
            counted, state = counted + 3 * units + 2 * units * (width + 1), 2 * units
        else:  # W, U and b
            counted, state = counted + units * (units + width + 1), units
        width = answers if number == len(layers) else out.get("width", units)
        widths = [state, *filter(None, [out.get("project")]), *out["hidden"], width]
        counted += sum(before * behind + behind for before, behind in pairwise(widths))
        counted += 2 * (out.get("project") or state) * out["norm"]
    options = networks.Options.model_validate({"layers": layers})
    assert networks.parameters(options, inputs, answers) == counted
    found = Network(Machine(), options, inputs, answers, frozenset())
    assert sum(trainable.values[0].size for trainable in found.trainables) == counted
    assert len({trainable.name for trainable in found.trainables}) == len(found.trainables)


@pytest.mark.parametrize(("on", "units"), [("ideal", 9), ("digital_45nm", 9), ("pcm_crossbar", 20)])
def test_masters_reach_every_unit_when_they_are_programmed_and_not_before(on: str, units: int) -> None:
    """Biases and gains of exact and digital machines are the masters themselves; on a chip they are apart."""
    network = built(NETWORKS["lru stack"], rule("spatial"), random_episode(1), on=on)
    stage = network.machine

    def held() -> dict[str, np.ndarray]:
        apart = [unit for unit in stage.units if on == "pcm_crossbar" or isinstance(unit, Matrix | Diagonal)]
        return {unit.name: unit.programmed.copy() for unit in apart}

    before = held()
    assert len(before) == units
    for trainable in network.trainables:
        trainable.master.value = trainable.master.value * 1.5 + 0.1
    for name, value in held().items():
        np.testing.assert_array_equal(value, before[name])
    network.program()
    for name, value in held().items():
        assert (value != before[name]).mean() > 0.5, name  # some devices are at their bounds


def test_programming_is_a_phase_that_writes_weights_and_each_layer_its_own() -> None:
    episode = random_episode(1)
    for on in ("digital_45nm", "pcm_crossbar"):
        network = built(NETWORKS["lru stack"], rule("spatial"), episode, on=on)
        network.program()
        network.machine.journal.close_batch(1)
        ((name, found),) = records(network, PHASE)
        assert name == "programming"
        assert {record.purpose for record in found} == {WEIGHT_WRITE}
        assert {record.layer for record in found} == {"layer 1", "layer 2"}
        for record in found:
            assert all(each.startswith(record.layer) for each in storages(record)), record


# ---- records -----------------------------------------------------------------------------------------------------


def storages(record: Record) -> list[str]:
    """The storages that it reads or writes."""
    return [each for each in (*record.reads, record.writes) if isinstance(each, str)]


def test_each_record_of_inference_says_which_layer_it_serves() -> None:
    episode = random_episode(1, loss_from=6)
    network = made({**MIXED, "pooling": "cumulative_mean"}, episode)
    inferred(network, episode)
    ((name, found),) = records(network, PASS)
    assert name == "inference"
    assert {record.purpose for record in found} == {INFERENCE}
    by_layer: dict[str, list[Record]] = {}
    for record in found:
        by_layer.setdefault(record.layer, []).append(record)
    assert list(by_layer) == ["network", "layer 1", "layer 2", "layer 3", "layer 4"]
    whole = by_layer.pop("network")  # the input, and the mean of outputs
    assert {storage for record in whole for storage in storages(record)} == {"pooled output"}
    for layer, mine in by_layer.items():
        touched = {storage for record in mine for storage in storages(record)}
        assert f"{layer} h" in touched
        assert all(storage.startswith(f"{layer} ") for storage in touched)
        products = sum(record.kind == "read" for record in mine)
        assert products == {"layer 1": 5, "layer 2": 3, "layer 3": 3, "layer 4": 4}[layer]


def test_each_record_of_learning_says_what_it_is_for() -> None:
    """Of BPTT: the way there is inference, the way back error propagation and gradient, and showing again is replay."""
    episode = random_episode(1)
    learner = rule("bptt")
    network = made(MIXED, episode)
    with network.machine.showing(episode):
        learner.gradients(network)
    passes = dict(records(network, PASS))
    assert {record.purpose for record in passes["forward"]} == {INFERENCE}
    assert {record.purpose for record in passes["backward"]} == {ERROR, GRADIENT, REPLAY}
    assert {record.layer for record in passes["backward"] if record.purpose == GRADIENT} == {
        f"layer {number}" for number in range(1, 5)
    }
    for record in passes["backward"]:
        if record.kind in ("accumulate", "outer"):
            assert record.purpose == GRADIENT
        if record.layer == "loss":  # to which the target is shown again
            assert record.purpose == (REPLAY if record.kind == "replay" else ERROR)
    assert all(record.purpose in PURPOSES for _, found in records(network, PHASE) for record in found)


# ---- what may be written -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"layers": []}, "at least 1 item"),
        ({"output_scale": 0}, "greater than 0"),
        ({"output_scale": float("inf")}, "finite number"),
        ({"pooling": "mean"}, "'none', 'last' or 'cumulative_mean'"),
        ({"depth": 2}, "Extra inputs are not permitted"),
        ({"layers": [{**TANH, "readout": {"hidden": [0]}}]}, "greater than or equal to 1"),
        ({"layers": [{**TANH, "readout": {"norms": True}}]}, "Extra inputs are not permitted"),
    ],
)
def test_networks_that_are_none_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        networks.Options.model_validate({**NETWORKS["tanh"], **change})
