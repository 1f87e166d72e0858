"""The columns of a study's tables: a row for each trial, system and chip, and a row for each of their tests."""

from hwsim.accounts.memory import CLASSES, DELAY, INPUT_REPLAY, LEARNING, TAPE, TARGET_REPLAY

GROUPS = ("recurrent", "input", "readout", "all")
"""Of parameters; `all` are those of the three together."""


OF_A_SEQUENCE = (LEARNING, TAPE, INPUT_REPLAY, TARGET_REPLAY, DELAY)
"""What a rule keeps of a sequence, beside weights, their gradient and the state."""


ENERGIES = {
    "inference": "of one sequence",
    "gradient": "of one sequence",
    "training_step": "of one batch",
    "run": "of everything",
}
"""What an energy is of."""


def memory_column(kind: str) -> str:
    """The column with the bytes of a memory class, when the most was held."""
    return f"memory_{kind.replace(' ', '_')}_bytes"


def error_column(cosine: str) -> str:
    """The column that has a value wherever a cosine was asked for, be it defined or not."""
    return f"relative_error_{cosine.rpartition('_')[2]}"


REPORTED = {
    "end_residual": "relative error at the end of a sequence, of the worst layer",
    "horizon_fresh_steps": "steps that fresh errors allow",
    "horizon_frozen_steps": "steps that frozen errors allow",
}
"""Diagnostics that have a column, by the names that rules give them; of several numbers the largest counts."""

COLUMNS: dict[str, str] = {
    "seed": "of the trial",
    "system": "`substrate`, or what `called` says, or the name of a reference",
    "rule": "learning rule",
    "machine": "name of the machine",
    "chip": "number of the chip",
    "status": "`done` or `failed`",
    "non_finite": "whether something that was asked of this chip left the range of numbers",
    "accuracy": "of this chip on the test set",
    "loss": "of this chip on the test set",
    **{
        f"cosine_{group}": f"of the gradient ({group}) with exact BPTT at the target weights, this chip"
        for group in GROUPS
    },
    **{f"relative_error_{group}": "of that gradient, median over chips" for group in GROUPS},
    **{f"cosine_recorded_{group}": "with exact BPTT along the recorded trajectory, this chip" for group in GROUPS},
    **REPORTED,
    **{
        column: text
        for part, what in ENERGIES.items()
        for column, text in (
            (f"energy_{part}_j", what),
            (f"energy_{part}_low_j", "the lowest that the sources' constants allow"),
            (f"energy_{part}_high_j", "the highest"),
        )
    },
    "assumed_fraction": "share of the training step's energy that rests on assumed constants",
    "peak_memory_bytes": "the most that was held, for one sequence",
    **{memory_column(kind): f"of it for {kind}" for kind in CLASSES},
    "memory_to_learn_bytes": f"of it for what learning keeps of a sequence: {', '.join(OF_A_SEQUENCE)}",
    "time_sequence_s": "hardware time per sequence, all passes",
    "time_training_step_s": "hardware time of one batch",
    "passes": "over a sequence, for its gradient",
    "writes_per_device": "the first programming included, the median chip",
    "saturation_rate": "share of analog values beyond their range",
    "config_sha256": "of the resolved experiment: identifies the trial",
    "error": "why it failed",
}
"""What each means; the columns of the study's axes come first."""

TEXTS = ("system", "rule", "machine", "status", "config_sha256", "error")
WHOLES = ("seed", "chip")
NUMBERS = tuple(name for name in COLUMNS if name not in (*TEXTS, *WHOLES, "non_finite"))

REPORTED_AT_TESTS = ("horizon_fresh_steps", "horizon_frozen_steps")
"""Diagnostics that have a column for each test."""

CURVES: dict[str, str] = {
    "updates": "done before the test",
    "epoch": "in which it was",
    "energy_j": "spent until it was over: programming, training and tests",
    "train_loss": "since the test before, of this chip",
    "test_loss": "of this chip",
    "test_accuracy": "of this chip",
    **dict.fromkeys(REPORTED_AT_TESTS, "at the weights of then"),
}
"""What is known of each test of a training."""

METRICS = ("system", "chip", *CURVES)
PROGRESS = ("updates", "energy_j")
"""Over what learning may be drawn."""
