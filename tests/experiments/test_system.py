"""What a system reports: the gradient check tells errors apart, divergence is caught, a seed gives the same bytes."""

import json

import numpy as np
import pytest
from conftest import NETWORKS, built, close, random_episode, rule

import hwsim
from hwsim import networks
from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.errors import CapabilityError, MemoryEstimateError, SingularJacobianError
from hwsim.experiments.estimate import estimate
from hwsim.experiments.look import Differences
from hwsim.experiments.run import run
from hwsim.learning.fpe import FPE
from hwsim.learning.optimizers.sgd import SGD
from hwsim.learning.update import Update
from hwsim.results import run_folder

CLEAN = "ideal_crossbar"


def experiment(machine="ideal", learner="fpe", network="lru", **changes):
    data = {
        "name": "system",
        "seed": 3,
        "task": {"name": "random", "steps": 8, "width": 2, "train": 24, "test": 6},
        "network": NETWORKS[network] if isinstance(network, str) else network,
        "learning": {"name": learner} if isinstance(learner, str) else learner,
        "machine": machine,
        "gradient_check": {"sequences": 6},
        **changes,
    }
    return config.compose(Document("test", data))


def substrate(asked):
    return run(asked).summary.plain()["systems"]["substrate"]


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


@pytest.mark.parametrize("target", ["classes", "values"])
def test_pooling_the_last_output_is_a_loss_in_the_last_step_alone(target):
    def told(loss, pooling):
        task = {"name": "random", "steps": 8, "width": 2, "train": 24, "test": 6, "target": target, "loss": loss}
        network = {**NETWORKS["tanh"], "pooling": pooling}
        training = {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 8, "steps": 3}
        asked = experiment("digital_45nm", network=network, task=task, training=training)
        found = run(asked)
        metrics = [each for costs in found.costs for each in costs.outcome.metrics]
        return metrics, found.summary.plain()["systems"], estimate(asked).summary.plain()["systems"]

    last = told("each", "last")
    assert last == told("last", "none")
    assert last[0] != told("each", "none")[0]
    assert last[2]["substrate"]["energy"]["run_j"] == close(last[1]["substrate"]["energy"]["run_j"])


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
        {"kind": "ideal", "name": "float32", "format": "float32"},
        network="tanh",
        gradient_check=None,
        training={"optimizer": {"name": "sgd", "rate": 1e36}, "clip": None, "steps": 4, "batch": 8},
    )
    found = substrate(asked)
    assert found["diverged"]["updates"] >= 1
    assert found["diverged"]["chips"] == [0]
    json.dumps(found, allow_nan=False)


def test_what_goes_wrong_in_a_run_names_its_system():
    """Large weights saturate tanh, whose slope is then 0: neither the footprint nor the rehearsal meets that."""
    asked = experiment(
        network={"layers": [{"cell": {"name": "leaky_tanh", "units": 4}}]},
        gradient_check=None,
        training={"optimizer": {"name": "sgd", "rate": 1e3}, "clip": None, "steps": 4, "batch": 8},
    )
    with pytest.raises(SingularJacobianError, match=r"^substrate: layer 1: the Jacobian of step \d .* has no inverse$"):
        run(asked)


@pytest.mark.parametrize("training", [None, {"optimizer": {"name": "sgd", "rate": 0.01}, "steps": 1, "batch": 8}])
@pytest.mark.parametrize("check", [None, {"sequences": 6}])
def test_a_rule_checks_the_network_that_really_runs(monkeypatch, training, check):
    """The rehearsal's has one chip, so it does not tell all."""
    checked, ran, gradients = [], [], FPE.gradients

    def one_chip_only(self, network):
        checked.append(network)
        if network.machine.chips > 2:
            raise CapabilityError("too many chips")

    def noted(self, network):
        ran.append(network)
        gradients(self, network)

    monkeypatch.setattr(FPE, "check", one_chip_only)
    monkeypatch.setattr(FPE, "gradients", noted)
    run(experiment("pcm_crossbar", chips=2, gradient_check=check, training=training))
    assert {id(network) for network in ran} <= {id(network) for network in checked}
    with pytest.raises(CapabilityError, match="too many chips"):
        run(experiment("pcm_crossbar", chips=3, gradient_check=check, training=training))


def test_a_chip_that_diverges_leaves_the_others_alone(monkeypatch):
    training = {"optimizer": {"name": "sgd", "rate": 0.01}, "steps": 3, "batch": 8}
    asked = experiment("pcm_crossbar", gradient_check=None, chips=3, training=training)
    undisturbed = substrate(asked)
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


