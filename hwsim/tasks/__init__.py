"""Tasks: what is to be learned, as episodes. One file each, found by its name."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.catalogue import choice, members
from hwsim.tasks.dataset import Dataset

TASKS = members(__name__, __path__)
if TYPE_CHECKING:
    AnyOptions = Any
else:
    AnyOptions = choice(TASKS)


def load(options: Any, seed: int, folder: Path | None = None) -> Dataset:
    """The data of the task that `options` describe.

    Args:
        seed: fixes what is drawn, and how the data is split.
        folder: where data sets are kept; None for the usual place.

    Raises:
        DataError: the data is not there, or is not what it should be.
    """
    dataset: Dataset = TASKS[options.name].load(options, seed, folder)
    return dataset


def check(options: Any, folder: Path | None = None) -> None:
    """That the data is there which a task takes from files; most tasks take none.

    Raises:
        DataError: it is not, or is not what it should be.
    """
    files = getattr(TASKS[options.name], "files", None)
    if files is not None:
        files(folder)


def outline(options: Any) -> Dataset:
    """The shapes of what `load` would give; no data is needed for them."""
    shapes: Dataset = TASKS[options.name].outline(options)
    return shapes


def numbers(options: Any) -> int:
    """How many numbers the data of the task that `options` describe will hold."""
    count: int = TASKS[options.name].numbers(options)
    return count


__all__ = ["TASKS", "AnyOptions", "Dataset", "check", "load", "numbers", "outline"]
