"""Laws of pulses fitted to a pulse response, and the one that held-out cycles prefer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.physics.fits import pulse_filter
from hwsim.physics.fits.found import simplest
from hwsim.physics.fits.likeliest import Found, Prior, Scored, likeliest, unbiased
from hwsim.physics.fits.limited import limited
from hwsim.physics.fits.population import Population
from hwsim.physics.fits.pulse_filter import LAWS, NUMBERS, SHAPES, Series

FOLDS = 5
"""Parts of the cycles that are held out in turn."""
_WIDTH = 1e-6
"""Of differences that stand for derivatives."""
_BOUNDS = {"constant": 0.1, "linear": 0.1}
"""How far from the reads bounds are believed to be where no read meets them; for other laws `_FAR`."""
_FAR = 5.0
_NOWHERE = 100.0
"""A bound so far beyond is none."""
_WITHIN, _FEW_CHANGES = 0.8, 6
"""Changes that tell steps to begin with: from so much of the half range about its middle, and how many at least."""
_PLAIN = 3.0
"""Logarithm of the factor by which a bound that is met has reads likelier."""
_TOLD = 3
"""Devices that meet a bound, at least, for those that do not to count as beyond."""
_HOPELESS = 20.0
"""A law is not tried on held-out cycles if its likelihood is so much worse for the median device, as a logarithm."""
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
        met: whether each device met its lower and its upper bound, `(devices, 2)`.
        went: how low and how high each device went, `(devices, 2)`.
    """

    kind: Kind
    found: Found
    met: np.ndarray
    went: np.ndarray

    def over_devices(self, at: int) -> tuple[Population, bool]:
        """A number of devices: mean and spread over them, and whether they are of its logarithm.

        A device of `constant` or `linear` pulses that comes to no bound tells how far it lies at least. If fewer than
        three devices meet one, all tell what they believe.
        """
        estimates, variances = self.found.own[:, at], self.found.own_errors[:, at, at]
        follows, beyond = self.found.follows[:, at], np.zeros(len(estimates), np.int64)
        if at in (2, 3) and self.tells(at):
            unmet = ~self.met[:, at - 2]
            beyond[unmet] = 1 if at == 3 else -1
            estimates = np.where(unmet, self.went[:, at - 2], estimates)
        of_logs = at < 2
        if at in (2, 3) and (estimates > 0).all():
            variances, follows, estimates = variances / estimates**2, follows / estimates[:, None], np.log(estimates)
            of_logs = True
        of_shared = follows[beyond == 0].mean(0)
        common = float(of_shared @ self.found.shared_errors @ of_shared)
        return limited(estimates, variances, beyond, common), of_logs

    def tells(self, at: int) -> bool:
        """Whether enough devices meet the bound that is a device's number `at`."""
        return int(self.met[:, at - 2].sum()) >= _TOLD


