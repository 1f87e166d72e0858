"""What a trial reports: the gradient check tells errors apart, divergence is caught, a seed gives the same bytes."""

import json

import numpy as np
import pytest
from conftest import NETWORKS, built, random_episode, rule

import hwsim
from hwsim import networks
from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.errors import MemoryEstimateError
from hwsim.experiments import run_folder
from hwsim.experiments.run import run

CLEAN = "ideal_crossbar"


def experiment(machine="ideal", learner="fpe", network="lru", **changes):
    data = {
        "name": "trial",
        "seed": 3,
        "task": {"name": "random", "steps": 8, "width": 2, "train": 24, "test": 6},
        "network": NETWORKS[network],
        "learning": {"name": learner} if isinstance(learner, str) else learner,
        "machine": machine,
        "gradient_check": {"sequences": 6},
        **changes,
    }
    return config.compose(Document("test", data))


def substrate(asked):
    return run(asked).summary["systems"]["substrate"]


def against(asked):
    """The largest relative error of a group, against each reference."""
    groups = substrate(asked)["gradient"]
    return {
        reference: max(groups[group][reference]["relative_error"] for group in ("recurrent", "input", "readout"))
        for reference in ("target", "programmed", "recorded")
    }


@pytest.mark.parametrize("network", ["lru stack", "tanh stack"])
def test_on_the_ideal_machine_an_exact_rule_has_no_error_of_any_kind(network):
    assert max(against(experiment(network=network)).values()) < 1e-10


def test_all_parameters_together_are_compared_as_one_vector():
    groups = substrate(experiment(learner="one_step"))["gradient"]
    names = ("recurrent", "input", "readout")
    layers = groups["by_layer"].values()
    assert groups["all"]["target"]["per_chip"] == [groups["all"]["target"]["cosine"]]
    assert min(groups[name]["target"]["relative_error"] for name in names) < groups["all"]["target"]["relative_error"]
    assert groups["all"]["target"]["relative_error"] < max(groups[name]["target"]["relative_error"] for name in names)
    assert {"recurrent", "input", "readout", "all"} == set(next(iter(layers)))


def test_each_chip_has_its_cosine():
    noisy = {"like": CLEAN, "parts": {"diagonals": {"forward": {"mismatch": 0.05}}}}
    found = substrate(experiment(noisy, chips=3))["gradient"]["recurrent"]["target"]
    assert len(set(found["per_chip"])) == 3
    assert sorted(found["per_chip"])[1] == found["cosine"]


def test_an_error_of_the_rule_is_in_all_three():
    assert min(against(experiment(learner="one_step")).values()) > 0.05


def test_errors_of_the_weights_are_seen_against_the_target_alone():
    coarse = {"like": CLEAN, "coefficients": "fixed<7,5>", "attached": "memory"}
    errors = against(experiment(coarse, "bptt"))
    assert errors["target"] > 0.01
    assert max(errors["programmed"], errors["recorded"]) < 1e-3


def test_errors_of_the_dynamics_vanish_along_the_recorded_trajectory():
    noisy = {"like": CLEAN, "attached": "host", "parts": {"registers": {"noise": 0.002}}}
    errors = against(experiment(noisy, {"name": "bptt", "recall": "input"}))
    assert min(errors["target"], errors["programmed"]) > 0.01
    assert errors["recorded"] < 1e-3


def test_fpe_reports_its_horizon_and_what_is_left_at_the_end():
    found = substrate(experiment())["horizon"]
    assert found["fits"]
    assert found["steps"] == 8
    assert 0 < found["end_residual"]["layer 1"] < 1e-10
    assert substrate(experiment(learner="one_step"))["horizon"] is None
    beyond = substrate(experiment("pcm_crossbar", network="tanh", chips=2))["horizon"]
    assert not beyond["fits"]
    assert beyond["end_residual"]["layer 1"] > 0.2


def test_a_run_that_diverges_says_where_and_ends():
    asked = experiment(
        network="tanh",
        gradient_check=None,
        training={"optimizer": {"name": "sgd", "rate": 1e200}, "clip": None, "steps": 4, "batch": 8},
    )
    found = substrate(asked)
    assert found["diverged"]["updates"] >= 1
    assert found["diverged"]["chips"] == [0]
    json.dumps(found, allow_nan=False)


def test_a_chip_that_diverges_leaves_the_others_alone(monkeypatch):
    training = {"optimizer": {"name": "sgd", "rate": 0.01}, "steps": 3, "batch": 8}
    asked = experiment("pcm_crossbar", gradient_check=None, chips=3, training=training)
    undisturbed = substrate(asked)
    from hwsim.learning.fpe import FPE

    gradients = FPE.gradients

    def broken(self, network):
        gradients(self, network)
        if network.machine.numerics.exact:
            network.trainables[0].gradient.value[1:2] = np.nan

    monkeypatch.setattr(FPE, "gradients", broken)
    found = substrate(asked)
    assert found["diverged"]["chips"] == [1]
    for chip in (0, 2):
        assert found["loss"]["per_chip"][chip] == undisturbed["loss"]["per_chip"][chip]
    assert found["loss"]["per_chip"][1] != undisturbed["loss"]["per_chip"][1]


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(tmp_path):
    training = {"optimizer": {"name": "adamw", "rate": 0.01}, "steps": 3, "batch": 8}
    asked = experiment(
        "pcm_crossbar",
        chips=2,
        training=training,
        references=[{"name": "tape", "machine": "digital_45nm", "learning": {"name": "bptt"}}],
    )
    for name, seed in (("a", None), ("b", None), ("c", 4)):
        run(asked, out=tmp_path / name, seed=seed)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert set(files) == {"SHA256SUMS", *run_folder.FILES}
    for name in files:
        first, again, other = ((tmp_path / folder / name).read_bytes() for folder in "abc")
        assert first == again, name
        assert first != other or name in ("memory.csv", "timeline.json", "energy.csv", "clipping.csv"), name


def test_a_run_can_be_had_as_tables(tmp_path):
    asked = experiment("pcm_crossbar", training={"optimizer": {"name": "sgd", "rate": 0.01}, "steps": 2, "batch": 8})
    found = hwsim.run(asked)
    assert found.folder is None
    assert {"system", "unit", "operation", "energy_j"} <= set(found.energy.columns)
    assert len(found.memory) > 10
    assert list(found.metrics["updates"].unique()) == [0, 2]


def test_what_would_not_fit_this_computer_is_refused_before_it_is_made():
    vast = {"layers": [{"cell": {"name": "leaky_tanh", "units": 2_000_000}}]}
    asked = experiment(learner="bptt").model_copy(update={"network": networks.Options.model_validate(vast)})
    with pytest.raises(MemoryEstimateError, match=r"substrate: simulating it would take about .* TB .*fewer chips"):
        run(asked)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_number_of_parameters_is_known_beforehand(network):
    episode, learned = random_episode(), rule("bptt")
    made, options = built(network, learned, episode), networks.Options.model_validate(NETWORKS[network])
    count = sum(trainable.master.value[0].size for trainable in made.trainables)
    assert networks.parameters(options, episode.width, episode.outputs) == count
