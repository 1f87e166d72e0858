"""Trained weights for other tools: files with an array for each parameter, or a graph of NIR."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np

from hwsim import networks
from hwsim.errors import CapabilityError, OutputError
from hwsim.exchange import nir
from hwsim.results.whole import replace


def write(file: str | Path, weights: Mapping[str, np.ndarray], network: networks.Options | None = None) -> None:
    """Write weights into a file of the kind that its name ends in; `weights` of an experiment reads it again.

    Args:
        file: `.npz`, `.safetensors` or `.nir`; it must not exist yet.
        weights: of all parameters, by name, as `Run.weights` gives them.
        network: whose weights they are, for `.nir`, which says the neurons as well.

    Raises:
        OutputError: the file exists, cannot be written, or is of no such kind.
        CapabilityError: a package is missing, or NIR cannot say what the network does.
    """
    path = Path(file)
    kinds: dict[str, Callable[[], bytes]] = {
        ".npz": lambda: _npz(weights),
        ".safetensors": lambda: _safetensors(weights),
    }
    if path.exists():
        raise OutputError(f"{path} exists already, and nothing is overwritten; choose another file with --out")
    try:
        if path.suffix == ".nir" and network is not None:
            nir.write(path, network, weights)
        elif path.suffix in kinds:
            replace(path, kinds[path.suffix]())
        else:
            raise OutputError(f"{path}: weights go into a file that ends in {', '.join(kinds)} or .nir")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None


def _npz(weights: Mapping[str, np.ndarray]) -> bytes:
    file = BytesIO()
    np.savez(file, allow_pickle=False, **dict(weights))
    return file.getvalue()


def _safetensors(weights: Mapping[str, np.ndarray]) -> bytes:
    try:
        from safetensors.numpy import save
    except ImportError:
        raise CapabilityError("safetensors needs its package: pip install 'hwsim[safetensors]'") from None
    data: bytes = save({name: np.ascontiguousarray(values) for name, values in weights.items()})
    return data
