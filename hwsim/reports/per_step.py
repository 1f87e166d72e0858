"""Of how many sequences a training step is: what energies of a step are per."""

from __future__ import annotations

from collections.abc import Mapping

from hwsim.results.summary import SystemSummary

WHOLE_BATCH = "training step of a whole batch"
"""Said where the number of sequences is not known, or differs from row to row."""


def step_of(sequences: int | None) -> str:
    """A training step, with the number of its sequences.

    >>> step_of(32)
    'training step of 32 sequences'
    """
    if sequences is None:
        return WHOLE_BATCH
    return f"training step of {'one sequence' if sequences == 1 else f'{sequences} sequences'}"


def training_step(systems: Mapping[str, SystemSummary]) -> str:
    """The training step of some systems; if they differ, the number of sequences of each.

    Folders of earlier programs do not know it.
    """
    known = {name: system.energy.sequences for name, system in systems.items()}
    counts = {count for count in known.values() if count is not None}
    if len(counts) < 2:
        return step_of(next(iter(counts), None))
    each = ", ".join(f"{name} of {count}" for name, count in known.items() if count is not None)
    return f"training step ({each} sequences)"


def per_what(systems: Mapping[str, SystemSummary]) -> str:
    """What the energies of a table are per, for its title."""
    return f"energies are per inference or gradient of one sequence, and per {training_step(systems)}"
