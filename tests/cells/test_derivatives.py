"""The hand-derived derivatives against automatic differentiation (HIPS autograd) of an implementation of its own."""

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad, jacobian
from conftest import MIXED, NETWORKS, built, close, distance, gradient, gradient_of, perturb, random_episode, rule
from equations import gated, leaks, model
from pydantic import ValidationError

from hwsim import cells, networks

POOLED = {**NETWORKS["tanh stack"], "pooling": "cumulative_mean", "output_scale": 2.5}
GROUPS = [{"value": 1.0, "units": 3}, {"value": 0.2, "units": 1}, {"value": 0.5, "units": 2}]
GROUPED = {"layers": [{"cell": {"name": "leaky_tanh", "units": 6, "leak": GROUPS}, "readout": {"hidden": [5]}}]}
CASES = {**NETWORKS, "pooled": POOLED, "mixed": MIXED, "groups": GROUPED}


def loss(options, episode):
    """The loss as a function of all parameters, summed over sequences and steps.

    The mean of outputs is straight-through: it counts with the value of the mean and the slope of the current output.
    """
    pooled, scale = options.get("pooling") == "cumulative_mean", options.get("output_scale", 1.0)

    def total(parameters, frozen):
        result = 0.0
        for number in range(episode.batch):
            outputs = model(options["layers"], parameters, episode.inputs[number])
            fixed = model(options["layers"], frozen, episode.inputs[number])
            for step in range(episode.loss_from, episode.steps):
                y = outputs[step]
                if pooled:
                    y = y - fixed[step] + sum(fixed[: step + 1]) / (step + 1)
                if episode.values is not None:
                    result = result + 0.5 * anp.sum((scale * y - episode.values[number, step]) ** 2)
                else:
                    label = episode.labels[number, step] if episode.labels.ndim == 2 else episode.labels[number]
                    result = result + anp.log(anp.sum(anp.exp(scale * y))) - scale * y[label]
        return result

    return total


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("target", ["each", "one", "values"])
def test_bptt_is_the_gradient_that_autograd_finds(case, target):
    options, episode, learner = CASES[case], random_episode(2, target=target, loss_from=2), rule("bptt")
    made = built(options, learner, episode, seed=5)
    perturb(made)
    parameters = {trainable.name: trainable.values[0].copy() for trainable in made.trainables}
    expected = grad(loss(options, episode))(parameters, parameters)
    found = gradient_of(made, learner, episode)
    assert distance({name: value[0] for name, value in found.items()}, expected) < 1e-10


@pytest.mark.parametrize("case", ["lru", "tanh", "groups", "gru", "lstm"])
def test_products_with_the_jacobian_are_those_of_the_step(case):
    """Jᵀ v, J⁻ᵀ v, P Jᵀ, Fᵀ δ and (∂f/∂x)ᵀ δ of one step against autograd's Jacobian of it, complex or not."""
    options, learner = CASES[case], rule("fpe")
    episode = random_episode(4, batch=1, steps=2)
    made = built(options, learner, episode, seed=6)
    perturb(made)
    cell, machine = made.layers[0].cell, made.machine
    n, draw = cell.width, np.random.default_rng(7)
    v, before = draw.normal(size=n), draw.normal(size=n)
    seen = {}
    for name in ("transposed", "inverse", "extended", "input", "next"):
        machine.watchers[name] = lambda value, name=name: seen.update({name: value[0, 0].copy()})
    with machine.showing(episode), machine.workspace() as workspace:
        h, error = workspace.register("h", n), workspace.register("e", n)
        product = cell.product(workspace, "P")
        h.value, error.value = before.reshape(1, 1, n), v.reshape(1, 1, n)
        for step in machine.forward_pass("once"):
            after, at = cell.step(h.load(), step.input)
            delta = error.load()
            drive = cell.drive_error(at, delta)
            machine.probe("next", after)
            machine.probe("transposed", cell.transposed(at, delta))
            machine.probe("inverse", cell.inverse_transposed(at, delta))
            machine.probe("extended", cell.extend(product.load(), at))
            machine.probe("input", cell.input_error(drive))
            if step.first:
                cell.accumulate(at, delta, drive)
                first = dict(seen)
    made.finish_gradient()
    parameters = {trainable.name: trainable.values[0].copy() for trainable in made.trainables}

    def step(h, x, values):
        p = {name.removeprefix("layer 1 "): value for name, value in values.items()}
        if case in ("gru", "lstm"):
            return gated(case, p, h, x)
        if case in ("tanh", "groups"):
            a = leaks(options["layers"][0]["cell"])
            return (1 - a) * h + a * anp.tanh(p["W"] @ h + p["U"] @ x + p["b"])
        eigenvalues = anp.exp(-anp.exp(p["nu"]) + 1j * anp.exp(p["theta"]))
        drive = p["B"] @ x + p["b"]
        new = eigenvalues * (h[::2] + 1j * h[1::2]) + anp.exp(p["log gamma"]) * (drive[::2] + 1j * drive[1::2])
        return anp.ravel(anp.stack([anp.real(new), anp.imag(new)], 1))

    x = episode.inputs[0, 0]
    j = jacobian(step, 0)(before, x, parameters)
    np.testing.assert_allclose(first["next"], step(before, x, parameters), atol=1e-12)
    np.testing.assert_allclose(first["transposed"], j.T @ v, atol=1e-12)
    np.testing.assert_allclose(first["inverse"], np.linalg.solve(j.T, v), atol=1e-10)
    np.testing.assert_allclose(first["input"], jacobian(step, 1)(before, x, parameters).T @ v, atol=1e-12)
    if cell.dense:
        np.testing.assert_allclose(first["extended"], j.T, atol=1e-12)
    else:
        modes = first["extended"][::2] + 1j * first["extended"][1::2]
        np.testing.assert_allclose(modes, j.T[::2, ::2].diagonal() + 1j * j.T[1::2, ::2].diagonal(), atol=1e-12)
    expected = grad(lambda values: anp.dot(v, step(before, x, values)))(parameters)
    for trainable in cell.trainables:
        np.testing.assert_allclose(trainable.gradient.value[0], expected[trainable.name], atol=1e-11)


