"""What spikes cost on an event-driven machine, on a terminal."""

from __future__ import annotations

from hwsim.accounts import spikes
from hwsim.accounts.energy import Spent, grouped
from hwsim.printing import Terminal
from hwsim.quantities import si
from hwsim.reports.fitting import put
from hwsim.reports.tables import NOTHING, Table, TableCell, TableRow
from hwsim.results.event_cost import EventCost

_ORDER = (
    spikes.INPUT,
    spikes.SPIKE,
    spikes.UPDATE,
    spikes.IDLE,
    spikes.PACKET,
    spikes.WITHIN,
    spikes.HOP_X,
    spikes.HOP_Y,
)


def show(name: str, cost: EventCost, console: Terminal) -> None:
    """Print counts, energy by event, and times."""
    put(table(name, cost), console)
    for line in lines(cost):
        console.print(line)


def table(name: str, cost: EventCost) -> Table:
    """A row for each kind of event, and for what is drawn all the time: counts and energies of all steps together."""
    rows = []
    spent, by_event = cost.spent, grouped(cost.ledger, "operation")
    for event in sorted(cost.counts, key=lambda each: _ORDER.index(each) if each in _ORDER else len(_ORDER)):
        if event != spikes.RECEIVED:
            rows.append(TableRow(event, (_count(cost.counts[event]), *_energy(by_event.get(event), spent.known))))
    for component, of in grouped(cost.ledger, "component").items():
        if component in ("static power", "clock"):
            rows.append(TableRow(component, (NOTHING, *_energy(of, spent.known))))
    sequences = f" in each of {cost.sequences:,} sequences" if cost.sequences > 1 else ""
    title = f"{name} on {cost.machine.name}: {cost.steps:,} steps{sequences}, counts and energies of all together"
    return Table(title, ("count", "energy", "share"), tuple(rows), corner="event")


def _count(count: float) -> TableCell:
    return TableCell(f"{count:,.0f}", count)


def _energy(of: Spent | None, whole: float) -> tuple[TableCell, TableCell]:
    """The energy of one kind of event, and its share of all that is known."""
    if of is None:
        return NOTHING, NOTHING
    if of.energy is None:
        return TableCell("unknown"), NOTHING
    share = TableCell(f"{of.energy / whole:.1%}", of.energy / whole) if of.energy and whole else NOTHING
    return TableCell(si(of.energy, "J"), of.energy), share


def lines(cost: EventCost) -> list[str]:
    """Totals in words."""
    spent = cost.spent
    of = f"{cost.steps:,} steps" if cost.steps != 1 else "one step"
    per = f" for {of}"
    if cost.sequences > 1:
        per = f" for {cost.sequences:,} sequences of {of}, {si(spent.known / cost.sequences, 'J')} per sequence"
    found = [f"energy: {si(spent.known, 'J')}{per}"]
    if spent.assumed:
        found[0] += f", of which {si(spent.assumed, 'J')} rest on assumed constants"
    if spent.unknown:
        found[0] = (
            f"energy: unknown; {', '.join(sorted(spent.unknown))} has no energy. The rest: {si(spent.known, 'J')}"
        )
    fired = sum(cost.by_core.values())
    if fired:
        most = max(cost.by_core, key=lambda core: cost.by_core[core])
        found.append(
            f"cores: {len(cost.by_core):,} of {cost.machine.cores:,} have neurons; core {most} fires most, "
            f"{cost.by_core[most] / fired:.1%} of the spikes"
        )
    if cost.latency:
        found.append(
            f"latency: {si(cost.latency, 's')}, {si(cost.latency / cost.steps, 's')} per step on average, "
            f"{si(float(cost.step_times.max()), 's')} the longest; "
            f"{si(max(cost.waiting, 0.0), 's')} of it for hops and links that are busy"
        )
        found.append(f"power: {si(spent.known / (cost.latency * cost.sequences), 'W')}")
    if cost.machine.pace.interval is not None:
        found.append(f"steps that took longer than the interval: {cost.late} of {cost.step_times.size}")
    return found
