"""On the ideal machine forward error propagation is backpropagation through time, as far as its horizon reaches."""

import numpy as np
import pytest
from conftest import NETWORKS, built, distance, gradient, gradient_of, horizon, random_episode, rule

DEEP = {"cell": {"name": "lru", "modes": 32, "r_min": 0.9}, "readout": {"hidden": [64], "width": 32}}


def deep(r_min):
    cell = {"name": "lru", "modes": 32, "r_min": r_min}
    return {"layers": [{**DEEP, "cell": cell}] * 4, "pooling": "cumulative_mean"}


def leaky(leak):
    return {"layers": [{"cell": {"name": "leaky_tanh", "units": 16, "leak": leak}}]}


@pytest.mark.parametrize("network", sorted(set(NETWORKS) - {"lstm"}))
@pytest.mark.parametrize("target", ["each", "one", "values"])
@pytest.mark.parametrize("loss_from", [0, 6])
def test_both_warm_ups_give_the_gradient_of_bptt(network, target, loss_from):
    episode = random_episode(target=target, loss_from=loss_from)
    exact = gradient(network, "bptt", episode)
    assert distance(gradient(network, "fpe", episode), exact) < 1e-10
    assert distance(gradient(network, "fpe seed", episode), exact) < 1e-9


@pytest.mark.parametrize("target", ["each", "one", "values"])
def test_an_lstm_is_exact_as_far_as_its_horizon_reaches(target):
    """What h was matters through the gates alone, so it is nearly forgotten in a step, and rounding grows so fast."""
    learner = rule("fpe")
    for steps in (2, 4, 7):
        episode = random_episode(target=target, steps=steps)
        made, ideal = (built("lstm", learner, episode) for _ in range(2))
        allowed = horizon(made, ideal, episode).fresh_error
        missed = distance(gradient("lstm", learner.options.model_dump(), episode), gradient("lstm", "bptt", episode))
        assert allowed / 30 < missed < 30 * allowed


def test_a_hundred_leaky_networks_agree():
    worst = {"fpe": 0.0, "fpe seed": 0.0}
    for seed in range(100):
        episode = random_episode(seed, batch=1, steps=60, width=3, classes=4)
        exact = gradient(leaky(0.1), "bptt", episode, seed=seed)
        for learner in worst:
            worst[learner] = max(worst[learner], distance(gradient(leaky(0.1), learner, episode, seed=seed), exact))
    assert worst["fpe"] <= 1e-9
    assert worst["fpe seed"] <= 1e-6


def reach(leak, tolerance):
    episode = random_episode(0, batch=2, steps=60, width=3, classes=4)
    learner = rule("fpe")
    made = built(leaky(leak), learner, episode)
    return horizon(made, built(leaky(leak), learner, episode), episode, tolerance)


def test_the_horizon_says_where_that_ends():
    """For an accuracy of 1e-9, sixty steps are within the horizon at a = 0.1 and beyond it at a = 0.2."""
    assert reach(0.1, 1e-9).fits
    beyond = reach(0.2, 1e-9)
    assert not beyond.fits
    episode = random_episode(0, batch=1, steps=60, width=3, classes=4)
    missed = distance(gradient(leaky(0.2), "fpe", episode), gradient(leaky(0.2), "bptt", episode))
    assert 1e-9 < missed < 1  # it is right


@pytest.mark.parametrize("r_min", [0.9, 0.99])
def test_four_layers_are_exact_after_five_passes_from_the_top_down(r_min):
    episode = random_episode(1, batch=1, steps=98, width=1, classes=10, target="one")
    exact = gradient(deep(r_min), "bptt", episode)
    for passes in range(1, 6):
        found = gradient(deep(r_min), {"name": "fpe", "passes": passes}, episode)
        for layer in range(1, 5):
            names = [name for name in exact if name.startswith(f"layer {layer}")]
            readout = [name for name in names if " V" in name]
            cell = [name for name in names if " V" not in name]
            if layer > 5 - passes:  # the top p - 1 layers
                assert distance(found, exact, names) <= 1e-9
            else:
                assert all(not found[name].any() for name in cell)
                if layer == 5 - passes:  # its errors arrive in the pass that it warms up in
                    assert distance(found, exact, readout) <= 1e-9
                else:
                    assert all(not found[name].any() for name in readout)