def test_a_system_that_is_lost_has_no_result_and_no_horizon(tmp_path):
    """Weights of 1e30 give answers that are no numbers, which are not class 0."""
    asked = experiment(
        "pcm_crossbar",
        gradient_check=None,
        chips=2,
        training={"optimizer": {"name": "adamw", "rate": 1e30}, "steps": 3, "batch": 8},
        references=[{"name": "tape", "machine": "digital_45nm", "learning": {"name": "bptt"}}],
    )
    found = run(asked, out=tmp_path / "run")
    for name, chips in (("substrate", 2), ("tape", 1)):
        system = found.summary.plain()["systems"][name]
        for quantity in ("accuracy", "loss"):
            assert system[quantity] == {"median": None, "per_chip": [None] * chips, "non_finite": chips}
        assert system["diverged"]["chips"] == list(range(chips))
        assert system["horizon"] is None
    last = found.metrics[found.metrics.updates == 3]
    assert len(last) == 3
    learned = ["train_loss", "test_loss", "test_accuracy", "horizon_fresh_steps", "horizon_frozen_steps"]
    assert last[learned].isna().all(axis=None)
    assert last.learning_time_s.gt(0).all()
    written = (tmp_path / "run" / "metrics.csv").read_text()
    assert written.splitlines()[3].startswith("substrate,0,3,1,,,")
    assert not {"nan", "inf"} & set(written.replace("\n", ",").split(","))
    assert "nan" not in (tmp_path / "run" / "energy.csv").read_text().replace("\n", ",").split(",")


def spoil_weights(monkeypatch, chip):
    """Have the weights of a chip become no numbers in the last update."""
    change = Update.__call__

    def spoilt(self, losses, regularise=None, beside=()):
        change(self, losses, regularise, beside)
        if self.network.machine.chips == 1:  # the rehearsal's
            return
        for trainable in self.network.trainables:
            trainable.master.value = trainable.master.value.copy()
            trainable.master.value[chip] = np.nan
        self.network.program()

    monkeypatch.setattr(Update, "__call__", spoilt)


@pytest.mark.parametrize("task", ["random", "adding"])
@pytest.mark.parametrize("chip", [0, 1])
def test_the_median_is_that_of_the_chips_that_are_left(monkeypatch, task, chip):
    shape = {"width": 2} if task == "random" else {}
    asked = experiment(
        "pcm_crossbar",
        task={"name": task, "steps": 6, "train": 8, "test": 6, **shape},
        gradient_check=None,
        chips=3,
        training={"optimizer": {"name": "sgd", "rate": 0.01}, "steps": 1, "batch": 8},
    )
    whole = substrate(asked)
    spoil_weights(monkeypatch, chip)
    found = substrate(asked)
    for quantity in ("loss", "accuracy") if task == "random" else ("loss",):
        left = whole[quantity]["per_chip"][:chip] + whole[quantity]["per_chip"][chip + 1 :]
        assert found[quantity]["per_chip"][chip] is None
        assert [value for value in found[quantity]["per_chip"] if value is not None] == left
        assert found[quantity]["median"] == np.median(left)
        assert (whole[quantity]["non_finite"], found[quantity]["non_finite"]) == (0, 1)
    assert task == "random" or found["accuracy"] is None
    assert found["diverged"]["chips"] == [chip]
    assert found["horizon"]["fresh_steps"] == close(whole["horizon"]["fresh_steps"], rel=0.1)
    json.dumps(found, allow_nan=False)


def test_a_chip_whose_gradient_is_no_number_is_in_no_median(monkeypatch):
    asked = experiment("pcm_crossbar", chips=3)
    whole = substrate(asked)["gradient"]
    from hwsim.learning.fpe import FPE

    gradients = FPE.gradients

    def broken(self, network):
        gradients(self, network)
        if network.machine.numerics.exact:  # neither while memory is weighed
            network.trainables[0].gradient.value[1:2, 0] = np.nan  # nor in the rehearsal, which has one chip

    monkeypatch.setattr(FPE, "gradients", broken)
    found = substrate(asked)["gradient"]
    for against in ("target", "programmed", "recorded"):
        chips = whole["all"][against]["per_chip"]
        assert found["all"][against]["per_chip"] == [chips[0], None, chips[2]]
        assert found["all"][against]["relative_error_per_chip"][1] is None
        assert found["all"][against]["cosine"] == np.median([chips[0], chips[2]])
        assert (whole["all"][against]["non_finite"], found["all"][against]["non_finite"]) == (0, 1)
        assert found["readout"][against] == whole["readout"][against]


