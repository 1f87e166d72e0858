"""Slopes of neurons that are text: how the state behind an input step changes with the state and the drive before it.

Brian2's integrator makes statements of the equations, such as `_v = dt*(I - v)/tau + v`. SymPy differentiates each of
them; the derivatives are carried from statement to statement and from one Brian2 step to the next by the chain rule
(forward accumulation; Wengert, Comm. ACM 7:463, 1964). So they are those of the integrator, not of the equations. A
threshold counts with its surrogate slope. What a reset does is taken as given: its derivative by the spike is cut
(Bellec et al., Nat. Commun. 11:3625, 2020).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from hwsim.operations import surrogate
from hwsim.units.brian import Stepper
from hwsim.units.neuron_text import DRIVE, NeuronText

Tangents = dict[str, Any]
"""Derivatives of one variable by the variables of the state and the drive; what is not in it is zero."""

SPIKES = "spikes"
"""The block of wires that count the spikes of an input step."""


class Statement(NamedTuple):
    """A variable that gets a new value, and the slopes of that value with the variables it is made of."""

    name: str
    value: Callable[..., Any]
    of: tuple[str, ...]
    slopes: dict[str, Callable[..., Any]]


class Slopes:
    """Derivatives of an input step of the neurons of a text, at its own parameters, without noise.

    Attributes:
        pattern: the derivatives that are not zero whatever the values: `(of what, by what)`, names of variables,
            `spikes` and `drive`.
        work: elementary operations of all of them for one neuron, in an input step.

    Args:
        stepper: neurons of the text, of whose code objects the statements are.
    """

    def __init__(self, text: NeuronText, stepper: Stepper) -> None:
        self._text, self._variables = text, text.variables
        self._names = stepper.group.variables
        self._aside = {name: each for name, each in text.parsed.items() if each.type == "subexpression"}
        self.work: dict[str, int] = {}
        group = stepper.group
        integrate = [line for line in group.state_updater.abstract_code.splitlines() if not _refractory(line)]
        self._integrate = self._statements("\n".join(integrate))
        self._each, self._arrival = self._statements(text.each or ""), self._statements(text.arrival or "")
        self._reset = self._statements(text.reset or "")
        self._fires, self._above, self._rests = None, None, None
        if text.threshold is not None:
            self._fires = self._expression("_cond", text.threshold, differentiated=False)
            assert text.surrogate is not None, "asked for by a cell that has one"
            self._above = self._expression("_above", text.above or "0")
            self._count(surrogate.SHAPES[text.surrogate.name].work)
            self._count({"multiply": 2 * (1 + len(self._variables))})
        self.work = {name: count * text.substeps for name, count in self.work.items()}
        if text.refractory is not None:  # once an input step
            self._rests = self._expression("_rests", text.refractory, differentiated=False)
        one = {name: np.array([start]) for name, (start, _) in text.wires.items()}
        self.pattern = list(self._carried(one, np.zeros(1), np.zeros(1))[1])

    def __call__(self, state: dict[str, np.ndarray], drive: np.ndarray, left: np.ndarray) -> list[np.ndarray]:
        """The derivatives of the pattern, in its order, in SI units.

        Args:
            state: variables in SI units.
            drive: of the input step.
            left: Brian2 steps that the neurons are still refractory.
        """
        with np.errstate(all="ignore"):
            found = self._carried(state, drive, left)[1]
        return [np.broadcast_to(np.asarray(found[key], float), drive.shape) for key in self.pattern]

    def replay(self, state: dict[str, np.ndarray], drive: np.ndarray, left: np.ndarray) -> dict[str, np.ndarray]:
        """What the statements make of a state: variables, and spikes; for comparing it with what Brian2 does."""
        with np.errstate(all="ignore"):
            return self._carried(state, drive, left)[0]

    # ---- an input step ---------------------------------------------------------------------------------------

    def _carried(
        self, state: dict[str, np.ndarray], drive: np.ndarray, left: np.ndarray
    ) -> tuple[dict[str, np.ndarray], dict[tuple[str, str], Any]]:
        """The state behind an input step with its spikes, and all derivatives that may differ from zero."""
        text, fired = self._text, np.zeros(drive.shape)
        values: dict[str, Any] = {
            **text.numbers,
            **state,
            DRIVE: drive,
            "dt": text.dt,
            **dict.fromkeys(text.noises, 0.0),
        }
        tangents: dict[str, Tangents] = {name: {name: 1.0} for name in (*self._variables, DRIVE)}
        counted: Tangents = {}
        resting = np.floor(self._refractory(values) / text.dt + 1e-3)
        since = resting - left  # Brian2 steps since the last spike
        for number in range(text.substeps):
            values["not_refractory"] = np.asarray(since >= resting, float)
            self._run(self._integrate, values, tangents)
            self._run(self._each, values, tangents)
            if number == 0:
                self._run(self._arrival, values, tangents)
            if self._fires is not None:
                fires = np.asarray(self._fires.value(*(values[name] for name in self._fires.of)), bool)
                fires = fires & (values["not_refractory"] > 0)
                self._spike(values, tangents, counted)
                fired, since = fired + fires, np.where(fires, 0, since)
                self._run(self._reset, values, tangents, fires)
            since = since + 1
        made = {name: values[name] for name in self._variables}
        slopes = {(name, by): each for name in self._variables for by, each in tangents[name].items()}
        if self._fires is not None:
            made[SPIKES] = fired
            slopes.update({(SPIKES, by): each for by, each in counted.items()})
        return made, slopes

    def _spike(self, values: dict[str, Any], tangents: dict[str, Tangents], counted: Tangents) -> None:
        """Add the derivatives of a spike, by its surrogate."""
        assert self._above is not None
        assert self._text.surrogate is not None
        of, above = self._text.surrogate, dict[str, Tangents]()
        self._run([self._above], values, {**tangents, **above}, into=above)
        shaped = surrogate.slopes(of.name, np.asarray(values["_above"]) / of.width)
        slope = of.height * shaped * values["not_refractory"]
        for by, each in above["_above"].items():
            counted[by] = counted.get(by, 0.0) + slope * each

    def _run(
        self,
        statements: list[Statement],
        values: dict[str, Any],
        tangents: dict[str, Tangents],
        where: np.ndarray | None = None,
        into: dict[str, Tangents] | None = None,
    ) -> None:
        """Carry statements out, with derivatives; `where` a neuron fired, if that is given."""
        for name, value, of, slopes in statements:
            arguments = [values[each] for each in of]
            change: Tangents = {}
            for by, slope in slopes.items():
                for origin, each in tangents.get(by, {}).items():
                    change[origin] = change.get(origin, 0.0) + slope(*arguments) * each
            new = value(*arguments)
            if where is not None:
                before = tangents.get(name, {})
                change = {
                    each: np.where(where, change.get(each, 0.0), before.get(each, 0.0)) for each in {**before, **change}
                }
                new = np.where(where, new, values[name])
            values[name] = new
            (tangents if into is None else into)[name] = change

    def _refractory(self, values: dict[str, Any]) -> Any:
        if self._rests is None:
            return 0.0
        return np.asarray(self._rests.value(*(values[name] for name in self._rests.of)), float)

    # ---- statements and their derivatives --------------------------------------------------------------------

    def _statements(self, code: str) -> list[Statement]:
        found = []
        for line in code.replace(";", "\n").splitlines():
            match = re.match(r"\s*(\w+)\s*([-+*/]?)=(.*)", line.split("#")[0])
            if match:
                name, sign, said = match[1], match[2], match[3].strip()
                found.append(self._expression(name, f"{name} {sign} ({said})" if sign else said))
        return found

    def _expression(self, name: str, said: str, differentiated: bool = True) -> Statement:
        """What a text computes, and its derivatives by all names that may vary."""
        import sympy
        from brian2.parsing.sympytools import str_to_sympy

        expression = _known(str_to_sympy(said.replace("int(not_refractory)", "not_refractory"), variables=self._names))
        for _ in self._aside:  # one may be part of another
            for aside, each in self._aside.items():
                symbol = next((one for one in expression.free_symbols if one.name == aside), None)
                if symbol is not None:
                    inner = _known(str_to_sympy(str(each.expr), variables=self._names))
                    expression = expression.xreplace({symbol: inner})
        symbols = sorted(expression.free_symbols, key=lambda symbol: symbol.name)
        fixed = {*self._text.parameters, *self._text.noises, "dt", "not_refractory"}
        slopes = {}
        for symbol in symbols if differentiated else ():
            if symbol.name not in fixed:
                slope = sympy.diff(expression, symbol)
                if slope != 0:
                    slopes[symbol.name] = sympy.lambdify(symbols, slope, "numpy")
                    self._count(_counts(slope))
                    self._count({"multiply": 1, "add": 1})
        self._count(_counts(expression))
        value = sympy.lambdify(symbols, expression, "numpy")
        return Statement(name, value, tuple(symbol.name for symbol in symbols), slopes)

    def _count(self, work: Mapping[str, int]) -> None:
        for name, count in work.items():
            self.work[name] = self.work.get(name, 0) + count


def _refractory(line: str) -> bool:
    return line.startswith("not_refractory")


def _known(expression: Any) -> Any:
    """An expression with functions of Brian2 that SymPy has no derivative of written in those that it has."""
    import sympy

    clip = sympy.Function("clip")
    return expression.replace(clip, lambda x, low, high: sympy.Piecewise((low, x < low), (high, x > high), (x, True)))


_WORK = {"ADD": "add", "SUB": "add", "MUL": "multiply", "DIV": "divide", "EXP": "exp", "LOG": "exp", "TANH": "tanh"}
_WORK |= {"SQRT": "root", "POW": "multiply", "MIN": "compare", "MAX": "compare", "HEAVISIDE": "compare"}
_WORK |= {"GT": "compare", "GE": "compare", "LT": "compare", "LE": "compare", "AND": "", "OR": "", "NOT": ""}
_WORK |= {"SIN": "cos", "COS": "cos", "NEG": "", "PIECEWISE": "compare"}


def _counts(expression: Any) -> dict[str, int]:
    """Elementary operations of an expression; functions that are not known count as an exponential."""
    import sympy

    counts: dict[str, int] = {}
    found = sympy.count_ops(expression, visual=True)
    for term in sympy.Add.make_args(found):
        number, names = term.as_coeff_Mul()
        for symbol in names.free_symbols:
            kind = _WORK.get(symbol.name, "exp")
            if kind:
                counts[kind] = counts.get(kind, 0) + int(number)
    return counts


def work_of(text: NeuronText, stepper: Stepper) -> dict[str, int]:
    """Elementary operations of one input step of one neuron, where a digital unit carries the statements out."""
    from brian2.parsing.sympytools import str_to_sympy

    said = [("first", text.arrival), ("all", stepper.group.state_updater.abstract_code), ("all", text.each)]
    said += [("all", text.reset), ("all", None if text.threshold is None else f"_cond = {text.threshold}")]
    counts: dict[str, int] = {}
    for when, code in said:
        for line in (code or "").replace(";", "\n").splitlines():
            match = re.match(r"\s*(\w+)\s*([-+*/]?)=(?!=)(.*)", line.split("#")[0])
            if match is None or _refractory(line):
                continue
            right = match[3].strip().replace("int(not_refractory)", "not_refractory")
            work = _counts(_known(str_to_sympy(right, variables=stepper.group.variables)))
            if match[2]:
                work["add"] = work.get("add", 0) + 1
            for name, count in work.items():
                counts[name] = counts.get(name, 0) + count * (1 if when == "first" else text.substeps)
    if text.threshold is not None:
        counts["compare"] = counts.get("compare", 0) + text.substeps
    return counts