def test_rtrl_is_exact_for_one_layer_and_for_the_top_of_a_stack():
    episode = random_episode()
    assert distance(gradient("lru", "rtrl", episode), gradient("lru", "bptt", episode)) < 1e-12
    exact, found = gradient("lru stack", "bptt", episode), gradient("lru stack", "rtrl", episode)
    top = [name for name in exact if name.startswith("layer 2")]
    assert distance(found, exact, top) < 1e-12
    assert distance(found, exact, ["layer 1 B"]) > 1e-3
    for network in ("tanh", "gru", "lstm"):  # with all N sensitivities of each parameter
        assert distance(gradient(network, "rtrl", episode), gradient(network, "bptt", episode)) < 1e-10


def test_one_step_and_spatial_differ_in_the_recurrent_factor_alone():
    episode = random_episode()
    for network, recurrent in (("lru stack", ("nu", "theta")), ("tanh stack", (" W",))):
        one, spatial = gradient(network, "one_step", episode), gradient(network, "spatial", episode)
        for name in one:
            if name.endswith(recurrent):
                assert one[name].any()
                assert not spatial[name].any()
            else:
                np.testing.assert_array_equal(one[name], spatial[name])


def test_one_step_is_bptt_where_there_is_one_step():
    episode = random_episode(steps=1)
    for network in NETWORKS:
        exact, found = gradient(network, "bptt", episode), gradient(network, "one_step", episode)
        assert all(np.allclose(found[name], exact[name], atol=1e-15) for name in exact)


def test_two_minus_comes_close_for_small_steps():
    """2I - Jᵀ misses J⁻ᵀ by O(a²) a step: T a² = 0.003 here."""
    episode = random_episode(steps=30, width=3, classes=4)
    small = leaky(0.01)
    exact, near = gradient(small, "bptt", episode), gradient(small, "fpe two_minus", episode)
    assert 1e-12 < distance(near, exact) < 0.02


def test_recalling_by_input_or_by_state_is_the_same():
    episode = random_episode()
    for network in NETWORKS:
        by_state = gradient(network, "bptt", episode)
        by_input = gradient(network, {"name": "bptt", "recall": "input"}, episode)
        assert distance(by_input, by_state) < 1e-12


def test_chips_are_alike_on_an_exact_machine_and_strictness_changes_nothing():
    episode = random_episode()
    for learner in ("bptt", "fpe", "rtrl"):
        plain = gradient("lru stack", learner, episode, chips=3)
        strict = gradient("lru stack", learner, episode, strict=True)
        for name in plain:
            for chip in range(3):
                np.testing.assert_array_equal(plain[name][chip], strict[name][0])


def test_float32_is_float64_rounded():
    episode = random_episode()
    exact = gradient("lru stack", "fpe", episode)
    single = gradient("lru stack", "fpe", episode, on={"like": "ideal", "format": "float32"})
    assert 1e-9 < distance(single, exact) < 1e-4


def test_the_end_residual_is_zero_where_errors_are_exact():
    episode, learner = random_episode(), rule("fpe")
    made = built("lru stack", learner, episode)
    seen = {}
    for layer in made.layers:
        made.machine.watchers[f"{layer.name} residual"] = lambda delta, g, name=layer.name: seen.update(
            {name: np.abs(delta - g).max()}
        )
    gradient_of(made, learner, episode)
    assert set(seen) == {"layer 1", "layer 2"}
    assert max(seen.values()) < 1e-13
