"""Where data sets are kept."""

import os
from pathlib import Path

import platformdirs


def data_folder(chosen: Path | None = None) -> Path:
    """The folder that was chosen, or the one that HWSIM_DATA names, or the user's own."""
    return chosen or Path(os.environ.get("HWSIM_DATA") or platformdirs.user_data_dir("hwsim"))
