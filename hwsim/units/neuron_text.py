"""Neurons as text: equations in Brian2's language, with a threshold, a reset, constants and what a wire stands for."""

from __future__ import annotations

import re
import warnings
from functools import cached_property, lru_cache
from math import sqrt
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, Field, field_validator, model_validator

from hwsim.documents import PartError, unknown
from hwsim.quantities import Constant, Length, Time, Voltage, VoltageLength
from hwsim.units.brian import Model, Stepper, Target, brian2

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Quantity = Annotated[float, Field(allow_inf_nan=False)] | str
Shape = Literal["triangle", "fast_sigmoid", "atan", "sigmoid", "exponential"]

DRIVE = "drive"
"""What a step of the network gives a neuron: W z + U x + b."""
_XI = re.compile(r"\bxi(?:_\w+)?\b")
_BASES = "metre", "kilogram", "second", "amp", "kelvin", "mole", "candle"
_REFUSED = {
    "t": "neurons have no clock of their own: what a step depends on is in their variables",
    "rand": "noise is xi, which is drawn by the seed of the experiment",
    "randn": "noise is xi, which is drawn by the seed of the experiment",
    "poisson": "noise is xi, which is drawn by the seed of the experiment",
    "i": "neurons are alike but for the spread of their parameters",
    "N": "neurons are alike but for the spread of their parameters",
}


class Matching(BaseModel, extra="forbid"):
    """How the threshold voltages of equal transistors differ, by their size (Pelgrom et al., JSSC 24:1433, 1989)."""

    a_vt: Annotated[Constant[VoltageLength], Field(description="A_VT: σ(V_T) = A_VT / √(W L)")]
    width: Annotated[Constant[Length], Field(description="W of the transistor that sets the parameter")]
    length: Annotated[Constant[Length], Field(description="its L")]
    slope: Annotated[Positive, Field(description="κ, by which a voltage at the gate moves the channel")] = 0.7
    thermal: Annotated[Voltage, Field(description="U_T = kT/q")] = 0.025

    @property
    def spread(self) -> float:
        """Standard deviation of the logarithm of a subthreshold current: κ σ(V_T) / U_T."""
        return float(self.slope * self.a_vt.value / (self.thermal * sqrt(self.width.value * self.length.value)))


class Parameter(BaseModel, extra="forbid"):
    """A constant of the equations, with its origin, and how it differs from neuron to neuron."""

    value: Annotated[Quantity, Field(description="with its unit as Brian2 writes it, `20 ms`; or a plain number")]
    source: Annotated[str | None, Field(description="a key of `sources`")] = None
    assumed: Annotated[str | None, Field(description="why it was chosen, where no source gives it")] = None
    range: Annotated[
        list[Quantity] | None, Field(min_length=2, max_length=2, description="lowest and highest value in the sources")
    ] = None
    spread: Annotated[
        Fraction,
        Field(description="frozen: standard deviation of its logarithm, from neuron to neuron and chip to chip"),
    ] = 0.0
    matching: Annotated[Matching | None, Field(description="the spread by the size of a transistor instead")] = None

    @model_validator(mode="after")
    def _accounted_for(self) -> Self:
        if (self.source is None) == (self.assumed is None):
            raise ValueError("a parameter has either a source or a reason for which it is assumed")
        if self.matching is not None and self.spread:
            raise ValueError("spread and matching both say how it differs; leave one of them out")
        return self

    @property
    def deviation(self) -> float:
        """Standard deviation of its logarithm."""
        return self.spread if self.matching is None else self.matching.spread


class CircuitSurrogate(BaseModel, extra="forbid"):
    """What learning takes for the slope of a threshold: γ s(u / w), of how far u the neuron is above it."""

    name: Annotated[
        Shape,
        Field(
            description="s(u), in this order: max(0, 1 - |u|), 1 / (1 + |u|)², 1 / (1 + u²), "
            "4 e^-u / (1 + e^-u)², e^-|u|"
        ),
    ] = "triangle"
    of: Annotated[
        str | None, Field(description="u, without a unit; by default the threshold `a > b` as a - b, if it has none")
    ] = None
    height: Annotated[Positive, Field(description="γ")] = 0.3
    width: Annotated[Positive, Field(description="w")] = 1.0


