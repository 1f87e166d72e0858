"""The largest likelihood of many devices that share a few numbers, by steps of Fisher's scoring.

Each device has p numbers of its own, and all share q; what the devices know of each other goes through these q, so that
one step solves a p × p system per device and one q × q system.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Scored = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Loss `(devices,)`, its gradient `(devices, p + q)`, and the information `(devices, p + q, p + q)`."""
Score = Callable[[np.ndarray, np.ndarray], Scored]
"""These, at own and shared numbers."""
STEPS = 40
_NOTHING = 1e-7
"""A step is not taken if it would lower the loss by less per device."""
_FINE = 1e-4
"""A step ends the search if it lowers the loss by so much less per device."""


class Prior(NamedTuple):
    """Normal beliefs, wide beside what a measurement tells, which decide where it tells nothing."""

    own: np.ndarray  # means, (devices, p)
    own_width: np.ndarray  # (p,)
    shared: np.ndarray  # (q,)
    shared_width: np.ndarray  # (q,)


class Found(NamedTuple):
    """Where the likelihood is largest.

    Attributes:
        own: numbers of the devices, `(devices, p)`.
        shared: of all, `(q,)`.
        loss: minus the logarithm of the likelihood of each device.
        own_errors: covariance of the numbers of each device, with the shared ones held, `(devices, p, p)`.
        shared_errors: covariance of the shared numbers, those of devices being unknown, `(q, q)`.
        follows: how the likeliest numbers of each device change with the shared ones, `(devices, p, q)`.
    """

    own: np.ndarray
    shared: np.ndarray
    loss: np.ndarray
    own_errors: np.ndarray
    shared_errors: np.ndarray
    follows: np.ndarray


def likeliest(
    score: Score,
    prior: Prior,
    own: np.ndarray,
    shared: np.ndarray,
    steps: int = STEPS,
    most: float = 0.7,
    held: bool = False,
) -> Found:
    """Search from a start.

    Args:
        score: of the measurement.
        prior: added to it.
        own, shared: where to start.
        steps: the largest number of them.
        most: the largest change of a number in one step.
        held: whether shared numbers stay as they are.
    """
    damping, p = 1e-3, own.shape[1]

    def scored(own: np.ndarray, shared: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        loss, slope, information = score(own, shared)
        off, beside = (own - prior.own) / prior.own_width, (shared - prior.shared) / prior.shared_width
        slope[:, :p] += off / prior.own_width
        slope[:, p:] += beside / prior.shared_width / len(own)
        information += np.diag(np.concatenate([prior.own_width**-2, prior.shared_width**-2 / len(own)]))
        return loss, slope, information, float(loss.sum() + (off**2).sum() / 2 + (beside**2).sum() / 2)

    loss, slope, information, total = scored(own, shared)
    for _ in range(steps):
        step, common = _solved(slope, information, p, damping, held)
        if (slope[:, :p] * step).sum() + slope[:, p:].sum(0) @ common < _NOTHING * len(own):
            break
        size = max(float(np.abs(step).max()), float(np.abs(common).max()))
        shrink = min(1.0, most / size) if size > 0 else 1.0
        tried = own - np.clip(step, -most, most), shared - shrink * common
        new = scored(*tried)
        if np.isfinite(new[3]) and new[3] <= total:
            gain, (own, shared) = total - new[3], tried
            loss, slope, information, total = new
            damping = max(damping / 10, 1e-9)
            if gain < _FINE * len(own):
                break
        else:
            damping = max(10 * damping, 1e-3)
            if damping > 1e8:
                break
    own_errors = np.linalg.inv(information[:, :p, :p])
    return Found(own, shared, loss, own_errors, np.linalg.inv(_rest(information, p)), _follows(information, p))


def unbiased(score: Score, expected: Score, prior: Prior, found: Found, width: float = 1e-3) -> Found:
    """The same with what is shared at the largest likelihood that allows for the devices' numbers having been fitted.

    Numbers λ of each device are fitted to its own reads, and follow them too closely: the likelihood of shared numbers
    ψ at the likeliest λ is too narrow, and off its place. Where λ are orthogonal to ψ, that is mended by adding
    ln det A / 2 of the information A of each device to its loss (Cox and Reid, "Parameter orthogonality and approximate
    conditional inference", J. R. Stat. Soc. B 49:1, 1987). Here the likeliest λ go with ψ by v = -A⁻¹ B. Numbers that
    are orthogonal to ψ are those that stay along lines of the v that is expected of reads by λ and ψ, and the volume
    of λ in them grows by div v, so that the slope of what is added, along these lines, is

        (∂/∂ψ + v · ∂/∂λ) ln det A / 2 + ∂/∂λ · v.

    That what a device is expected to read goes with its numbers matters: where each state follows from the one before,
    fits without it are off by about one over the number of reads of a device. One step is taken, from where the
    likelihood itself is largest.

    Args:
        expected: `score` of the reads that are expected by the numbers that it is asked about.
        width: of the differences that stand for derivatives.
    """
    p, q = found.own.shape[1], found.shared.size
    believed = np.diag(prior.own_width**-2)

    def volume(own: np.ndarray, shared: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.slogdet(score(own, shared)[2][:, :p, :p] + believed)[1] / 2)

    def line(own: np.ndarray) -> np.ndarray:
        information = expected(own, found.shared)[2]
        information[:, :p, :p] += believed
        return _follows(information, p)

    slope = np.zeros(q)
    for i, shift in enumerate(width * np.eye(q)):
        slope[i] += (volume(found.own, found.shared + shift) - volume(found.own, found.shared - shift)).sum()
    for i, shift in enumerate(width * np.eye(p)):
        more = volume(found.own + shift, found.shared) - volume(found.own - shift, found.shared)
        slope += found.follows[:, i].T @ more + (line(found.own + shift) - line(found.own - shift))[:, i].sum(0)
    step = np.clip(found.shared_errors @ slope / (2 * width), -0.2, 0.2)
    return likeliest(score, prior, found.own - found.follows @ step, found.shared - step, held=True)


def _follows(information: np.ndarray, p: int) -> np.ndarray:
    """How the likeliest numbers of devices change with what is shared."""
    return np.asarray(-np.linalg.solve(information[:, :p, :p], information[:, :p, p:]))


def _rest(information: np.ndarray, p: int) -> np.ndarray:
    """What all devices tell of the shared numbers, while their own are unknown."""
    a, b, c = information[:, :p, :p], information[:, :p, p:], information[:, p:, p:]
    return np.asarray((c - b.transpose(0, 2, 1) @ np.linalg.solve(a, b)).sum(0))


def _solved(
    slope: np.ndarray, information: np.ndarray, p: int, damping: float, held: bool
) -> tuple[np.ndarray, np.ndarray]:
    """One step of own and shared numbers."""
    information = information * (1 + damping * np.eye(information.shape[1]))
    a, b = information[:, :p, :p], information[:, :p, p:]
    alone = np.linalg.solve(a, slope[:, :p, None])
    if held:
        return alone[:, :, 0], np.zeros(slope.shape[1] - p)
    right = (slope[:, p:, None] - b.transpose(0, 2, 1) @ alone).sum(0)
    common = np.linalg.solve(_rest(information, p), right)
    return (alone - np.linalg.solve(a, b @ common))[:, :, 0], common[:, 0]