def test_what_two_gradients_have_in_common():
    from hwsim.experiments.gradient_check import _alike

    x, y, zero = np.array([3.0, 4.0]), np.array([4.0, 3.0]), np.zeros(2)
    assert _alike(x, y) == close((24 / 25, 2**0.5 / 5))
    assert _alike(1e200 * x, y)[0] == close(24 / 25)
    assert _alike(zero, y) == (None, 1.0)
    assert _alike(zero, zero) == (None, 0.0)
    for wrong in (np.nan, np.inf, -np.inf):
        assert _alike(np.array([1.0, wrong]), y) == (None, None)
        assert _alike(x, np.array([1.0, wrong])) == (None, None)
        assert _alike(zero, np.array([1.0, wrong])) == (None, None)


def test_an_error_that_is_no_number_misses_by_more_than_any():
    """Of three chips the median is among the others; of two there is no number between."""
    made, shown = built("lru", rule("fpe"), random_episode()), Differences()
    shown.watch(made, rule("fpe"))
    for chips, wanted in ((3, 0.5), (2, np.inf)):
        g = np.ones((chips, 2, 4))
        delta = 1.5 * g
        delta[-1] = np.nan
        made.machine.watchers["layer 1 residual"](delta, g)
        assert shown.latest == {"residual": {"layer 1": wanted}}


FORGETFUL = {"layers": [{"cell": {"name": "lru", "modes": 4, "r_min": 0.5, "r_max": 0.55}, "readout": {"hidden": [6]}}]}
"""Errors that are propagated forward in time grow by up to two a step."""


def vast(machine="digital_45nm", steps=100, network=FORGETFUL, **training):
    """Gradients of about 1e22, which are numbers of float32 though their squares are not."""
    return experiment(
        machine,
        gradient_check=None,
        seed=1,
        task={"name": "random", "steps": steps, "width": 3, "outputs": 2, "train": 16, "test": 8},
        network=network,
        training={"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 4, "steps": 4, "test_every": 1, **training},
    )


def test_a_gradient_whose_norm_is_hard_to_square_is_clipped_to_the_bound_and_learned_from(monkeypatch):
    seen, latest, updated = [], [None], SGD.updated

    def look(self, trainable, gradient, rate):
        clipped = trainable.machine.see(gradient).astype(float)
        after = updated(self, trainable, gradient, rate)
        change = trainable.machine.see(after) - trainable.master.value
        if self is not latest[-1]:  # after those of the footprint and the rehearsal
            latest.append(self)
            seen.clear()
        seen.append((self.iteration, np.abs(trainable.gradient.value).max(), np.square(clipped).sum(), change))
        return after

    monkeypatch.setattr(SGD, "updated", look)
    found = substrate(vast(clip=1.0))
    assert found["diverged"] is None
    for iteration in range(4):
        _, largest, squares, changes = zip(*(each for each in seen if each[0] == iteration), strict=True)
        assert 1e20 < max(largest) < np.inf
        assert sum(squares) == close(1.0, rel=1e-5)
        assert max(np.abs(change).max() for change in changes) > 1e-3


def test_where_an_update_leaves_the_range_of_numbers_is_noted():
    """The squares of AdamW are infinite, so its changes would be zero for ever, and nobody would know."""
    found = substrate(vast(optimizer={"name": "adamw", "rate": 0.1}))["diverged"]
    assert (found["updates"], found["sweep"], found["step"], found["chips"]) == (0, "update", 0, [0])
    assert found["storage"].endswith(" v")


@pytest.mark.parametrize("clip", [None, 1.0])
def test_a_gradient_beyond_the_format_of_updates_diverges_and_leaves_the_weights(clip):
    """It is summed in float32, and updates are in float16."""
    asked = vast({"like": "digital_45nm", "update": "float16"}, steps=60, network="tanh", clip=clip)
    found = substrate(asked)
    assert found["diverged"]["chips"] == [0]
    before, *losses = run(asked).metrics["test_loss"]
    assert len(set(losses)) == 1
    assert losses[0] == close(before, rel=1e-3)  # the first weights are rounded when they are stored again


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
    assert set(files) == {"SHA256SUMS", run_folder.KEPT, *run_folder.FILES}
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


def test_a_reference_with_frozen_recurrent_weights_is_that_experiment_with_them_frozen():
    """The same losses as of a run whose own factor is 0; other ones than the substrate's, but for the first."""
    training = {"optimizer": {"name": "sgd", "rate": 0.3}, "batch": 8, "steps": 3}
    frozen = {"name": "frozen", "machine": "ideal", "learning": {"name": "eprop"}, "recurrent_factor": 0}
    beside = run(experiment(learner="eprop", network="tanh", training=training, references=[frozen]))
    alone = run(experiment(learner="eprop", network="tanh", training={**training, "recurrent_factor": 0}))
    found = beside.metrics.set_index("system").test_loss
    assert found["frozen"].tolist() == alone.metrics.test_loss.tolist()
    assert found["frozen"].iloc[0] == found["substrate"].iloc[0]
    assert found["frozen"].iloc[-1] != found["substrate"].iloc[-1]