def _law(series: Series, kind: Kind, found: Found) -> Law:
    """A law, with which bounds devices met: reads are likelier by a factor of e³, or more, than without the bound.

    That is counted by reads after pulses up for the upper bound, and after pulses down for the lower one. Reads are
    also to tell the bound better than what is believed of it.
    """
    met, went = np.ones((len(found.own), 2), bool), np.array(_ends(series)).T
    if kind.law in _BOUNDS:
        wide = found.own.copy()
        wide[:, 2] -= _NOWHERE
        wide[:, 3] += _NOWHERE
        for device, (a, b) in enumerate(zip(series.ends[:-1], series.ends[1:], strict=True)):
            without = _followed(series, kind, wide[device], found.shared, device)
            gain = without[3] - _followed(series, kind, found.own[device], found.shared, device)[3]
            upward = series.pulses[a:b] > 0
            error = np.sqrt(np.diag(found.own_errors[device])[2:4])
            met[device] = (np.array([gain[~upward].sum(), gain[upward].sum()]) > _PLAIN) & (
                error < _BOUNDS[kind.law] / 2
            )
            went[device] = without[2].min(), without[2].max()
    return Law(kind, found, met, went)


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
    Laws with bounds to meet choose it on their own: soft bounds that mimic these have it go with the step.
    """
    noise, soft = _noisy(series, Kind("soft_bounds"), None)
    kinds, wholes = [], []
    for law in LAWS:
        kind, start = noise._replace(law=law), _like_soft_bounds(law, soft)
        kind, whole = _noisy(series, kind, None) if law in _BOUNDS else (kind, fitted(series, kind, start))
        kinds.append(kind)
        wholes.append(whole)
    least = min(wholes, key=lambda whole: float(whole.loss.sum())).loss
    hopeful = [at for at, whole in enumerate(wholes) if np.median(whole.loss - least) <= _HOPELESS]
    losses = [_held_out(series, kinds[at], wholes[at]) for at in hopeful] if len(hopeful) > 1 else [np.zeros(1)]
    best = hopeful[_whoever_is_left_out(losses, len(soft.own))]
    kind, found = _noisy(series, kinds[best], wholes[best])
    return finished(series, kind, found)


def _whoever_is_left_out(losses: list[np.ndarray], devices: int) -> int:
    """The simplest law that is chosen with any one device left out, so that no strange one decides for a richer law."""
    if len(losses) < 2 or devices < 3:
        return simplest(losses)
    of_device = [each.reshape(-1, devices) for each in losses]
    return min(simplest([np.delete(each, out, 1).ravel() for each in of_device]) for out in range(devices))


def finished(series: Series, kind: Kind, start: Found | None = None) -> Law:
    """A law whose noise is not too small by what was fitted to each device, which follows its own reads too closely."""
    used, law = np.ones(series.read.size, np.int64), LAWS.index(kind.law)

    def expected(own: np.ndarray, shared: np.ndarray) -> Scored:
        read = pulse_filter.path(law, own, shared, series.read, series.pulses, series.fresh, series.ends)
        return _score(series._replace(read=read), kind, own, shared, used)

    def score(own: np.ndarray, shared: np.ndarray) -> Scored:
        return _score(series, kind, own, shared, used)

    found = unbiased(score, expected, _prior(series, kind), fitted(series, kind, start))
    return _law(series, kind, found)


def _noisy(series: Series, kind: Kind, start: Found | None) -> tuple[Kind, Found]:
    """A law with the noise that is likeliest."""
    if kind.law == "constant":
        kind = kind._replace(of_step=False)  # there it is the same
    first = fitted(series, kind, start)
    tried = [(kind, first)]
    for of_step, additive in ((False, False), (True, False), (False, True), (True, True)):
        other = kind._replace(of_step=of_step, additive=additive)
        if other != kind and not (of_step and kind.law == "constant"):
            tried.append((other, fitted(series, other, None if kind.law in _BOUNDS else first)))
    return min(tried, key=lambda each: float(each[1].loss.sum()))


def _like_soft_bounds(law: str, soft: Found) -> Found | None:
    """Numbers of a richer law with which it is that of soft bounds, or nearly so; none of laws with bounds to meet.

    Soft bounds that mimic these are far from them, and a search from there may end elsewhere.
    """
    if law in _BOUNDS:
        return None
    shape = np.zeros(SHAPES[law]) if law != "exponential" else np.full(2, -2.0)
    own = soft.own.copy()
    if law != "soft_bounds":
        half = (own[:, 3] - own[:, 2]) / 2
        own[:, :2] += np.log(2 * half)[:, None]
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
    """What the law foretells for each read of a device from the reads before: errors, their variances, predictions."""
    return _followed(series, law.kind, law.found.own[device], law.found.shared, device)[:3]


def _followed(series: Series, kind: Kind, own: np.ndarray, shared: np.ndarray, device: int) -> np.ndarray:
    """What `follow` fills in."""
    a, b = series.ends[device], series.ends[device + 1]
    read, pulses, fresh = (each[a:b] for each in (series.read, series.pulses, series.fresh))
    used, out = np.ones(b - a, np.int64), np.zeros((4, b - a))
    number = LAWS.index(kind.law)
    pulse_filter.follow(number, own, shared, kind.of_step, kind.additive, read, pulses, fresh, used, *out)
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
        if kind.law in _BOUNDS:
            _along(series, device, own[device])
    shared = np.zeros(2 + SHAPES[kind.law])
    shared[:2] = np.log([0.3, 0.02])
    return own, shared


def _along(series: Series, device: int, own: np.ndarray) -> None:
    """Steps, and bends if there are any, from changes by pulses well within the bounds, by least squares."""
    part = slice(series.ends[device], series.ends[device + 1])
    read, pulses, fresh = series.read[part], series.pulses[part], series.fresh[part]
    middle, half = (own[2] + own[3]) / 2, max((own[3] - own[2]) / 2, 1e-6)
    away = read[:-1] - middle
    for side, sign in enumerate((1, -1)):
        here = (pulses[1:] * sign > 0) & (fresh[1:] == 0) & (np.abs(away) < _WITHIN * half)
        if here.sum() < _FEW_CHANGES:
            continue
        change = np.abs(1 / pulses[1:][here]) * sign * np.diff(read)[here]
        if own.size > 4:
            slope, step = np.polyfit(away[here], change, 1)
            own[4 + side] = np.clip(-slope / max(step, 1e-3), -0.9 / half, 0.9 / half)
        else:
            step = change.mean()
        own[side] = np.log(max(step, 1e-3))


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
