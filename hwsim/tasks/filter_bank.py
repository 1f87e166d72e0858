"""A filter bank: the logarithm of a sound's power in bands, frame by frame.

Bands are triangles on the mel scale of the Hidden Markov Model Toolkit, mel(f) = 2595 log₁₀(1 + f / 700 Hz), on which
1 kHz is 999.99 (Young et al., The HTK Book, 2006, equation 5.13). The scale of Slaney's toolbox is another one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

ROUNDING = 2.0**-30 / 12
"""Power of the rounding of 16-bit samples between -1 and 1: the square of a step of 2⁻¹⁵ over 12."""


class FilterBank(NamedTuple):
    """What is done to a sound: frames under a Hann window, their spectra, and the power in bands.

    Attributes:
        rate: samples per second.
        frame: samples per frame.
        hop: samples from the start of a frame to the start of the next.
        bands: number of bands.
        lowest, highest: where the first band begins and the last one ends, in hertz.
    """

    rate: int
    frame: int
    hop: int
    bands: int
    lowest: float
    highest: float

    @property
    def points(self) -> int:
        """The length of the transform: the next power of two, filled up with zeros."""
        return 1 << (self.frame - 1).bit_length()

    def weights(self) -> np.ndarray:
        """How much each frequency counts in each band, `(bands, points / 2 + 1)`; each row adds up to 1.

        Raises:
            ValueError: no frequency of the transform lies in some band.
        """
        edges = hertz(np.linspace(mel(self.lowest), mel(self.highest), self.bands + 2))
        frequencies = np.arange(self.points // 2 + 1) * self.rate / self.points
        below, centre, above = edges[:-2, None], edges[1:-1, None], edges[2:, None]
        rising, falling = (frequencies - below) / (centre - below), (above - frequencies) / (above - centre)
        triangles = np.maximum(0, np.minimum(rising, falling))
        empty = np.flatnonzero(triangles.sum(1) == 0)
        if empty.size:
            low, high = edges[empty[0]], edges[empty[0] + 2]
            raise ValueError(
                f"band {empty[0] + 1} of {self.bands}, from {low:.0f} to {high:.0f} Hz, holds no frequency of a "
                f"spectrum in steps of {self.rate / self.points:.4g} Hz: take fewer bands or longer frames"
            )
        return triangles / triangles.sum(1, keepdims=True)

    def frames(self, samples: int) -> int:
        """The number of whole frames in so many samples; a shorter sound has one, filled up with zeros."""
        return 1 + max(0, samples - self.frame) // self.hop

    def levels(self, sound: np.ndarray) -> np.ndarray:
        """ln(p + ε) of the power p in each band, `(frames, bands)`, with ε of `ROUNDING`.

        The power at a frequency is |X|² / Σ w², so that white noise of variance σ² has σ² in every band.

        Args:
            sound: samples between -1 and 1.
        """
        whole = np.zeros(max(len(sound), self.frame))
        whole[: len(sound)] = sound
        cut = np.lib.stride_tricks.sliding_window_view(whole, self.frame)[:: self.hop][: self.frames(len(sound))]
        window = np.hanning(self.frame + 2)[1:-1]
        power = np.abs(np.fft.rfft(cut * window, self.points)) ** 2 / (window**2).sum()
        return np.log(power @ self.weights().T + ROUNDING)


def mel(frequency: float | np.ndarray) -> np.ndarray:
    """The place of a frequency in hertz on the mel scale."""
    return 2595 * np.log10(1 + np.asarray(frequency) / 700)


def hertz(place: np.ndarray) -> np.ndarray:
    """The frequency at a place of the mel scale."""
    return 700 * (10 ** (place / 2595) - 1)
