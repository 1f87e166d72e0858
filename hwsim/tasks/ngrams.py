"""What counting makes of a text: the bits per character of a model that sees so many characters back.

A recurrent network whose dynamics serve the task does better than the model of two characters, which needs no memory.
"""

from __future__ import annotations

import numpy as np


def bits(learned: np.ndarray, tested: np.ndarray, symbols: int, back: int) -> float:
    """The mean of -log₂ p(c | the characters before it) over a tested text, from counts of a learned one.

    By I. H. Witten and T. C. Bell, IEEE Transactions on Information Theory 37, 1991, method C, interpolated: with n(hc)
    the count of c behind h, and d(h) the number of characters that differ behind h,

        p(c | h) = (n(hc) + d(h) p(c | h')) / (n(h) + d(h)),

    where h' lacks the first character of h; before no character it begins with p = 1 / symbols. The first `back`
    characters are not judged.

    Args:
        learned, tested: numbers of characters, from 0 to symbols - 1.
        back: how many characters the model sees: 0 for frequencies alone, 1 for pairs.
    """
    chance = np.full(len(tested) - back, 1 / symbols)
    for length in range(back + 1):
        hc, tested_hc = _grams(learned, length + 1, symbols), _grams(tested[back - length :], length + 1, symbols)
        h, tested_h = hc // symbols, tested_hc // symbols
        kinds, counts = np.unique(hc, return_counts=True)
        n_hc = _looked_up(kinds, counts, tested_hc)
        n_h = _looked_up(*np.unique(h, return_counts=True), tested_h)
        d_h = _looked_up(*np.unique(kinds // symbols, return_counts=True), tested_h)
        known = n_h > 0
        chance[known] = ((n_hc + d_h * chance) / np.maximum(n_h + d_h, 1))[known]
    return float(-np.log2(chance).mean())


def _grams(codes: np.ndarray, length: int, symbols: int) -> np.ndarray:
    """Each row of `length` characters as one number, whose last digit to the base `symbols` is the last character."""
    found = np.zeros(len(codes) - length + 1, np.int64)
    for at in range(length):
        found = found * symbols + codes[at : at + len(found)]
    return found


def _looked_up(kinds: np.ndarray, counts: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The counts of what is asked for, 0 of what is not there; `kinds` are in order."""
    at = np.minimum(np.searchsorted(kinds, asked), len(kinds) - 1)
    found: np.ndarray = np.where(kinds[at] == asked, counts[at], 0)
    return found
