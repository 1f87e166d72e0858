"""Tasks: the data to learn from, as episodes. Each task is one file, found by its name."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.catalogue import choice, members
from hwsim.free_memory import addressable
from hwsim.tasks import encoders
from hwsim.tasks.dataset import Dataset
from hwsim.tasks.measure import Measure

TASKS = members(__name__, __path__)
if TYPE_CHECKING:
    AnyOptions = Any
else:
    AnyOptions = choice(TASKS)


def build(options: Any, seed: int, folder: Path | None = None) -> Dataset:
    """The data of the task that `options` describe.

    Args:
        seed: fixes what is drawn, and how the data is split.
        folder: where data sets are kept; None for the usual place.

    Raises:
        DataError: the data is missing, or does not match its checksum.
    """
    dataset: Dataset = TASKS[options.name].build(options, seed, folder)
    return dataset


def check(options: Any, folder: Path | None = None) -> None:
    """Check the files that a task takes its data from; most tasks have none.

    Raises:
        DataError: a file is missing, or does not match its checksum.
    """
    task = TASKS[options.name]
    if hasattr(task, "files"):
        task.files(folder)
    if hasattr(task, "check"):  # of files that the options name
        task.check(options, folder)


def outline(options: Any) -> Dataset:
    """The shapes of the data that `build` returns; no data is read.

    Raises:
        MemoryEstimateError: no array can have such a shape.
    """
    with addressable(f"task: the data of {options.name}", "fewer or shorter sequences"):
        shapes: Dataset = TASKS[options.name].outline(options)
    return shapes


def measure(options: Any) -> Measure | None:
    """What the literature states of a test of the task, beside the loss; None if that is the loss or the accuracy."""
    task = TASKS[options.name]
    found: Measure | None = task.measure(options) if hasattr(task, "measure") else None
    return found


def numbers(options: Any) -> int:
    """The number of values in the data of the task that `options` describe."""
    count: int = TASKS[options.name].numbers(options)
    return count


__all__ = ["TASKS", "AnyOptions", "Dataset", "Measure", "build", "check", "encoders", "measure", "numbers", "outline"]
