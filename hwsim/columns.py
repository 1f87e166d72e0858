"""The columns of a study's tables: a row for each trial, system and chip, and a row for each of their tests."""

from hwsim.accounts.memory import CLASSES, DELAY, INPUT_REPLAY, LEARNING, TAPE, TARGET_REPLAY

GROUPS = ("recurrent", "input", "readout", "all")
"""Groups of parameters; `all` is the union of the other three."""


OF_A_SEQUENCE = (LEARNING, TAPE, INPUT_REPLAY, TARGET_REPLAY, DELAY)
"""Memory classes of what learning keeps per sequence, besides weights, their gradient and the state."""


ENERGIES = {
    "inference": "energy of the inference of one sequence",
    "gradient": "energy of the gradient of one sequence",
    "training_step": "energy of one training step, for its whole batch",
    "run": "energy of the whole run: programming, training and tests",
}
"""What each energy is spent on."""


def memory_column(kind: str) -> str:
    """The column with the bytes of a memory class at peak memory."""
    return f"memory_{kind.replace(' ', '_')}_bytes"


def error_column(cosine: str) -> str:
    """The column of the relative error beside a cosine; it has a value even where the cosine is undefined."""
    return f"relative_error_{cosine.rpartition('_')[2]}"


REPORTED = {
    "end_residual": "relative error of the errors carried to the end of a sequence, worst layer",
    "horizon_fresh_steps": "steps that fresh errors allow, with no more than the tolerated error at their end",
    "horizon_frozen_steps": "steps that frozen errors allow, with no more than the tolerated error at their end",
}
"""Diagnostics of rules that have a column, by name; the largest of several numbers counts."""

MEASURES = {
    "bits_per_character": "bits per character of the test, this chip",
    "smape": "symmetric mean absolute percentage error of the test, as NeuroBench has it, this chip",
}
"""Measures of tests that some tasks have beside the loss, each with a column."""

JUDGED = ("accuracy", "loss")
"""What a test measures for all tasks that have it."""

EARLY = 0.1
"""The share of the updates of a training that are early."""


def area_column(quantity: str, *, early: bool) -> str:
    """The column with the area under a learning curve, of all updates or of early ones."""
    return f"{quantity}_early_area" if early else f"{quantity}_area"


AREAS = {
    area_column(
        quantity, early=early
    ): f"mean of the test {quantity} over {which} updates, this chip: the area under its "
    "learning curve, straight between tests, divided by these updates"
    for quantity in JUDGED
    for early, which in ((False, "all"), (True, "the first tenth of the"))
}
"""Areas under learning curves, each with a column."""

COLUMNS: dict[str, str] = {
    "seed": "seed of the trial",
    "system": "name of the system: `substrate` (or the value of `called`), or the name of a reference",
    "rule": "learning rule",
    "machine": "name of the machine",
    "chip": "number of the chip",
    "status": "`done` or `failed`",
    "non_finite": "whether a requested value of this chip is not finite",
    "accuracy": "test accuracy of this chip",
    "loss": "test loss of this chip",
    **MEASURES,
    **AREAS,
    "constant_accuracy": "accuracy of the best constant answer to the test of this trial",
    "constant_loss": "loss of the best constant answer to the test of this trial",
    **{
        f"cosine_{group}": f"cosine of the gradient ({group}) with exact BPTT at the target weights, this chip"
        for group in GROUPS
    },
    **{f"relative_error_{group}": f"relative error of the gradient ({group}), median over chips" for group in GROUPS},
    **{
        f"cosine_recorded_{group}": f"cosine of the gradient ({group}) with exact BPTT along recorded states, this chip"
        for group in GROUPS
    },
    **REPORTED,
    **{
        column: text
        for part, what in ENERGIES.items()
        for column, text in (
            (f"energy_{part}_j", what),
            (f"energy_{part}_low_j", "its lowest value, with all constants at the ends of their ranges"),
            (f"energy_{part}_high_j", "its highest value, with all constants at the ends of their ranges"),
        )
    },
    "training_step_sequences": "sequences of that training step",
    "assumed_fraction": "share of the training step's energy that depends on assumed constants",
    "peak_memory_bytes": "peak memory for one sequence",
    **{memory_column(kind): f"part of the peak: {kind}" for kind in CLASSES},
    "memory_to_learn_bytes": f"part of the peak that learning keeps per sequence: {', '.join(OF_A_SEQUENCE)}",
    "most_learning_state_bytes": "the most learning state that is held, whether at peak memory or not",
    "operations_gradient": "elementary operations of the gradient of one sequence",
    "accesses_gradient": "values that the gradient of one sequence reads from storages and writes to them",
    "time_sequence_s": "hardware time per sequence, all passes",
    "time_training_step_s": "hardware time of one batch",
    "passes": "passes over a sequence for its gradient",
    "writes_per_device": "mean number of writes per device, the first programming included, median chip",
    "saturation_rate": "share of analog values beyond their range",
    "config_sha256": "hash of the resolved experiment, which identifies the trial",
    "error": "why the trial failed",
}
"""The meaning of each column. In the table, the columns of the study's axes precede them."""

TEXTS = ("system", "rule", "machine", "status", "config_sha256", "error")
WHOLES = ("seed", "chip")
NUMBERS = tuple(name for name in COLUMNS if name not in (*TEXTS, *WHOLES, "non_finite"))

BESIDE = ("constant_accuracy", "constant_loss", "training_step_sequences")
"""Numbers that are no results of a system: they have no statistics and no differences."""

REPORTED_AT_TESTS = ("horizon_fresh_steps", "horizon_frozen_steps")
"""Diagnostics that have a column for each test."""

CURVES: dict[str, str] = {
    "updates": "updates before the test",
    "epoch": "epoch of the test",
    "energy_j": "energy spent from the start to the end of the test: programming, training and tests",
    "learning_energy_j": "the same without tests: what it took to learn so far",
    "learning_time_s": "hardware time of programming and training so far, without tests",
    "writes_per_device": "mean number of writes per device so far, the first programming included, this chip",
    "train_loss": "mean training loss of this chip since the previous test",
    "test_loss": "test loss of this chip",
    "test_accuracy": "test accuracy of this chip",
    **{name: f"{REPORTED[name]}, at the weights of the test" for name in REPORTED_AT_TESTS},
}
"""The columns of learning curves: one row per test."""

METRICS = ("system", "chip", *CURVES)
SPIKES = "system", "layer", "sequence", "step", "neuron"
"""The columns of recorded spikes: a row for each."""
TRACES = "system", "layer", "step", "neuron", "quantity", "value"
"""The columns of what was recorded of a few neurons, step by step."""
TRAINING_AXES = ("updates", "energy_j", "learning_energy_j", "learning_time_s")
"""Columns that may be the x axis of learning curves."""

SUMMARY = (
    "quantity", "median", "lower_quartile", "upper_quartile", "min", "max", "mean", "deviation", "count", "non_finite",
)  # fmt: skip
"""The columns of `summary.csv` behind those of axes and systems."""
PAIRS = (
    "quantity", "first", "second", "axis", "against", "over", "mean", "low", "high", "leads", "count", "non_finite",
    "point", "there",
)  # fmt: skip
"""The columns of `pairs.csv` behind those of axes, and the name of its rows."""
TAKEN = frozenset((*COLUMNS, *CURVES, *SUMMARY, *PAIRS, "sample"))
"""Names of columns that no axis of a study can have."""
