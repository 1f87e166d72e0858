"""A circuit: neurons of one text, all of a layer, which Brian2 steps from what registers hold to what they hold next.

The wires of its state are blocks of N: how often the neurons fired in the step, if they have a threshold; each
variable, as its distance from `start` in units of `scale`; and the share of the refractory time that is still to pass.
So Brian2 holds nothing of its own from one step to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from hwsim.units.brian import Stepper
from hwsim.units.neuron_text import DRIVE, NeuronText
from hwsim.units.slopes import SPIKES, Slopes, work_of

Noise = Callable[[int], np.ndarray]
"""Gives so many standard normal numbers for each chip, `(chips, count)`."""
REFRACTORY = "refractory"
_MOST = 4
"""Groups of neurons that are kept, each for another number of chips and sequences."""


class Circuit:
    """N neurons of a text.

    Attributes:
        text: what they are.
        blocks: of the state.
        picoseconds: of an input step.
    """

    def __init__(self, text: NeuronText, units: int) -> None:
        self.text, self.units = text, units
        fires = text.threshold is not None
        self.blocks = [SPIKES] * fires + text.variables + [REFRACTORY] * (text.refractory is not None)
        self.picoseconds = round(text.step * 1e12)
        self._steppers: dict[tuple[int, int], tuple[Stepper, dict[str, np.ndarray] | None]] = {}

    def __repr__(self) -> str:
        return f"<circuit of {self.units} {self.text.name}>"  # the same in another process

    @property
    def _one(self) -> Stepper:
        """A neuron, for its statements."""
        return self.text.one

    @cached_property
    def _slopes(self) -> Slopes:
        return Slopes(self.text, self._one)

    @cached_property
    def slopes_of(self) -> list[tuple[str, str]]:
        """The derivatives that may differ from zero: of which block, by which block or `drive`."""
        return self._slopes.pattern

    @property
    def derivatives(self) -> int:
        return len(self.slopes_of)

    def work(self, derivatives: bool) -> dict[str, int]:
        return self._slopes.work if derivatives else self._work

    @cached_property
    def _work(self) -> dict[str, int]:
        return work_of(self.text, self._one)

    # ---- values ----------------------------------------------------------------------------------------------

    def advance(self, h: np.ndarray, drive: np.ndarray) -> np.ndarray:
        return self.run(h, drive)

    def run(
        self,
        h: np.ndarray,
        drive: np.ndarray,
        parameters: dict[str, np.ndarray] | None = None,
        noise: Noise | None = None,
    ) -> np.ndarray:
        """The state `(chips, batch, blocks N)` behind an input step with a drive `(chips, batch, N)`.

        Args:
            parameters: `(chips, N)`, where they differ from the text's.
            noise: of each Brian2 step; without it `xi` is zero.
        """
        text, lead, n = self.text, drive.shape[:-1], self.units
        stepper = self._stepper(lead, parameters)
        stepper.begin()
        arrays = stepper.arrays
        for name, (start, scale) in text.wires.items():
            arrays[name][:] = start + scale * self._block(h, name) if start or scale != 1 else self._block(h, name)
        arrays[DRIVE][:] = drive.ravel()
        resting, dt = self._resting(arrays), text.dt
        if resting is not None:
            left = np.rint(resting * self._block(h, REFRACTORY))
            arrays["lastspike"][:] = (left - resting) * dt
        normal = _Normals(noise, len(text.noises) * text.substeps, lead, n)
        counts = np.zeros(drive.size)
        for number in range(text.substeps):
            for name in text.noises:
                arrays[name][:] = normal.next() / np.sqrt(dt)
            fired = stepper.step(number == 0)
            if fired is not None:
                counts[fired] += 1
        return self._gathered(h, arrays, counts, resting)

    def _gathered(
        self, h: np.ndarray, arrays: dict[str, np.ndarray], counts: np.ndarray, resting: np.ndarray | None
    ) -> np.ndarray:
        """What the arrays hold, as wires."""
        new, n = np.empty(h.shape, h.dtype), self.units
        for place, block in enumerate(self.blocks):
            if block == SPIKES:
                value = counts
            elif block == REFRACTORY:
                assert resting is not None
                since = self.text.substeps - np.rint(arrays["lastspike"] / self.text.dt)
                value = np.maximum(resting - since, 0) / np.maximum(resting, 1)
            else:
                start, scale = self.text.wires[block]
                value = (arrays[block] - start) / scale if start or scale != 1 else arrays[block]
            new[..., place * n : (place + 1) * n] = value.reshape(*h.shape[:-1], n)
        return new

    def slopes(self, h: np.ndarray, drive: np.ndarray) -> np.ndarray:
        """The derivatives of a step by its own parameters, `(chips, batch, derivatives N)`, in units of wires."""
        text = self.text
        state = {
            name: start + scale * self._block(h, name).astype(float) for name, (start, scale) in text.wires.items()
        }
        left = np.zeros(drive.size)
        if text.refractory is not None:
            resting = self._resting(self._one.arrays)
            assert resting is not None
            left = np.rint(resting[0] * self._block(h, REFRACTORY))
        found = self._slopes(state, drive.ravel().astype(float), left)
        scales = {name: scale for name, (_, scale) in text.wires.items()}
        parts = [
            (each * (scales.get(by, 1.0) / scales.get(of, 1.0))).reshape(drive.shape)
            for (of, by), each in zip(self.slopes_of, found, strict=True)
        ]
        return np.concatenate(parts, -1).astype(h.dtype)

    def _block(self, h: np.ndarray, name: str) -> np.ndarray:
        place = self.blocks.index(name)
        return h[..., place * self.units : (place + 1) * self.units].reshape(-1)

    def _resting(self, arrays: dict[str, np.ndarray]) -> np.ndarray | None:
        """Brian2 steps of refractoriness, of each neuron."""
        said = self.text.refractory
        if said is None:
            return None
        seconds = np.asarray(self._refractory(**{name: arrays[name] for name in self._rests_on}), float)
        return np.floor(np.broadcast_to(seconds, arrays["lastspike"].shape) / self.text.dt + 1e-3)

    @cached_property
    def _rests_on(self) -> list[str]:
        from brian2.utils.stringtools import get_identifiers

        return [name for name in get_identifiers(self.text.refractory or "") if name in self._one.arrays]

    @cached_property
    def _refractory(self) -> Callable[..., np.ndarray]:
        import sympy
        from brian2.core.namespace import DEFAULT_UNITS
        from brian2.parsing.sympytools import str_to_sympy

        expression = str_to_sympy(self.text.refractory, variables=self._one.group.variables)
        units = {
            symbol: float(np.asarray(DEFAULT_UNITS[symbol.name]))
            for symbol in expression.free_symbols
            if symbol.name not in self._rests_on
        }
        expression = expression.xreplace(units)
        symbols = {symbol.name: symbol for symbol in expression.free_symbols}
        return sympy.lambdify([symbols.get(name, sympy.Symbol(name)) for name in self._rests_on], expression, "numpy")

    def _stepper(self, lead: tuple[int, ...], parameters: dict[str, np.ndarray] | None) -> Stepper:
        """A group of chips × sequences × N neurons."""
        chips, batch = lead
        found = self._steppers.pop((chips, batch), None)
        if found is None or found[1] is not parameters:
            values = dict[str, np.ndarray | float](self.text.numbers)
            for name, each in (parameters or {}).items():
                values[name] = np.broadcast_to(each[:, None], (chips, batch, self.units)).ravel()
            found = Stepper(self.text.model, chips * batch * self.units, values), parameters
        self._steppers[chips, batch] = found
        while len(self._steppers) > _MOST:
            self._steppers.pop(next(iter(self._steppers)))
        return found[0]


class _Normals:
    """Normal numbers of an input step, drawn at once, so that those of a chip do not depend on other chips."""

    def __init__(self, noise: Noise | None, parts: int, lead: tuple[int, ...], n: int) -> None:
        size = lead[1] * n
        self._drawn = noise(parts * size).reshape(lead[0], parts, size) if noise and parts else None
        self._zero, self._part = np.zeros(lead[0] * size), -1

    def next(self) -> np.ndarray:
        self._part += 1
        return self._zero if self._drawn is None else self._drawn[:, self._part].reshape(-1)
