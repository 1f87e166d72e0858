"""Initial values of parameters: drawn on demand, from a random stream of its own name each, or stored in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from math import prod, sqrt
from statistics import NormalDist
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from hwsim import streams
from hwsim.errors import ConfigError


class Initial(NamedTuple):
    """Values of a known shape, and how to draw them.

    Attributes:
        largest: about how large the largest of them is, without drawing them; None if that is not known.
    """

    shape: tuple[int, ...]
    draw: Callable[[], np.ndarray]
    largest: float | None = None

    @property
    def size(self) -> int:
        return prod(self.shape)


def zeros(*shape: int) -> Initial:
    return Initial(shape, lambda: np.zeros(shape), 0.0)


def ones(size: int) -> Initial:
    return Initial((size,), lambda: np.ones(size))


def constant(size: int, value: float) -> Initial:
    return Initial((size,), lambda: np.full(size, value))


def ones_between(size: int, start: int, stop: int) -> Initial:
    """Zeros, but for ones at these places."""
    places = np.arange(size)
    return Initial((size,), lambda: ((places >= start) & (places < stop)).astype(float))


def normal(seed: int, name: str, rows: int, columns: int, gain: float = 1.0) -> Initial:
    """Independent normal entries with standard deviation gain / √columns."""

    def draw() -> np.ndarray:
        return streams.generator(seed, name, "initial").normal(0.0, gain / np.sqrt(columns), (rows, columns))

    return Initial((rows, columns), draw, gain * _largest_normal(rows * columns) / sqrt(columns))


def orthogonal(seed: int, name: str, rows: int, columns: int, gain: float = 1.0) -> Initial:
    """Gain times a random orthogonal matrix, uniform under the Haar measure; rows or columns are orthonormal."""

    def draw() -> np.ndarray:
        normals = streams.generator(seed, name, "initial").normal(size=(max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(normals)
        q *= np.sign(np.diag(r))
        return gain * (q if rows >= columns else q.T)

    most = max(rows, columns)  # entries are nearly normal, of variance 1 / most
    return Initial((rows, columns), draw, gain * min(_largest_normal(rows * columns) / sqrt(most), 1.0))


def glorot(seed: int, name: str, rows: int, columns: int, gain: float = 1.0) -> Initial:
    """Uniform entries in ±gain √(6 / (rows + columns)) (Glorot and Bengio, AISTATS 2010, eq. 16)."""

    bound = gain * sqrt(6.0 / (rows + columns))

    def draw() -> np.ndarray:
        return streams.generator(seed, name, "initial").uniform(-bound, bound, (rows, columns))

    return Initial((rows, columns), draw, bound)


def _largest_normal(count: int) -> float:
    """About the largest size of so many standard normal numbers: one of them is expected beyond it."""
    return -NormalDist().inv_cdf(0.5 / count) if count > 1 else 0.8


def connections(seed: int, name: str, rows: int, columns: int, fan_in: int) -> Initial:
    """Columns that each row is connected to, `(rows, fan_in)`: all sets of `fan_in` are as likely; in rising order."""

    def draw() -> np.ndarray:
        draws = streams.generator(seed, name, "connections")
        return np.sort([draws.choice(columns, fan_in, replace=False, shuffle=False) for _ in range(rows)], 1)

    return Initial((rows, fan_in), draw)


def complex_rows(seed: int, name: str, modes: int, columns: int) -> Initial:
    """A complex matrix `(modes, columns)` as real rows `(2 modes, columns)`, parts Glorot uniform / √2."""
    parts = [glorot(seed, f"{name} {part}", modes, columns, 0.5**0.5) for part in ("real", "imaginary")]
    shape = 2 * modes, columns
    return Initial(shape, lambda: np.stack([part.draw() for part in parts], 1).reshape(shape), parts[0].largest)


class Ring(NamedTuple):
    """Parameters of a linear recurrent unit, each `(modes,)`: λ = exp(-exp(nu) + i exp(theta)), γ = exp(log_gamma)."""

    nu: Initial
    theta: Initial
    log_gamma: Initial


def ring(seed: int, name: str, modes: int, r_min: float, r_max: float, max_phase: float, normalise: bool) -> Ring:
    """Eigenvalues uniform on the ring r_min ≤ |λ| ≤ r_max, phases uniform in [0, max_phase).

    With `normalise`, γ is √(1 - |λ|²), which gives the state the variance of a white input; without it, γ is 1.
    (Orvieto et al., "Resurrecting recurrent neural networks for long sequences", ICML 2023, lemma 3.2 and eq. 7.)
    """

    @cache
    def draw() -> tuple[np.ndarray, np.ndarray]:
        """|λ|², and phases."""
        draws = streams.generator(seed, name, "initial")
        return r_min**2 + draws.uniform(size=modes) * (r_max**2 - r_min**2), max_phase * draws.uniform(size=modes)

    def log_gamma() -> np.ndarray:
        return 0.5 * np.log1p(-draw()[0]) if normalise else np.zeros(modes)

    shape = (modes,)
    return Ring(
        Initial(shape, lambda: np.log(-0.5 * np.log(draw()[0]))),
        Initial(shape, lambda: np.log(draw()[1])),
        Initial(shape, log_gamma),
    )


class Stored:
    """Initial values that were stored, one array for each parameter, named like it: `"layer 1 W"`.

    What does not fit is noted while parameters are made, and told together by `require_fit`.

    Args:
        arrays: by name.
        where: what they come from, for messages.
        key: of the experiment, for messages.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], where: str, key: str) -> None:
        self._arrays, self._where, self._key = arrays, where, key
        self._taken, self._wrong, self._missing = set[str](), list[str](), list[str]()

    @classmethod
    def read(cls, file: str) -> Stored:
        """Those of a file of NumPy, `.npz`, for the key `network.weights`.

        Raises:
            ConfigError: it cannot be read.
        """
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return cls({name: arrays[name] for name in arrays.files}, file, "network.weights")
        except (OSError, ValueError, TypeError, BadZipFile, AttributeError, EOFError) as error:
            raise ConfigError(f"network.weights: {file} is no .npz of plain arrays ({error})") from None

    def of(self, name: str, drawn: Initial) -> Initial:
        """The values of a parameter, in place of those that would be drawn."""
        if name not in self._arrays:
            self._missing.append(name)
            return drawn
        self._taken.add(name)
        values = self._arrays[name]
        if values.shape != drawn.shape:
            turned = len(drawn.shape) == 2 and values.shape == drawn.shape[::-1]
            hint = "; it is transposed: rows are outputs here, columns inputs" if turned else ""
            self._wrong.append(
                f"{name!r} in {self._where} has shape {values.shape}, and the network's {drawn.shape}{hint}"
            )
            return drawn
        if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
            self._wrong.append(f"{name!r} in {self._where} has values that are no finite real numbers")
            return drawn
        if np.abs(values).max(initial=0) > np.finfo(np.float32).max:
            self._wrong.append(f"{name!r} in {self._where} has values that are too large for 32 bits")
            return drawn
        return Initial(drawn.shape, lambda: values.astype(float), float(np.abs(values).max(initial=0)))

    def require_fit(self) -> None:
        """Refuse arrays that do not fit the network.

        Raises:
            ConfigError: some parameter has no array, or one of another shape or of no finite real numbers; or there
                is an array that is no parameter. The message has a line for each.
        """
        left, said = sorted(self._arrays.keys() - self._taken), list(self._wrong)
        of_runs = [name for name in left if name.count("/") > 1 and name.rsplit("/", 1)[1] in self._missing]
        if of_runs:
            system = of_runs[0].rsplit("/", 2)[0]
            raise ConfigError(
                f"{self._key}: {self._where} has the weights of a run by system and chip, such as {of_runs[0]!r}; "
                f"name the folder of the run, `weights: {{from: FOLDER, system: {system}}}`"
            )
        for name in self._missing:
            near = get_close_matches(name, left or self._arrays, 1)
            hint = f"; the nearest it has is {near[0]!r}" if near else ""
            said.append(f"{self._where} has no array {name!r}{hint}")
        known = ", ".join(sorted(self._taken.union(self._missing)))
        said += [f"{self._where} has {name!r}, and the network only {known}" for name in left[:_SOME]]
        if len(left) > _SOME:
            said.append(f"{self._where} has {len(left) - _SOME} more arrays that the network has not")
        if said:
            raise ConfigError("\n".join(f"{self._key}: {each}" for each in said))


_SOME = 5
"""Arrays that are too many are named up to this number."""
