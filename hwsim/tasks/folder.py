"""Where data sets are kept, and the user's own files of data."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import platformdirs

from hwsim.errors import ConfigError, DataError


def data_folder(chosen: Path | None = None) -> Path:
    """The folder that was chosen, or the one that HWSIM_DATA names, or the user's own."""
    return chosen or Path(os.environ.get("HWSIM_DATA") or platformdirs.user_data_dir("hwsim"))


@contextmanager
def own_file(name: str, folder: Path | None) -> Iterator[Path]:
    """Where a file of one's own is; while it is read, the message that there is none says how to name the folder.

    Raises:
        DataError: also for what is wrong with it as a table.
    """
    data = data_folder(folder)
    path = data / name
    if not path.exists() and name in SHIPPED:
        path = Path(str(resources.files("hwsim.tasks").joinpath("data", name)))
    try:
        with data_errors():
            yield path
    except DataError as error:
        if Path(name).is_absolute() or path.exists() or not str(error).startswith("no file"):
            raise
        raise DataError(
            f"{error}; the data folder is {data}: say where it is with --data FOLDER or the environment variable "
            "HWSIM_DATA, or give an absolute path"
        ) from None


SHIPPED = ("moving_edges_test.csv", "moving_edges_train.csv", "waves.csv")
"""Tables that come with the package, to begin with."""


@contextmanager
def data_errors() -> Iterator[None]:
    """What is wrong with a table is wrong with data."""
    try:
        yield
    except ConfigError as error:
        raise DataError(str(error)) from None