class Fault(NamedTuple):
    """What is wrong with a text.

    Attributes:
        key: of the text, dotted.
        line: of the value at this key, from 0.
        text: what is wrong, and what is allowed.
    """

    key: str
    line: int
    text: str

    @property
    def place(self) -> tuple[str, ...]:
        """The keys that lead to it."""
        return tuple(self.key.split("."))


class NeuronText(BaseModel, extra="forbid"):
    """A neuron: equations in Brian2's language, and what is needed to step and to price them."""

    name: Annotated[str, Field(description="what it is called")]
    what: Annotated[str | None, Field(description="one line on it")] = None
    sources: Annotated[dict[str, str], Field(description="citations, by the keys that parameters name")] = {}
    equations: Annotated[
        str,
        Field(
            description="one a line, `dv/dt = (drive - v)/tau : 1`; `drive` is what the network gives, without a unit; "
            "`xi` is white noise"
        ),
    ]
    arrival: Annotated[
        str | None,
        Field(description="statements at the start of an input step, such as `I += drive`: synapses that get a pulse"),
    ] = None
    each: Annotated[
        str | None, Field(description="statements behind each integration step, such as `I = clip(I, I_0, I_max)`")
    ] = None
    threshold: Annotated[str | None, Field(description="a neuron fires where it holds; none: it does not fire")] = None
    reset: Annotated[str | None, Field(description="statements where it fired")] = None
    refractory: Annotated[
        str | None, Field(description="how long it does not fire again, such as `t_ref`; see `(unless refractory)`")
    ] = None
    surrogate: Annotated[
        CircuitSurrogate | None,
        Field(description="slope of the threshold for learning; none: no rule can go through it"),
    ] = None
    parameters: Annotated[dict[str, Parameter], Field(description="the constants of the equations")] = {}
    start: Annotated[
        dict[str, Quantity], Field(description="where variables start, and what is 0 on their wires; by default 0")
    ] = {}
    scale: Annotated[
        dict[str, Quantity], Field(description="how much of a variable is 1 on its wire; needed where it has a unit")
    ] = {}
    output: Annotated[
        str | None,
        Field(description="without a threshold: the variable that goes on; by default that of the first equation"),
    ] = None
    method: Annotated[Literal["euler", "rk4", "exact"], Field(description="the integrator")] = "euler"
    dt: Annotated[Time, Field(description="step of the integrator; it divides `step`")]
    step: Annotated[Time, Field(description="time from one input step to the next, in the time of the equations")]
    target: Annotated[
        Target, Field(description="what Brian2 makes code for; cython needs a compiler, and has compiled code kept")
    ] = "numpy"

    @field_validator("target", mode="before")
    @classmethod
    def _steppable(cls, target: Any) -> Any:
        if target in ("cpp_standalone", "standalone"):
            raise ValueError(
                "standalone code runs by itself, and takes nothing between its steps; allowed: numpy, cython"
            )
        return target

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if abs(self.substeps * self.dt - self.step) > 1e-9 * self.step:
            near = self.step / max(1, round(self.step / self.dt))
            raise PartError(("dt",), f"dt: {self.dt:g} s does not divide the step of {self.step:g} s; take {near:g} s")
        if self.threshold is None:
            for key in ("reset", "refractory", "surrogate"):
                if getattr(self, key) is not None:
                    raise PartError((key,), f"{key}: there is no threshold")
        elif self.output is not None:
            raise PartError(("output",), "output: what goes on of a neuron with a threshold are its spikes")
        if self.method != "euler" and _XI.search(self.equations):
            raise PartError(("method",), f"method: {self.method} does not take the noise xi; allowed: euler")
        return self

    @property
    def substeps(self) -> int:
        """Brian2 steps in an input step."""
        return max(1, round(self.step / self.dt))

    # ---- what Brian2 makes of it -----------------------------------------------------------------------------

    @property
    def parsed(self) -> Any:
        """The equations as Brian2 reads them."""
        return _parsed(_named(self.equations))

    @property
    def one(self) -> Stepper:
        """A single neuron, for its statements; its variables are as they were left."""
        return _one(self.model, tuple(self.numbers.items()))

    @property
    def noises(self) -> list[str]:
        """Names of the noise, as arrays."""
        return [f"noise_{name}" for name in dict.fromkeys(_XI.findall(self.equations))]

    @property
    def variables(self) -> list[str]:
        """Variables of the state, the one that goes on first."""
        found = re.findall(r"^\s*d(\w+)\s*/\s*dt\b", self.equations, re.MULTILINE)
        names = [name for name in found if name in self.parsed.diff_eq_names]
        if self.output in names:
            names.remove(self.output)
            return [self.output, *names]
        return names

    @property
    def watched(self) -> str | None:
        """The variable that makes it fire, the first that the threshold names; None without a threshold."""
        if self.threshold is None:
            return None
        named = re.findall(r"\w+", self.threshold)
        return next((name for name in named if name in self.variables), self.variables[0])

    @cached_property
    def numbers(self) -> dict[str, float]:
        """Values of the parameters, in SI units."""
        return {name: float(np.asarray(_quantity(each.value))) for name, each in self.parameters.items()}

    @cached_property
    def wires(self) -> dict[str, tuple[float, float]]:
        """Of each variable where it starts, and how much of it is 1 on its wire, in SI units."""
        return {name: (_plain(self.start.get(name, 0.0)), _plain(self.scale.get(name, 1.0))) for name in self.variables}

    @cached_property
    def model(self) -> Model:
        """What Brian2 is told."""
        said = [_named(self.equations).rstrip()]
        said += [f"{name} : {_unit(_quantity(each.value))} (constant)" for name, each in self.parameters.items()]
        said += [f"{name} : second**-0.5" for name in self.noises]
        said.append(f"{DRIVE} : 1")
        return Model(
            "\n".join(said), self.threshold, self.reset or ("" if self.threshold else None), self.refractory, self.each,
            self.arrival, self.method, self.dt, self.target,
        )  # fmt: skip

    # ---- what is wrong with it -------------------------------------------------------------------------------

    def fault(self) -> Fault | None:
        """What is wrong with it, as far as names, units and a step of one neuron show; None if nothing is."""
        brian2()
        checks = self._misread, self._unknown_names, self._wires, self._refused, self._not_above, self._not_finite
        for find in checks:
            found = find()
            if found is not None:
                return found
        return None

    def _misread(self) -> Fault | None:
        for name, parameter in self.parameters.items():
            for value in (parameter.value, *(parameter.range or ())):
                if (why := _unreadable(value)) is not None:
                    return Fault(f"parameters.{name}", 0, f"parameters.{name}: {why}")
        lines = self.equations.splitlines()
        for number, line in enumerate(lines):
            if line.split("#")[0].strip():
                try:
                    _read(_named(line))
                    _read(_named("\n".join(lines[: number + 1])))  # it may define again what a line above does
                except Exception as error:
                    return Fault("equations", number, f"equations: {_said(error)}")
        if not self.variables:
            return Fault(
                "equations", 0, "equations: needs a differential equation, such as `dv/dt = (drive - v)/tau : 1`"
            )
        for name, each in self.parsed.items():
            if each.type == "parameter":
                place = self._line("equations", name)
                return Fault("equations", place, f"equations: give {name} a value under `parameters`, and no line here")
        return None

    def _unknown_names(self) -> Fault | None:
        """Identifiers that nothing is called by, and those that are refused."""
        from brian2.core.functions import DEFAULT_CONSTANTS, DEFAULT_FUNCTIONS
        from brian2.core.namespace import DEFAULT_UNITS
        from brian2.utils.stringtools import get_identifiers

        own = [*self.parsed.names, *self.parameters, DRIVE, *self.noises, "not_refractory", "dt"]
        known = {*own, *DEFAULT_CONSTANTS, *DEFAULT_FUNCTIONS, *DEFAULT_UNITS, "and", "or", "not", "True", "False"}
        said = [
            ("equations", self._line("equations", name), str(equation.expr))
            for name, equation in self.parsed.items()
            if equation.expr is not None
        ]
        said += [
            (key, 0, text)
            for key in ("arrival", "each", "threshold", "reset", "refractory")
            if (text := getattr(self, key)) is not None
        ]
        if self.surrogate is not None and self.surrogate.of is not None:
            said.append(("surrogate.of", 0, self.surrogate.of))
        for key, line, text in said:
            for name in sorted(get_identifiers(text)):
                if name in _REFUSED and name not in own:
                    return Fault(key, line, f"{key}: {name} is not for neurons here; {_REFUSED[name]}")
                if name not in known:
                    allowed = [each.removeprefix("noise_") if each in self.noises else each for each in own]
                    return Fault(key, line, f"{key}: {unknown('identifier', name, allowed)}")
        return None

    def _wires(self) -> Fault | None:
        """Starts and scales of what is no variable, or in other units."""
        dims = {name: self.parsed[name].dim for name in self.variables}
        for key in ("start", "scale"):
            given = getattr(self, key)
            for name, value in given.items():
                if name not in dims:
                    return Fault(f"{key}.{name}", 0, unknown(f"variable under {key}", name, self.variables))
                if (why := _unreadable(value)) is not None:
                    return Fault(f"{key}.{name}", 0, f"{key}.{name}: {why}")
                if brian2().get_dimensions(_quantity(value)) is not dims[name]:
                    units = f"{value} is not in units of {_unit_of(dims[name])}, as {name} is"
                    return Fault(f"{key}.{name}", 0, f"{key}.{name}: {units}")
                if key == "scale" and not _plain(value) > 0:
                    return Fault(f"scale.{name}", 0, f"scale.{name}: must be above 0")
        for name, dim in dims.items():
            if not dim.is_dimensionless and name not in self.scale:
                line = self._line("equations", name)
                much = f"scale: say how much of {name}, which is in {_unit_of(dim)}, is 1 on its wire"
                return Fault("equations", line, f"{much}, such as `{name}: 1 mV`")
        if self.output is not None and self.output not in dims:
            return Fault("output", 0, unknown("variable", self.output, self.variables))
        return None

    def _refused(self) -> Fault | None:
        """What Brian2 says of units and statements; parts are added one after the other, to find the one."""
        try:
            _ = self.one
        except Exception as error:
            whole = error
        else:
            return None
        model = _bare(self.model)
        parts = ("each", "arrival", "threshold", "reset", "refractory")
        for key in ("equations", *parts):
            if key != "equations":
                if getattr(self.model, key) is None:
                    continue
                model = model._replace(**{key: getattr(self.model, key)})
                if key == "threshold":
                    model = model._replace(reset="")
            try:
                Stepper(model, 1, self.numbers)
            except Exception as error:
                text = _said(error)
                named = re.search(r"variable '(\w+)'", text)
                return Fault(key, self._line(key, named[1]) if named else 0, f"{key}: {text}")
        return Fault("equations", 0, f"equations: {_said(whole)}")

    def _not_above(self) -> Fault | None:
        """What a surrogate is of, if that is not a number without a unit."""
        if self.surrogate is None:
            return None
        key = "surrogate" if self.surrogate.of is None else "surrogate.of"
        above = self.above
        if above is None:
            text = "the threshold is not of the form `a > b`; say u, as `of: (v - theta)/theta`"
            return Fault("surrogate", 0, f"surrogate: {text}")
        said = f"{self.model.equations}\nhow_far_above = {above} : 1"
        try:
            _one(_bare(self.model._replace(equations=said)), tuple(self.numbers.items()))
        except Exception as error:
            text = f"`{above}` must be a number without a unit, as `of: (v - theta)/(5*mV)`; {_said(error)}"
            return Fault(key, 0, f"{key}: {text}")
        return None

    @property
    def above(self) -> str | None:
        """How far a neuron is above its threshold: u of its surrogate; None if that does not follow."""
        if self.surrogate is not None and self.surrogate.of is not None:
            return self.surrogate.of
        sides = (self.threshold or "").split(">")
        if len(sides) != 2 or "=" in sides[1] or re.search(r"\b(and|or|not)\b", self.threshold or ""):
            return None
        return f"({sides[0].strip()}) - ({sides[1].strip()})"

    def _not_finite(self) -> Fault | None:
        """Whether a step of one neuron gives numbers; equal time constants under `exact` do not."""
        stepper = self.one
        stepper.begin()
        for name, (start, _) in self.wires.items():
            stepper.arrays[name][:] = start
        with np.errstate(all="ignore"):
            for number in range(self.substeps):
                stepper.step(number == 0)
        for name in self.variables:
            if not np.isfinite(stepper.arrays[name]).all():
                text = f"equations: a step of {self.step:g} s from `start` makes {name} no number"
                if self.method == "exact":
                    text += "; two equal time constants under two names do that with `exact`: use one name, or euler"
                return Fault("equations", self._line("equations", name), text)
        return None

    def _line(self, key: str, name: str) -> int:
        """The line of a value that is about a variable."""
        for number, line in enumerate((getattr(self, key) or "").splitlines()):
            if re.match(rf"\s*(d{name}\s*/\s*dt|{name})\b", line):
                return number
        return 0


