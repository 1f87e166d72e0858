"""Spikes of a run in a table and in words."""

from __future__ import annotations

from hwsim.quantities import si
from hwsim.reports.per_step import training_step
from hwsim.reports.tables import NOTHING, Systems, Table, TableCell, TableRow
from hwsim.results.summary import Spiking


def spiking(systems: Systems) -> Table | None:
    """What an inference and a learning step take, a column for each system that spikes; None if none does."""
    found = {name: system.spiking for name, system in systems.items() if system.spiking is not None}
    if not found:
        return None
    columns = [_cells(each) for each in found.values()]
    rows = tuple(TableRow(label, tuple(cells[label] for cells in columns)) for label in columns[0])
    step = training_step({name: systems[name] for name in found})
    title = f"Spikes per inference of one sequence, mean over test sequences and chips; a learning step is a {step}"
    return Table(title, tuple(found), rows)


def remarks(systems: Systems) -> list[str]:
    """What counts as a spike, in a sentence."""
    first = next((system.spiking for system in systems.values() if system.spiking is not None), None)
    if first is None:
        return []
    told = []
    on = first.on_event_cores
    if on is not None:
        told.append(
            f"On {on.machine}, each input value that is not zero is an event, and the energy is that of counted events "
            "and of what is drawn all the time."
        )
    if first.input_operations is None:
        return told
    values = f"the {first.input_values:,.0f} input values that are not zero"
    operations = "synaptic operations" if first.input_spikes else "multiply-accumulates, as inputs are no spikes"
    return [
        *told,
        "Synaptic operations are those of the neurons' spikes. Besides them, "
        f"{values} take {first.input_operations:,.0f} {operations}.",
    ]


def _cells(found: Spiking) -> dict[str, TableCell]:
    def count(value: float) -> TableCell:
        return TableCell(f"{value:,.0f}" if value >= 100 else f"{value:.3g}", value)

    def quantity(value: float | None, unit: str) -> TableCell:
        return NOTHING if value is None else TableCell(si(value, unit), value)

    on = found.on_event_cores
    cells = {
        "spikes": count(found.spikes),
        "per neuron and step": TableCell(f"{found.rate:.3g}", found.rate),
        "synaptic operations": count(found.synaptic_operations),
        "membrane updates": count(found.membrane_updates),
        "energy": quantity(found.energy_j, "J"),
        "latency": quantity(found.latency_s, "s"),
        "energy of a learning step": quantity(found.learning_step_j, "J"),
        "time of a learning step": quantity(found.learning_step_s, "s"),
    }
    if on is not None:
        where = f"on {on.machine}"
        cells |= {
            f"energy {where}": quantity(on.energy_j, "J"),
            f"latency {where}": quantity(on.latency_s, "s"),
            f"cores {where}": TableCell(str(on.cores), on.cores),
        }
    return cells
