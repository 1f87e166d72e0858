"""Initial values of parameters, each drawn from a stream of its own name."""

from typing import NamedTuple

import numpy as np

from hwsim import streams


def zeros(size: int) -> np.ndarray:
    return np.zeros(size)


def ones(size: int) -> np.ndarray:
    return np.ones(size)


def normal(seed: int, name: str, rows: int, columns: int, gain: float = 1.0) -> np.ndarray:
    """Independent normal entries with standard deviation gain / √columns."""
    return streams.generator(seed, name, "initial").normal(0.0, gain / np.sqrt(columns), (rows, columns))


def orthogonal(seed: int, name: str, rows: int, columns: int, gain: float = 1.0) -> np.ndarray:
    """Gain times a random orthogonal matrix, uniform under the Haar measure; rows or columns are orthonormal."""
    draw = streams.generator(seed, name, "initial").normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(draw)
    q *= np.sign(np.diag(r))
    return gain * (q if rows >= columns else q.T)


def glorot(seed: int, name: str, rows: int, columns: int, gain: float = 1.0) -> np.ndarray:
    """Uniform entries in ±gain √(6 / (rows + columns)) (Glorot and Bengio, AISTATS 2010, eq. 16)."""
    bound = gain * np.sqrt(6.0 / (rows + columns))
    return streams.generator(seed, name, "initial").uniform(-bound, bound, (rows, columns))


def complex_rows(seed: int, name: str, modes: int, columns: int) -> np.ndarray:
    """A complex matrix `(modes, columns)` as real rows `(2 modes, columns)`, parts Glorot uniform / √2."""
    parts = [glorot(seed, f"{name} {part}", modes, columns, 0.5**0.5) for part in ("real", "imaginary")]
    return np.stack(parts, 1).reshape(2 * modes, columns)


class Ring(NamedTuple):
    """Parameters of a linear recurrent unit, each `(modes,)`: λ = exp(-exp(nu) + i exp(theta)), γ = exp(log_gamma)."""

    nu: np.ndarray
    theta: np.ndarray
    log_gamma: np.ndarray


def ring(seed: int, name: str, modes: int, r_min: float, r_max: float, max_phase: float, normalise: bool) -> Ring:
    """Eigenvalues uniform on the ring r_min ≤ |λ| ≤ r_max, phases uniform in [0, max_phase).

    γ is √(1 - |λ|²), which keeps the state's variance that of white input, or 1 if not `normalise`.
    (Orvieto et al., "Resurrecting recurrent neural networks for long sequences", ICML 2023, lemma 3.2 and eq. 7.)
    """
    draw = streams.generator(seed, name, "initial")
    squared = r_min**2 + draw.uniform(size=modes) * (r_max**2 - r_min**2)
    phase = max_phase * draw.uniform(size=modes)
    nu = np.log(-0.5 * np.log(squared))
    return Ring(nu, np.log(phase), 0.5 * np.log1p(-squared) if normalise else np.zeros(modes))
