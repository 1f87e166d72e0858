"""What spikes cost on an event-driven machine, on a terminal."""

from __future__ import annotations

from rich.table import Table

from hwsim.accounts import spikes
from hwsim.accounts.energy import grouped
from hwsim.printing import Terminal
from hwsim.quantities import si
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
    events = Table(title=f"{name} on {cost.machine.name}: {cost.steps:,} steps", title_justify="left")
    for column in ("event", "count", "energy", "share"):
        events.add_column(column, justify="left" if column == "event" else "right")
    spent, by_event = cost.spent, grouped(cost.ledger, "operation")
    for event in sorted(cost.counts, key=lambda each: _ORDER.index(each) if each in _ORDER else len(_ORDER)):
        of = by_event.get(event)
        energy = "" if of is None else "unknown" if of.energy is None else si(of.energy, "J")
        share = f"{of.energy / spent.known:.1%}" if of is not None and of.energy and spent.known else ""
        if event != spikes.RECEIVED:
            events.add_row(event, f"{cost.counts[event]:,.0f}", energy, share)
    for component, of in grouped(cost.ledger, "component").items():
        if component in ("static power", "clock"):
            share = f"{of.known / spent.known:.1%}" if spent.known else ""
            events.add_row(component, "", si(of.known, "J"), share)
    console.print(events)
    for line in lines(cost):
        console.print(line)


def lines(cost: EventCost) -> list[str]:
    """Totals in words."""
    spent = cost.spent
    per = "" if cost.sequences == 1 else f", {si(spent.known / cost.sequences, 'J')} per sequence"
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