def test_bptt_is_the_slope_by_finite_differences():
    options, episode, learner = NETWORKS["lru stack"], random_episode(8, batch=2, steps=5), rule("bptt")
    options = {**options, "pooling": "none"}  # a straight-through mean is no slope of the loss
    made = built(options, learner, episode, seed=9)
    perturb(made)
    found = gradient_of(made, learner, episode)
    parameters = {trainable.name: trainable.values[0].copy() for trainable in made.trainables}
    total, draw = loss(options, episode), np.random.default_rng(10)
    for _ in range(5):
        direction = {name: draw.normal(size=value.shape) for name, value in parameters.items()}
        shifted = [{name: parameters[name] + sign * 1e-5 * direction[name] for name in parameters} for sign in (1, -1)]
        slope = (total(shifted[0], shifted[0]) - total(shifted[1], shifted[1])) / 2e-5
        along = sum(float((found[name][0] * direction[name]).sum()) for name in parameters)
        assert along == close(slope, rel=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_a_network_has_as_many_parameters_as_is_said_before_it_is_built(case):
    options, episode = networks.Options.model_validate(CASES[case]), random_episode(2)
    made = built(CASES[case], rule("bptt"), episode)
    sizes = [trainable.values[0].size for trainable in made.trainables]
    assert networks.parameters(options, episode.width, episode.outputs) == sum(sizes)
    for layer, cell in zip(options.layers, (layer.cell for layer in made.layers), strict=True):
        driven = {"lru": "B", "rev_gru": "U1"}.get(layer.cell.name, "U")
        (inputs,) = (each.shape[1] for each in cell.trainables if each.name == f"{cell.name} {driven}")
        sizes = [trainable.values[0].size for trainable in cell.trainables]
        size = cells.size(layer.cell, inputs)
        assert (size.width, size.parameters) == (cell.width, sum(sizes))
        assert size.visible == (cell.width // 2 if layer.cell.name == "lstm" else cell.width)


@pytest.mark.parametrize(("leak", "forward", "backward"), [(1.0, 0, 0), (0.3, 2, 4)])
def test_a_state_that_is_replaced_as_a_whole_takes_no_factors(leak, forward, backward):
    """With a = 1 nothing is multiplied by a or 1 - a; else h and s are, and going back h, s, a tanh' and δ."""
    network = {"layers": [{"cell": {"name": "leaky_tanh", "units": 6, "leak": leak}}]}
    made, episode = built(network, rule("bptt"), random_episode(2)), random_episode(2)
    gradient_of(made, rule("bptt"), episode)
    _, ahead, back = ([record.kind for record in trace] for trace in made.machine.journal.traces)
    assert ("tanh" in ahead, ahead.count("scale")) == (True, forward)
    assert ("tanh slope" in back, back.count("scale")) == (True, backward)


def test_groups_of_units_are_all_units():
    with pytest.raises(ValidationError, match="leak: the groups have 6 units, and the cell has 7"):
        networks.Options.model_validate({"layers": [{"cell": {"name": "leaky_tanh", "units": 7, "leak": GROUPS}}]})


def test_groups_that_leak_alike_are_one():
    cell, parts = {"name": "leaky_tanh", "units": 6}, [{"value": 0.3, "units": 2}, {"value": 0.3, "units": 4}]
    one, other = ({"layers": [{"cell": {**cell, "leak": leak}}]} for leak in (0.3, parts))
    for learner in ("bptt", "fpe"):
        found = [gradient(each, learner, random_episode()) for each in (one, other)]
        assert distance(*found) < 1e-12