@lru_cache(16)
def _parsed(equations: str) -> Any:
    return _read(equations)


def _read(equations: str) -> Any:
    """Equations as Brian2 reads them.

    Raises:
        Exception: of Brian2, that they are none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how Brian2 calls the packages that it is made of
        return brian2().Equations(equations)


@lru_cache(32)
def _one(model: Model, numbers: tuple[tuple[str, float], ...]) -> Stepper:
    return Stepper(model, 1, dict(numbers))


def _named(equations: str) -> str:
    """Equations with noise under the names of arrays."""
    return _XI.sub("noise_\\g<0>", equations)


def _bare(model: Model) -> Model:
    """The equations of a model, and nothing else."""
    equations = model.equations.replace("(unless refractory)", "")
    return model._replace(
        equations=equations, threshold=None, reset=None, refractory=None, each=None, arrival=None, method="euler"
    )


def _plain(value: Quantity) -> float:
    """A quantity in SI units."""
    return float(np.asarray(_quantity(value)))


_SYMBOLS = {"s": "second", "V": "volt", "A": "amp", "F": "farad", "S": "siemens", "J": "joule", "W": "watt"}
"""Symbols that Brian2 has some multiples of alone; the others go by its names, such as `psiemens`."""
_WRITTEN = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-z][\w*/^. -]*)?\s*\Z")


def _quantity(value: Quantity) -> Any:
    """What a text stands for, as Brian2 has it.

    Raises:
        ValueError: it is no number with a unit that Brian2 knows.
    """
    if not isinstance(value, str):
        return value
    match = _WRITTEN.match(value)
    if match is None:
        raise ValueError(f"{value!r} must be a number with a unit, such as '20 ms' or '2 pF'")
    number, unit = float(match[1]), match[2]
    if unit is None:
        return number
    brian2()
    from brian2.core.namespace import DEFAULT_UNITS
    from brian2.units import allunits

    units = dict(DEFAULT_UNITS)
    for name in re.findall(r"[A-Za-z_]\w*", unit):
        prefix, whole = name[:-1], _SYMBOLS.get(name[-1])
        if name not in units and whole is not None and hasattr(allunits, f"{prefix}{whole}"):
            units[name] = getattr(allunits, f"{prefix}{whole}")
        if name not in units:
            raise ValueError(f"{value!r}: Brian2 knows no unit {name!r}; write '20 ms', '2 pF' or '0.3 nA/mV'")
    return number * eval(unit.replace("^", "**"), {"__builtins__": {}}, units)  # names of units alone


def _unreadable(value: Quantity) -> str | None:
    """Why a quantity cannot be read; None if it can."""
    try:
        if not np.isfinite(_plain(value)):
            return f"{value!r} must be finite"
    except Exception as error:
        return str(error)
    return None


def _unit(quantity: Any) -> str:
    return _unit_of(brian2().get_dimensions(quantity))


def _unit_of(dim: Any) -> str:
    """A unit in base units, as equations take it."""
    parts = [
        base if power == 1 else f"{base}**{power:g}" for base, power in zip(_BASES, dim._dims, strict=True) if power
    ]
    return "*".join(parts) or "1"


def _said(error: BaseException) -> str:
    """What Brian2 says of a fault, without what it says of where in itself it met it."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(error.args[0] if error.args else error).split())
    return f"{text[0].lower()}{text[1:]}" if text[:1].isupper() and text[1:2].islower() else text
