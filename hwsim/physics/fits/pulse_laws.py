"""Laws of pulses fitted to a pulse response, and the one that held-out cycles prefer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.physics.fits import pulse_filter
from hwsim.physics.fits.found import simplest
from hwsim.physics.fits.likeliest import Found, Prior, Scored, likeliest, unbiased
from hwsim.physics.fits.pulse_filter import LAWS, NUMBERS, SHAPES, Series

FOLDS = 5
"""Parts of the cycles that are held out in turn."""
_WIDTH = 1e-6
"""Of differences that stand for derivatives."""
_BOUNDS = {"constant": 0.1, "linear": 0.1}
"""How far from the reads bounds are believed to be where no read meets them; for other laws `_FAR`."""
_FAR = 5.0
_HOPELESS = 20.0
"""A law is not tried on held-out cycles if its likelihood is so much worse per device, as a logarithm."""
_FOLD_STEPS = 8
"""Steps from the fit to the whole to that to a part."""


class Kind(NamedTuple):
    """What is fitted: a law, and what its errors go with."""

    law: str
    of_step: bool = False
    additive: bool = False


class Law(NamedTuple):
    """A fitted law.

    Attributes:
        kind: of it.
        found: numbers of devices and of all.
    """

    kind: Kind
    found: Found

    @property
    def met(self) -> np.ndarray:
        """Which numbers of each device reads tell, `(devices, p)`; all, if fewer than two devices have one told.

        A device of `constant` or `linear` pulses that comes to no bound tells nothing of it.
        """
        far = _BOUNDS.get(self.kind.law, np.inf)
        told = np.ones(self.found.own.shape, bool)
        told[:, 2:4] = np.sqrt(self.found.own_errors[:, (2, 3), (2, 3)]) < far / 2
        told[:, told.sum(0) < 2] = True
        return told


def fitted(series: Series, kind: Kind, start: Found | None = None) -> Found:
    """A law with the largest likelihood, searched from where another one was found, or from what reads show."""
    used = np.ones(series.read.size, np.int64)
    own, shared = _start(series, kind) if start is None else (start.own, start.shared)
    return likeliest(lambda a, b: _score(series, kind, a, b, used), _prior(series, kind), own, shared)


def _score(series: Series, kind: Kind, own: np.ndarray, shared: np.ndarray, used: np.ndarray) -> Scored:
    words = series.read, series.pulses, series.fresh, series.ends, used
    loss, slope, information = pulse_filter.score(
        LAWS.index(kind.law), own, shared, kind.of_step, kind.additive, *words, _WIDTH
    )
    return loss, slope, information


def chosen(series: Series) -> Law:
    """The law that held-out cycles prefer.

    What noise goes with is chosen by likelihood, as it takes no more numbers: first for soft bounds, then for the law.
    """
    soft = _noisy(series, Kind("soft_bounds"), None)
    kinds = [soft.kind._replace(law=law, of_step=soft.kind.of_step and law != "constant") for law in LAWS]
    wholes = [fitted(series, kind, _like_soft_bounds(kind.law, soft.found)) for kind in kinds]
    least = min(float(whole.loss.sum()) for whole in wholes)
    hopeful = [at for at, whole in enumerate(wholes) if whole.loss.sum() <= least + _HOPELESS * len(whole.own)]
    losses = [_held_out(series, kinds[at], wholes[at]) for at in hopeful] if len(hopeful) > 1 else [np.zeros(1)]
    best = hopeful[simplest(losses)]
    law = _noisy(series, kinds[best], wholes[best])
    return law._replace(found=finished(series, law.kind, law.found))


def finished(series: Series, kind: Kind, start: Found | None = None) -> Found:
    """A law whose noise is not too small by what was fitted to each device, which follows its own reads too closely."""
    used, law = np.ones(series.read.size, np.int64), LAWS.index(kind.law)

    def expected(own: np.ndarray, shared: np.ndarray) -> Scored:
        read = pulse_filter.path(law, own, shared, series.read, series.pulses, series.fresh, series.ends)
        return _score(series._replace(read=read), kind, own, shared, used)

    def score(own: np.ndarray, shared: np.ndarray) -> Scored:
        return _score(series, kind, own, shared, used)

    return unbiased(score, expected, _prior(series, kind), fitted(series, kind, start))


def _noisy(series: Series, kind: Kind, start: Found | None) -> Law:
    """A law with the noise that is likeliest."""
    first = fitted(series, kind, start)
    tried = [Law(kind, first)]
    for of_step, additive in ((False, False), (True, False), (False, True), (True, True)):
        if of_step and kind.law == "constant":
            continue  # there it is the same
        if (of_step, additive) != (kind.of_step, kind.additive):
            other = kind._replace(of_step=of_step, additive=additive)
            tried.append(Law(other, fitted(series, other, first)))
    return min(tried, key=lambda law: float(law.found.loss.sum()))


def _like_soft_bounds(law: str, soft: Found) -> Found | None:
    """Numbers of a richer law with which it is that of soft bounds, or nearly so."""
    if law == "constant":
        return None
    shape = np.zeros(SHAPES[law]) if law != "exponential" else np.full(2, -2.0)
    own = soft.own.copy()
    if law != "soft_bounds":
        half = (own[:, 3] - own[:, 2]) / 2
        own[:, :2] += np.log(half if law == "linear" else 2 * half)[:, None]
        if law == "linear":
            own = np.concatenate([own, (1 / half)[:, None], (-1 / half)[:, None]], axis=1)
    return soft._replace(own=own, shared=np.concatenate([soft.shared, shape]))


def _held_out(series: Series, kind: Kind, whole: Found) -> np.ndarray:
    """The loss of cycles that a law was not fitted to, of each device and fold."""
    fold = _folds(series)
    parts = np.unique(fold)
    if len(parts) < 2:  # nothing to hold out: each number that is fitted costs as in Schwarz's criterion
        numbers = NUMBERS[kind.law] + SHAPES[kind.law] / len(whole.own)
        return np.asarray(whole.loss + numbers * np.log(np.diff(series.ends)) / 2)
    losses = []
    for part in parts:
        held = (fold == part).astype(np.int64)

        def rest(own: np.ndarray, shared: np.ndarray, used: np.ndarray = 1 - held) -> Scored:
            return _score(series, kind, own, shared, used)

        found = likeliest(rest, _prior(series, kind), whole.own, whole.shared, _FOLD_STEPS)
        losses.append(_score(series, kind, found.own, found.shared, held)[0])
    return np.concatenate(losses)


def _folds(series: Series) -> np.ndarray:
    """The part that each read belongs to, by the rank of its cycle in its device."""
    rank = np.empty(series.read.size, np.int64)
    for a, b in zip(series.ends[:-1], series.ends[1:], strict=True):
        rank[a:b] = np.unique(series.cycle[a:b], return_inverse=True)[1]
    return rank % min(FOLDS, int(rank.max()) + 1)


def followed(series: Series, law: Law, device: int) -> np.ndarray:
    """What the law foretells for each read of a device from the reads before."""
    a, b = series.ends[device], series.ends[device + 1]
    read, pulses, fresh = (each[a:b] for each in (series.read, series.pulses, series.fresh))
    used, out = np.ones(b - a, np.int64), np.zeros((3, b - a))
    own, (name, of_step, additive) = law.found.own[device], law.kind
    number = LAWS.index(name)
    pulse_filter.follow(number, own, law.found.shared, of_step, additive, read, pulses, fresh, used, *out)
    return out


def _ends(series: Series) -> tuple[np.ndarray, np.ndarray]:
    """How low and how high each device reads."""
    parts = [series.read[a:b] for a, b in zip(series.ends[:-1], series.ends[1:], strict=True)]
    low, high = np.array([np.percentile(part, (2, 98)) for part in parts]).T
    return low, high


def _start(series: Series, kind: Kind) -> tuple[np.ndarray, np.ndarray]:
    """Numbers to begin with: bounds from reads, steps from how many pulses most of the way takes."""
    low, high = _ends(series)
    own = np.zeros((low.size, NUMBERS[kind.law]))
    own[:, 2], own[:, 3] = low, high
    for device, (a, b) in enumerate(zip(series.ends[:-1], series.ends[1:], strict=True)):
        for side, up in enumerate((True, False)):
            share = _share(series.read[a:b], series.pulses[a:b], up)
            way = 1.0 if kind.law == "soft_bounds" else float(high[device] - low[device])
            own[device, side] = np.log(share * way)
    shared = np.zeros(2 + SHAPES[kind.law])
    shared[:2] = np.log([0.3, 0.02])
    return own, shared


def _share(read: np.ndarray, pulses: np.ndarray, up: bool) -> float:
    """One over the number of pulses that most of the way of a run takes, the median over runs."""
    here = (pulses > 0) == up
    edges = np.flatnonzero(np.diff(np.concatenate([[0], here.astype(int), [0]])))
    found = []
    for a, b in edges.reshape(-1, 2):
        before = read[max(a - 1, 0)]
        last = np.median(read[max(b - 5, a) : b])
        way = (read[a:b] - before) / (last - before + 1e-30)
        count = np.cumsum(np.abs(pulses[a:b]))
        if np.abs(last - before) > 0.05:
            found.append(count[np.argmax(way >= 0.63)])
    return float(np.clip(1 / max(np.median(found), 1) if found else 0.05, 1e-3, 0.9))


def _prior(series: Series, kind: Kind) -> Prior:
    own, shared = _start(series, kind)
    far = _BOUNDS.get(kind.law, _FAR)
    widths = np.array([4.0, 4.0, far, far, 3.0, 3.0][: own.shape[1]])
    return Prior(own, widths, shared, np.array([5.0, 5.0, 1.5, 1.5][: shared.size]))
