"""Brian2, stepped from our own loop: a group of neurons whose equations are a text, advanced one Brian2 step at a time.

Brian2 (Stimberg, Brette and Goodman, eLife 8:e47314, 2019) turns equations into code. `before_run` of its objects makes
their code once; from then on their `run` is called in the order of the network's schedule, and the arrays of the
clock are advanced here. That is what `Network.run` does, to the last bit, without its 100 ms per call, in which it
collects the garbage of the whole process.

Nothing of Brian2 that is global is used or changed: code objects are chosen for each group and not by a preference,
noise is not Brian2's `xi`, and no seed is set. Where this module is the first to import Brian2, the log file, the hooks
for exceptions and for Ctrl-C, and the capture of warnings that come with the import are taken back.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from contextlib import suppress
from typing import Any, Literal, NamedTuple

import numpy as np

Target = Literal["numpy", "cython"]


def brian2() -> Any:
    """The package, imported when it is first needed, which takes some seconds."""
    known = sys.modules.get("brian2")
    if known is not None:
        return known
    main = threading.current_thread() is threading.main_thread()
    hook, shows, interrupt = sys.excepthook, warnings.showwarning, signal.getsignal(signal.SIGINT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how Brian2 calls the packages that it is made of
        import brian2

        if warnings.showwarning is not shows:
            logging.captureWarnings(False)
    sys.excepthook = hook
    if main:
        signal.signal(signal.SIGINT, interrupt)
    _forget_files(brian2.BrianLogger)
    return brian2


def _forget_files(log: Any) -> None:
    """Close and remove the log file, and the copy of the script, that an import of Brian2 makes."""
    if log.file_handler is not None:
        logging.getLogger("brian2").removeHandler(log.file_handler)
        log.file_handler.close()
        log.file_handler = None
    for name in (log.tmp_log, log.tmp_script):
        if name is not None:
            with suppress(OSError):
                os.remove(name)
    log.tmp_log = log.tmp_script = None


class Model(NamedTuple):
    """What Brian2 is told of a neuron.

    Attributes:
        equations: of all variables and parameters, in Brian2's language.
        threshold, reset, refractory: expressions and statements; None without.
        each: statements at each Brian2 step, behind the integrator; None without.
        arrival: statements at the first Brian2 step of an input step, behind these; None without.
        method: the integrator.
        dt: a Brian2 step, in seconds.
        target: what the code is made for.
    """

    equations: str
    threshold: str | None
    reset: str | None
    refractory: str | None
    each: str | None
    arrival: str | None
    method: str
    dt: float
    target: Target


class Stepper:
    """Neurons of one model, all in one group.

    Attributes:
        group, network: Brian2's.
        arrays: of variables and parameters by name, in SI units; what is written into them counts from the next step.

    Args:
        parameters: their values, one for all neurons or one for each.
    """

    def __init__(self, model: Model, count: int, parameters: dict[str, Any]) -> None:
        b = brian2()
        code = _code(model.target)
        self._clock = b.Clock(model.dt * b.second)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sympy's, on how Brian2 calls it
            self.group = b.NeuronGroup(
                count,
                b.Equations(model.equations),
                threshold=model.threshold,
                reset=model.reset,
                refractory=model.refractory if model.refractory is not None else False,
                method=model.method,
                clock=self._clock,
                namespace={},
                codeobj_class=code,
                dtype=np.float64,
                name="hwsim*",
            )
            given = {"clock": self._clock, "when": "before_thresholds", "codeobj_class": code}
            each, arrival = (
                self.group.run_regularly(said, order=order, **given) if said is not None else None
                for order, said in enumerate((model.each, model.arrival))
            )
            self.arrays: dict[str, np.ndarray] = {
                name: variable.get_value()
                for name, variable in self.group.variables.items()
                if type(variable).__name__ == "ArrayVariable"
            }
            for name, value in parameters.items():
                self.arrays[name][:] = value
            self.network = b.Network(self.group)
            ordered = [one for one in self.network.sorted_objects if one.active]
            for one in ordered:
                one._network = self.network.id  # Brian2 warns of groups that go before they are part of a network
                one.before_run({})
        self.each, self.arrival = each, arrival
        self._first = [one.run for one in ordered]
        self._later = [one.run for one in ordered if one is not arrival]
        clock = self._clock.variables
        self._timestep, self._t = clock["timestep"].get_value(), clock["t"].get_value()
        self._dt = clock["dt"].get_value()
        self._spikes = self.arrays["_spikespace"] if model.threshold is not None else None

    def begin(self) -> None:
        """Set the clock to zero: all that a step depends on is in the arrays of variables."""
        self._timestep[0], self._t[0] = 0, 0.0

    def step(self, first: bool = True) -> np.ndarray | None:
        """One Brian2 step; gives the neurons that fired, in a view that the next step overwrites.

        Args:
            first: whether input arrives, which it does at the first of the Brian2 steps of an input step.
        """
        for run in self._first if first else self._later:
            run()
        self._timestep[0] += 1
        self._t[0] = self._timestep[0] * self._dt[0]
        return None if self._spikes is None else self._spikes[: self._spikes[-1]]


def _code(target: Target) -> Any:
    if target == "cython":
        from brian2.codegen.runtime.cython_rt import CythonCodeObject

        return CythonCodeObject
    from brian2.codegen.runtime.numpy_rt import NumpyCodeObject

    return NumpyCodeObject
