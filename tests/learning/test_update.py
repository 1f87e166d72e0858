"""Updates: optimizers against their equations written out in NumPy, clipping, learning rates, and what they cost."""

from functools import cache

import numpy as np
import pytest
from conftest import built, close, gradient_of, random_episode, rule
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import formats
from hwsim.accounts.memory import OPTIMIZER
from hwsim.learning import optimizers
from hwsim.learning.optimizers import Optimizer
from hwsim.learning.update import Options, Update, rate


def adamw(w, gradients, o, decays, eta):
    """Loshchilov and Hutter 2019, algorithm 2, with a schedule multiplier of one."""
    m = v = np.zeros_like(w)
    for step, g in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        change = (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        w = w - eta * (change + (o["decay"] * w if decays else 0))
    return w


def sgd(w, gradients, o, decays, eta):
    velocity = 0
    for g in gradients:
        velocity = o["momentum"] * velocity + g
        w = w - eta * velocity
    return w


def adam(w, gradients, o, decays, eta):
    """Kingma and Ba 2015, algorithm 1, on the loss plus decay ‖w‖²/2."""
    m = v = np.zeros_like(w)
    for step, g in enumerate(gradients, 1):
        g = g + (o["decay"] * w if decays else 0)
        m, v = 0.8 * m + 0.2 * g, 0.99 * v + 0.01 * g * g
        w = w - eta * (m / (1 - 0.8**step)) / (np.sqrt(v / (1 - 0.99**step)) + 1e-8)
    return w


def adamax(w, gradients, o, decays, eta):
    """Kingma and Ba 2015, algorithm 2, on the same; where all gradients were zero, the weight stays."""
    m = u = np.zeros_like(w)
    for step, g in enumerate(gradients, 1):
        g = g + (o["decay"] * w if decays else 0)
        m, u = 0.9 * m + 0.1 * g, np.maximum(0.999 * u, np.abs(g))
        w = w - eta / (1 - 0.9**step) * np.divide(m, u, out=np.zeros_like(m), where=u > 0)
    return w


CASES = [
    ({"name": "adam", "rate": 0.01, "beta1": 0.8, "beta2": 0.99, "decay": 0.1}, adam),
    ({"name": "adam", "rate": 0.01, "beta1": 0.8, "beta2": 0.99, "decay": 0.0}, adam),
    ({"name": "adamax", "rate": 0.01, "decay": 0.0}, adamax),
    ({"name": "adamax", "rate": 0.01, "decay": 0.1}, adamax),
    ({"name": "adamw", "rate": 0.01, "decay": 0.1}, adamw),
    ({"name": "sgd", "rate": 0.3, "momentum": 0.8}, sgd),
    ({"name": "sgd", "rate": 0.3, "momentum": 0.0}, sgd),
]


@pytest.mark.parametrize(("optimizer", "expected"), CASES)
@pytest.mark.parametrize(
    "clip", [None, 0.05, 1e3, {"norm": 0.05}, {"value": 3e-3}, {"value": 1e3}, {"value": 3e-3, "norm": 0.004}], ids=str
)
def test_weights_follow_the_equations_of_the_optimizer(optimizer, expected, clip):
    options = Options.model_validate({"optimizer": optimizer, "clip": clip, "recurrent_factor": 0.5})
    episode, learned = random_episode(), rule("bptt")
    made = built("lru stack", learned, episode)
    machine = made.machine
    slots = optimizers.build(options.optimizer, made)
    start = {trainable.name: trainable.master.value.copy() for trainable in made.trainables}
    used = {name: [] for name in start}
    bounds = {"norm": np.inf, "value": np.inf, **(clip if isinstance(clip, dict) else {"norm": clip or np.inf})}
    for _ in range(3):
        summed = episode.batch * episode.loss_steps
        found = {name: value.reshape(1, 1, -1) / summed for name, value in gradient_of(made, learned, episode).items()}
        largest = max(np.abs(g).max() for g in found.values())
        found = {name: np.clip(g, -bounds["value"], bounds["value"]) for name, g in found.items()}
        norm = np.sqrt(sum(np.square(g).sum() for g in found.values()))
        for key, size in ("norm", norm), ("value", largest):
            assert (size > bounds[key]) == (bounds[key] < 1)
        for name, g in found.items():
            used[name].append(g * min(1, bounds["norm"] / norm))
        Update(made, slots, options, 0.0)(summed)
    for trainable in made.trainables:
        recurrent = trainable.group == "recurrent"
        eta = optimizer["rate"] * (0.5 if recurrent else 1)
        w = expected(start[trainable.name], used[trainable.name], optimizer, not recurrent, eta)
        np.testing.assert_allclose(trainable.master.value, w, rtol=1e-12, atol=1e-15)
        assert not trainable.gradient.value.any()  # it starts again
    words = {"adam": 2, "adamax": 2, "adamw": 2, "sgd": 1 if optimizer.get("momentum") else 0}[optimizer["name"]]
    parameters = sum(trainable.master.value.size for trainable in made.trainables)
    held = sum(holding.values for holding in machine.memory.live.values() if holding.kind == OPTIMIZER)
    assert held == words * parameters


def test_units_have_the_new_weights_after_an_update():
    episode, learned = random_episode(), rule("bptt")
    made = built("lru", learned, episode)
    options = Options.model_validate({"optimizer": {"name": "sgd", "rate": 1.0}})
    slots = optimizers.build(options.optimizer, made)
    gradient_of(made, learned, episode)
    Update(made, slots, options, 0.0)(1)
    cell = made.layers[0].cell
    np.testing.assert_array_equal(cell.B.weights, cell.B.trainable.values)
    modes = np.exp(-np.exp(cell.nu.values) + 1j * np.exp(cell.theta.values))
    held = cell.eigenvalues.storage.value[:, 0]
    np.testing.assert_allclose(held[:, ::2] + 1j * held[:, 1::2], modes, rtol=1e-14)


def test_the_cosine_schedule_falls_from_the_rate_to_zero():
    options = Options.model_validate({"optimizer": {"name": "sgd", "rate": 0.4}, "schedule": "cosine"})
    assert [rate(options, done) for done in (0, 0.5, 1)] == close([0.4, 0.2, 0.0])
    constant = options.model_copy(update={"schedule": "constant"})
    assert rate(constant, 0.9) == 0.4


@pytest.mark.parametrize("name", ["adam", "adamax", "adamw"])
@pytest.mark.parametrize("on", ["ideal", {"like": "digital_45nm", "update": "float16"}], ids=["float64", "float16"])
def test_a_gradient_of_zero_leaves_the_weights_and_does_not_divide_by_it(name, on):
    episode, learned = random_episode(target="values"), rule("bptt")
    made = built("lru", learned, episode, on=on)
    options = Options.model_validate({"optimizer": {"name": name, "rate": 0.1}, "clip": {"norm": 1.0, "value": 0.5}})
    slots = optimizers.build(options.optimizer, made)
    before = {trainable.name: trainable.master.value.copy() for trainable in made.trainables}
    with made.machine.showing(episode):
        Update(made, slots, options, 0.0)(1)
    rounded = made.machine.update.round or np.asarray  # new weights are numbers of the format of updates
    for trainable in made.trainables:
        np.testing.assert_array_equal(trainable.master.value, rounded(before[trainable.name]))


# ---- clipping ------------------------------------------------------------------------------------------------

FLOATING = {"float64": (-290, 290), "float32": (-30, 30), "bfloat16": (-30, 30), "float16": (-3.5, 3.5)}
"""Formats, and the powers of ten between which gradients are drawn."""
FIXED = ["fixed<8,4>", "fixed<16,4>", "fixed<16,8>", "fixed<16,12>", "fixed<16,15>", "fixed<24,16>", "fixed<32,20>"]


class Looking(Optimizer):
    """Shows the gradient that it gets, and leaves the weights as they are."""

    def __init__(self, network):
        super().__init__(None, network)

    def updated(self, trainable, gradient, rate):
        trainable.machine.probe("gradient", gradient)
        return trainable.master.load()


@cache
def network_with_updates_in(format_):
    """A network, made once for each format."""
    digital = {"like": "digital_45nm", "update": format_}
    on = {"kind": "ideal", "name": "exact"} if format_ == "float64" else digital
    return built("lru", rule("fpe"), random_episode(), on=on)


def drawn_gradient(format_, seed, scale):
    """A gradient for each parameter, in numbers of the format."""
    draw = np.random.default_rng(seed)
    made, form = network_with_updates_in(format_), formats.parse(format_)
    found = [draw.normal(size=trainable.gradient.value.shape) for trainable in made.trainables]
    most = max(np.abs(value).max() for value in found)
    scaled = [(value / most * scale).astype(made.machine.dtype) for value in found]
    return [value if form.round is None else form.round(value) for value in scaled]


def clipped(format_, gradients, bound):
    """What an optimizer gets of a gradient, as one vector."""
    made, seen = network_with_updates_in(format_), []
    made.machine.watchers["gradient"] = lambda value: seen.append(value.astype(np.float64).ravel())
    for trainable, gradient in zip(made.trainables, gradients, strict=True):
        trainable.gradient.value[:] = gradient
    options = Options.model_validate({"optimizer": {"name": "sgd", "rate": 1.0}, "clip": bound})
    try:
        with made.machine.showing(random_episode()):
            Update(made, Looking(made), options, 0.0)(1)
    except BaseException:
        network_with_updates_in.cache_clear()  # what was left in the middle of a phase is of no use
        raise
    return np.concatenate(seen)


def exact_factor(gradients, bound):
    """A gradient as one vector, min(1, bound / norm) in float64, and the norm over the largest entry."""
    vector = np.concatenate([gradient.astype(np.float64).ravel() for gradient in gradients])
    largest = float(np.abs(vector).max())
    spread = float(np.linalg.norm(vector / largest))
    return vector, min(1.0, bound / largest / spread), spread


@pytest.mark.parametrize("format_", FLOATING)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_gradient_of_any_size_is_clipped_to_the_bound(format_, data):
    lowest, highest = FLOATING[format_]
    scale = 10 ** data.draw(st.floats(lowest, highest))
    gradients = drawn_gradient(format_, data.draw(st.integers(0, 9)), scale)
    bound = data.draw(st.sampled_from([1.0, scale, 0.1 * scale, 100 * scale, 10 * scale]))
    vector, factor, _ = exact_factor(gradients, bound)
    form = formats.parse(format_)
    found = clipped(format_, gradients, bound)
    # rounded about ten times on the way, each time by epsilon at most; errors of the sums are smaller
    np.testing.assert_allclose(found, vector * factor, rtol=10 * form.epsilon, atol=5 * form.smallest)
    if factor == 1:
        np.testing.assert_array_equal(found, vector)


@pytest.mark.parametrize("format_", FLOATING)
@pytest.mark.parametrize("bound", ["least", "small", 1.0, "largest", "beyond"])
@pytest.mark.parametrize("size", ["smallest", "subnormal", "large", "largest"])
def test_clipping_is_right_at_the_ends_of_a_format(format_, bound, size):
    form = formats.parse(format_)
    scale = {"smallest": form.smallest, "subnormal": 40 * form.smallest, "large": form.largest / 3}.get(size)
    scale = scale or form.largest
    bounds = {"least": form.smallest, "small": 3e3 * form.smallest, "largest": form.largest}
    limit = bounds.get(bound, bound) if bound != "beyond" else min(form.largest * 3.0, 1.7e308)
    gradients = drawn_gradient(format_, 1, scale)
    vector, factor, _ = exact_factor(gradients, limit)
    found = clipped(format_, gradients, limit)
    assert np.isfinite(found).all()
    # the factor is rounded to the numbers of the format, which may be few so close to zero
    off = 10 * form.epsilon * factor + 3 * form.smallest
    assert (np.abs(found - vector * factor) <= np.abs(vector) * off + form.smallest).all()


@pytest.mark.parametrize("format_", FIXED)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_fixed_point_unit_clips_as_well_as_its_numbers_allow(format_, data):
    form = formats.parse(format_)
    scale = form.smallest * (form.largest / form.smallest) ** data.draw(st.floats(0, 1))
    gradients = drawn_gradient(format_, data.draw(st.integers(0, 9)), scale)
    values = sum(gradient.size for gradient in gradients)
    bound = data.draw(st.sampled_from([1.0, scale, 0.3 * scale, 100 * scale, 10 * scale]))
    vector, factor, spread = exact_factor(gradients, bound)
    found = clipped(format_, gradients, bound)
    # what the factor is divided by is the norm over the largest entry, in a unit in which it cannot be out of range
    norm = spread / max(1, np.sqrt(values) / form.largest)
    off = form.smallest * (1 + 4 / norm)
    assert (np.abs(found - vector * factor) <= np.abs(vector) * off + form.smallest).all()


@pytest.mark.parametrize("format_", [*FLOATING, *FIXED])
def test_a_gradient_of_zero_stays_zero(format_):
    zeros = [np.zeros_like(gradient) for gradient in drawn_gradient(format_, 0, 1.0)]
    for bound in (1e-9, 1.0, 1e9):
        assert not clipped(format_, zeros, bound).any()
