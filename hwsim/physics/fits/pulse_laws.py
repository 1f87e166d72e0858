"""Laws of pulses fitted to a pulse response, and the one that held-out cycles prefer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np

from hwsim.physics.fits import pulse_filter
from hwsim.physics.fits.found import simplest
from hwsim.physics.fits.likeliest import Found, Scored, likeliest, unbiased
from hwsim.physics.fits.population import Population, population
from hwsim.physics.fits.pulse_bounds import Bounds, bounds_of
from hwsim.physics.fits.pulse_filter import LAWS, NUMBERS, SHAPES, Series
from hwsim.physics.fits.pulse_search import BOUNDED, Kind, fitted, foretold, prior, score

FOLDS = 5
"""Parts of the cycles that are held out in turn."""
_HOPELESS = 20.0
"""A law is not tried on held-out cycles if its likelihood is so much worse for the median device, as a logarithm."""
_TRIAL, _MAY_GAIN = 12, 10.0
"""First steps of a search, and the most that the likelihood of the median device still gains after them."""
_FOLD_STEPS = 8
"""Steps from the fit to the whole to that to a part."""


class OverDevices(NamedTuple):
    """A number of devices: mean and spread over them, and whether they are of its logarithm."""

    population: Population
    of_logs: bool


class Law(NamedTuple):
    """A fitted law.

    Attributes:
        kind: of it.
        found: numbers of devices and of all.
        over_devices: of each number that a device has.
        met: whether each device likelier met its lower and its upper bound than not, `(devices, 2)`.
        told: whether enough devices met their lower, and their upper, bounds for those that did not to tell limits.
    """

    kind: Kind
    found: Found
    over_devices: list[OverDevices]
    met: np.ndarray
    told: tuple[bool, bool]


def chosen(series: Series) -> Law:
    """The law that held-out cycles prefer.

    What noise goes with is chosen by likelihood, as it takes no more numbers: first for soft bounds, then for the law.
    Laws with bounds to meet choose it on their own, and are not searched from soft bounds: these mimic them with noise
    that goes with the step, far from where they are likeliest.
    """
    noise, soft = _noisy(series, Kind("soft_bounds"), None)
    tried = {noise: soft}
    for law in BOUNDED:
        kind, found = _noisy(series, noise._replace(law=law), None, list(tried.values()))
        tried[kind] = found
    for law in ("power", "exponential"):
        start = {noise._replace(law=law): _like_soft_bounds(law, soft)}
        tried |= _raced(series, start, list(tried.values()))
    kinds = sorted(tried, key=lambda kind: LAWS.index(kind.law))
    wholes = [tried[kind] for kind in kinds]
    least = _least(wholes)
    hopeful = [at for at, whole in enumerate(wholes) if np.median(whole.loss - least) <= _HOPELESS]
    losses = [_held_out(series, kinds[at], wholes[at]) for at in hopeful] if len(hopeful) > 1 else [np.zeros(1)]
    best = hopeful[_whoever_is_left_out(losses, len(soft.own))]
    kind, found = kinds[best], wholes[best]
    if kind.law not in (*BOUNDED, "soft_bounds"):  # which have their noise already
        kind, found = _noisy(series, kind, found)
    return finished(series, kind, found)


def _least(tried: Iterable[Found]) -> np.ndarray:
    """The loss of the likeliest."""
    return min(tried, key=lambda found: float(found.loss.sum())).loss


def _whoever_is_left_out(losses: list[np.ndarray], devices: int) -> int:
    """The simplest law that is chosen with any one device left out, so that no strange one decides for a richer law."""
    if len(losses) < 2 or devices < 3:
        return simplest(losses)
    of_device = [each.reshape(-1, devices) for each in losses]
    return min(simplest([np.delete(each, out, 1).ravel() for each in of_device]) for out in range(devices))


def finished(series: Series, kind: Kind, start: Found | None = None) -> Law:
    """A law whose noise is not too small by what was fitted to each device, which follows its own reads too closely.

    Where pulses stop at bounds, the last fit has those that devices met.
    """
    found = fitted(series, kind, start)
    met, bounds = np.ones((len(found.own), 2), bool), None
    if kind.law in BOUNDED:
        bounds = bounds_of(series, kind, found)
        met = np.stack([each.met for each in bounds], axis=1)
        found = fitted(series, kind, found, met)

    def of_reads(own: np.ndarray, shared: np.ndarray) -> Scored:
        return score(series, kind, own, shared, met)

    def expected(own: np.ndarray, shared: np.ndarray) -> Scored:
        words = series.read, series.pulses, series.fresh, series.ends
        read = pulse_filter.path(LAWS.index(kind.law), own, shared, met, *words)
        return score(replace(series, read=read), kind, own, shared, met)

    found = unbiased(of_reads, expected, prior(series, kind), found)
    told = (bounds[0].told, bounds[1].told) if bounds else (False, False)
    return Law(kind, found, [_over_devices(found, at, bounds) for at in range(found.own.shape[1])], met, told)


def _over_devices(found: Found, at: int, bounds: tuple[Bounds, Bounds] | None) -> OverDevices:
    """The mean and the spread of a number of devices.

    Devices that met no bound tell how far theirs lies at least, if enough others met theirs for certain; else all
    count with what is believed of bounds.
    """
    if bounds and at in (2, 3) and (met := bounds[at - 2].refitted(found)).told:
        return OverDevices(met.over_devices(found).over_devices, met.of_logs)
    estimates, variances, follows = found.own[:, at], found.own_errors[:, at, at], found.follows[:, at]
    of_logs = at < 2
    if at in (2, 3) and (estimates > 0).all():
        variances, follows, estimates = variances / estimates**2, follows / estimates[:, None], np.log(estimates)
        of_logs = True
    of_shared = follows.mean(0)
    common = float(of_shared @ found.shared_errors @ of_shared)
    return OverDevices(population(estimates, variances, common), of_logs)


def _noisy(series: Series, kind: Kind, start: Found | None, others: Sequence[Found] = ()) -> tuple[Kind, Found]:
    """A law with the noise that is likeliest.

    Args:
        others: fits of other laws.
    """
    if kind.law not in BOUNDED:
        start = fitted(series, kind, start, steps=_TRIAL)
    kinds = [kind._replace(of_step=step, additive=additive) for step, additive in product((False, True), repeat=2)]
    if kind.law == "constant":  # there both kinds of noise of pulses are the same
        kinds = [each for each in kinds if not each.of_step]
    tried = _raced(series, dict.fromkeys(kinds, start), others)
    best = min(tried, key=lambda each: float(tried[each].loss.sum()))
    return best, tried[best]


def _raced(series: Series, starts: Mapping[Kind, Found | None], others: Sequence[Found]) -> dict[Kind, Found]:
    """Fits from some starts; those that are hopeless beside the likeliest of all, `others` included, end early."""
    tried = {kind: fitted(series, kind, start, steps=_TRIAL) for kind, start in starts.items()}
    least = _least([*others, *tried.values()])
    for kind, found in tried.items():
        if np.median(found.loss - least) <= _HOPELESS + _MAY_GAIN:
            tried[kind] = fitted(series, kind, found)
    return tried


def _like_soft_bounds(law: str, soft: Found) -> Found:
    """Numbers of a richer law with which it is that of soft bounds, or nearly so."""
    shape = np.zeros(SHAPES[law]) if law != "exponential" else np.full(2, -2.0)
    own = soft.own.copy()
    own[:, :2] += np.log(own[:, 3] - own[:, 2])[:, None]
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
            return score(series, kind, own, shared, used=used)

        found = likeliest(rest, prior(series, kind), whole.own, whole.shared, _FOLD_STEPS)
        losses.append(score(series, kind, found.own, found.shared, used=held)[0])
    return np.concatenate(losses)


def _folds(series: Series) -> np.ndarray:
    """The part that each read belongs to, by the rank of its cycle in its device."""
    rank = np.empty(series.read.size, np.int64)
    for part in series.parts:
        rank[part] = np.unique(series.cycle[part], return_inverse=True)[1]
    return rank % min(FOLDS, int(rank.max()) + 1)


def followed(series: Series, law: Law, device: int) -> np.ndarray:
    """What the law foretells for each read of a device from the reads before: errors, their variances, predictions."""
    found = law.found
    return foretold(series, law.kind, found.own[device], found.shared, law.met[device], device)
