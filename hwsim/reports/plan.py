"""The report of a plan: a ranked table of rules, and sentences on what fits and why others do not."""

from __future__ import annotations

from collections.abc import Iterator

from hwsim.printing import Terminal
from hwsim.quantities import si
from hwsim.reports.fitting import put
from hwsim.reports.tables import NOTHING, Table, TableCell, TableRow
from hwsim.results.plan import Candidate, Plan


def show(plan: Plan, console: Terminal) -> None:
    """Print the table, and what it says in sentences."""
    put(table(plan), console)
    for line in sentences(plan):
        console.print(line, highlight=False)


def table(plan: Plan) -> Table:
    """A row per rule that can run, the best first."""
    rows = [TableRow(each.name, _cells(each)) for each in plan.candidates if each.state != "refused"]
    title = (
        f"{plan.name}: rules for {plan.machine}, {plan.steps} steps (energy and time of a training step of "
        f"{plan.batch} sequences; memory of a sequence, besides weights and their gradient)"
    )
    columns = "fits", "cosine", "energy", "time", "memory", "writes / device"
    return Table(title, columns, tuple(rows), corner="rule")


_SAID = {"fits": "yes", "poor": "poor gradient", "unknown": "not predicted", "too large": "too large"}


def _cells(each: Candidate) -> tuple[TableCell, ...]:
    cosine, memory = each.cosine, each.memory
    return (
        TableCell(_SAID[each.state]),
        NOTHING if cosine is None else TableCell(f"{cosine:.2f}", cosine),
        _quantity(each.energy, "J"),
        _quantity(each.time, "s"),
        NOTHING if memory is None else TableCell(si(memory, "B"), memory),
        NOTHING if each.writes is None else TableCell(f"{each.writes:.3g}", each.writes),
    )


def _quantity(value: float | None, unit: str) -> TableCell:
    return NOTHING if value is None else TableCell(si(value, unit), value)


def sentences(plan: Plan) -> Iterator[str]:
    """The choice, and the reason against each other rule."""
    within = "" if plan.memory is None else f" within {si(plan.memory, 'B')}"
    for name, (slowest, fastest) in plan.rates.items():
        yield f"{name} forgets over {_steps(fastest)} to {_steps(slowest)} steps (1/ln(1/|λ|))"
    if plan.best is None:
        yield f"No rule is expected to reach a cosine of {plan.good:g}{within}."
    else:
        yield f"First: {plan.best.name}, the least energy at an expected cosine of {plan.good:g} or more{within}."
    reasons: dict[str, list[str]] = {}
    for each in plan.candidates:
        if each.reason:
            reasons.setdefault(each.reason, []).append(each.name)
    for reason, names in reasons.items():
        yield f"{'; '.join(names)}: {reason}"
    yield (
        "Cosines are expected values of the whole gradient at the initial weights, where what a task needs from many "
        "steps back may hardly show."
    )


def _steps(rate: float) -> str:
    return f"{1 / rate:.3g}" if rate > 0 else "∞"
