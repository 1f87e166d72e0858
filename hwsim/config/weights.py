"""Weights that an experiment starts from: where they are, which of them, and for which of its systems."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from math import isclose
from pathlib import Path
from typing import Annotated, Any, Literal
from zipfile import BadZipFile

import numpy as np
from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer

from hwsim import documents, networks
from hwsim.cells import lif
from hwsim.documents import Document
from hwsim.errors import CapabilityError, ConfigError
from hwsim.initial import Stored
from hwsim.quantities import Time

KEPT = "weights.npz"
"""The file of a run folder with the final weights of each system and chip, by `SYSTEM/CHIP/PARAMETER`."""
KINDS = (".npz", ".safetensors", ".nir")
_SUMS = "SHA256SUMS"


class Weights(BaseModel, extra="forbid", validate_by_name=True):
    """Start from weights that were trained elsewhere."""

    origin: Annotated[
        str,
        Field(
            alias="from",
            min_length=1,
            description="the folder of a run, or a file with an array for each parameter: `.npz`, `.safetensors`, or "
            "`.nir`; seen from this file, or else from the working folder",
        ),
    ]
    system: Annotated[
        str | None, Field(description="of a run folder: whose weights; by default those of its substrate")
    ] = None
    chip: Annotated[
        int, Field(ge=0, description="of a run folder: the chip of that system whose weights are taken, counted from 0")
    ] = 0
    into: Annotated[
        list[str] | None,
        Field(min_length=1, description="the systems here that start from them; by default all of them"),
    ] = None
    dt: Annotated[
        Time | None,
        Field(description="of a .nir: the time of one step; by default `time_step` of the cell of the first layer"),
    ] = None
    method: Annotated[
        Literal["exact", "euler"],
        Field(description="of a .nir: what a membrane keeps in a step, exp(-dt/τ) or 1 - dt/τ"),
    ] = "exact"
    sha256: Annotated[
        str | None,
        Field(
            pattern="^[0-9a-f]{64}$",
            description="checksum that the file has to have; for a run folder that of its `weights.npz`. Runs enter it",
        ),
    ] = None

    @model_serializer(mode="wrap")
    def _by_its_key(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = written(self)
        origin = data.pop("from", None) or data.pop("origin")
        return {"from": origin, **data}

    def stored(self, network: networks.Options) -> Stored:
        """The weights, for the network of the experiment.

        Raises:
            ConfigError: they cannot be read, are not those that were found first, or are of other neurons.
        """
        path = Path(self.origin)
        if path.suffix == ".nir":
            arrays: Mapping[str, np.ndarray] = self._from_nir(path, network)
        else:
            arrays = _read(str(path), self.sha256, self.system, self.chip)
        return Stored(arrays, self._called, "weights")

    @property
    def _called(self) -> str:
        if Path(self.origin).suffix in KINDS:
            return self.origin
        return f"{self.origin} ({self.system or 'its substrate'}, chip {self.chip})"

    def _from_nir(self, path: Path, network: networks.Options) -> Mapping[str, np.ndarray]:
        """The weights of a graph, whose neurons must be those of the network."""
        from hwsim.exchange import nir  # it is a room above, for users; here it is asked for

        _content(path, self.sha256)
        first = network.layers[0].cell
        step = self.dt or getattr(first, "time_step", None)
        if step is None:
            raise ConfigError("weights.dt: a graph of NIR says nothing of steps; say how long one is, such as 1 ms")
        reset: Literal["zero", "subtract"] = getattr(first, "reset", "zero")
        found = nir.read(path, dt=f"{step!r} s", method=self.method, reset=reset)
        layers = found.network["layers"]
        if len(layers) != len(network.layers):
            raise ConfigError(
                f"weights: {path} has {len(layers)} layers of neurons, and the network {len(network.layers)}"
            )
        for number, (theirs, ours) in enumerate(zip(layers, network.layers, strict=True), 1):
            cell, own = lif.Options.model_validate(theirs["cell"], strict=False), ours.cell
            if not isinstance(own, lif.Options):
                raise ConfigError(f"weights: layer {number} in {path} is of lif, and the network's of {own.name}")
            for what in ("alpha", "threshold", "kappa"):
                one, other = getattr(cell, what), getattr(own, what)
                if one != other and (one is None or other is None or not isclose(one, other, rel_tol=1e-6)):
                    name = {"alpha": "decay", "kappa": "readout_decay"}.get(what, what)
                    raise ConfigError(
                        f"weights: layer {number} in {path} has {name} {one}, and the network's {other}; "
                        "weights are worth something for the same neurons only"
                    )
        return found.weights


def found(document: Document) -> dict[str, str]:
    """Where the weights of the key `weights` are, seen from everywhere, and their checksum.

    Raises:
        ConfigError: there are none, they are not as they were written, or not those of the checksum that is given.
    """
    given = document.data
    name = given["from"]
    seen = [path for path in (Path(document.file).parent / name, Path(name)) if _there(path)]

    def refuse(text: str, key: str = "from") -> ConfigError:
        return documents.refuse([document.problem((key,), f"weights.{key}: {text}")])

    if not seen:
        near = documents.did_you_mean(Path(document.file).parent / name)
        what = f"; weights are in a run folder, or in a file that ends in {', '.join(KINDS)}"
        raise refuse(f"no file or folder {documents.cut(repr(name))}{near or what}")
    path = seen[0].resolve()
    kind = "run folder" if path.is_dir() else path.suffix
    for key, of, absent in _OF_ONE_KIND:
        if kind in ("run folder", *KINDS) and given.get(key, absent) != absent and kind != of:
            raise refuse(f"this key is for a {of}, and {documents.cut(repr(name))} is a {kind}; leave it out", key)
    try:
        if path.is_dir():
            _check_folder(path, given)
        elif path.suffix not in KINDS:
            raise ConfigError(f"{name!r} ends in none of {', '.join(KINDS)}, and is no run folder")
        elif not path.is_file():
            raise ConfigError(f"{path} is neither a file nor a folder")
        digest = _digest(path)
    except ConfigError as error:
        raise refuse(str(error)) from None
    except OSError as error:
        raise refuse(f"{path}: cannot be read: {error.strerror}") from None
    expected = given.get("sha256")
    if isinstance(expected, str) and expected != digest:
        raise refuse(_other_content(path, digest), "sha256")
    return {"from": str(path), "sha256": digest if expected is None else expected}


_OF_ONE_KIND = (
    ("system", "run folder", None),
    ("chip", "run folder", 0),
    ("dt", ".nir", None),
    ("method", ".nir", "exact"),
)
"""Keys that other kinds of origins have no use for, whose they are, and their values where they say nothing."""


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _file(path: Path) -> Path:
    return path / KEPT if path.is_dir() else path


def _digest(path: Path) -> str:
    return hashlib.sha256(_file(path).read_bytes()).hexdigest()


def _other_content(path: Path, digest: str) -> str:
    return (
        f"{_file(path)} has another content than it had: its checksum is {digest}; leave out `sha256` to start from "
        "what it is now"
    )


def _check_folder(folder: Path, given: Mapping[str, Any]) -> None:
    """Refuse a folder that is no run folder, that keeps no such weights, or whose weights were changed.

    Raises:
        ConfigError: it is one.
    """
    if not (folder / "summary.json").is_file():
        raise ConfigError(f"{folder} is not the folder of a run: it has no summary.json")
    again = f"run it again: hwsim run {folder / 'config.yaml'}"
    if not (folder / KEPT).is_file():
        raise ConfigError(f"{folder} keeps no weights, which runs of earlier programs do not; {again}")
    lines = (folder / _SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    if f"{_digest(folder)}  {KEPT}" not in lines:
        raise ConfigError(f"{folder / KEPT} is not as it was written: its checksum is not in {_SUMS}; {again}")
    with np.load(folder / KEPT, allow_pickle=False) as arrays:
        system, chip = given.get("system"), given.get("chip", 0)
        if isinstance(system, str | None) and isinstance(chip, int):  # what is of another type is told elsewhere
            _chosen(arrays.files, folder, system, chip)


def _chosen(names: list[str], folder: Path, system: str | None, chip: int) -> str:
    """What the names of arrays of a system and a chip begin with.

    Raises:
        ConfigError: there are none.
    """
    systems = list(dict.fromkeys(name.split("/")[0] for name in names))
    if not systems:
        raise ConfigError(f"{folder} keeps no weights: they were too large to be kept")
    if system is not None and system not in systems:
        raise ConfigError(documents.unknown(f"system of {folder}", system, systems))
    of = systems[0] if system is None else system
    begin = f"{of}/{chip}/"
    if not any(name.startswith(begin) for name in names):
        chips = len({name.split("/")[1] for name in names if name.startswith(f"{of}/")})
        raise ConfigError(
            f"{folder} keeps the weights of {chips} chips of {of}, which count from 0; there is no {chip}"
        )
    return begin


def _content(path: Path, sha256: str | None) -> bytes:
    """The bytes of a file, whose checksum must be the one that is known.

    Raises:
        ConfigError: it is not, or the file cannot be read.
    """
    try:
        data = _file(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"weights: {path}: cannot be read: {error.strerror}") from None
    digest = hashlib.sha256(data).hexdigest()
    if sha256 is not None and digest != sha256:
        raise ConfigError(f"weights: {_other_content(path, digest)}")
    return data


@lru_cache(maxsize=2)  # networks are built several times from the same
def _read(origin: str, sha256: str | None, system: str | None, chip: int) -> dict[str, np.ndarray]:
    """The arrays of a file, or of one chip of a system of a run folder.

    Raises:
        ConfigError: they cannot be read.
        CapabilityError: the library for this kind of file is missing.
    """
    path = Path(origin)
    data = _content(path, sha256)
    if path.suffix == ".safetensors":
        return _safetensors(path, data)
    try:
        with np.load(BytesIO(data), allow_pickle=False) as arrays:
            if not path.is_dir():
                return {name: arrays[name] for name in arrays.files}
            begin = _chosen(arrays.files, path, system, chip)
            return {name.removeprefix(begin): arrays[name] for name in arrays.files if name.startswith(begin)}
    except (OSError, ValueError, TypeError, BadZipFile, AttributeError, EOFError) as error:
        raise ConfigError(f"weights: {path} is no .npz of plain arrays ({error})") from None


def _safetensors(path: Path, data: bytes) -> dict[str, np.ndarray]:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load
    except ImportError:
        raise CapabilityError(
            f"weights: {path} needs the package safetensors: pip install 'hwsim[safetensors]'"
        ) from None
    try:
        arrays: dict[str, np.ndarray] = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"weights: {path} is no file of safetensors ({error})") from None
    return arrays
