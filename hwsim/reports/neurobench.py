"""NeuroBench's metrics on a terminal."""

from __future__ import annotations

from hwsim.printing import Terminal
from hwsim.reports.fitting import put
from hwsim.reports.tables import Table, TableCell, TableRow
from hwsim.results.neurobench import NeuroBench


def show(found: NeuroBench, console: Terminal) -> None:
    """Print the metrics, then what each matrix and each layer has its share in them by."""
    for table in (_metrics(found), _connections(found), _activations(found)):
        put(table, console)
    for line in lines(found):
        console.print(line, highlight=False)


def _metrics(found: NeuroBench) -> Table:
    rows = []
    for name, value in found.metrics.items():
        if isinstance(value, dict):
            rows += [_row(f"{name} {part}", f"{number:,.10g}") for part, number in value.items()]
        else:
            rows.append(_row(name, f"{value:,.10g}" + (" B" if name == "Footprint" else "")))
    return Table(f"{found.name}: NeuroBench's metrics", ("value",), tuple(rows), corner="metric")


def _connections(found: NeuroBench) -> Table:
    rows = []
    for each in found.connections:
        shares = (f"{count / found.samples:,.6g}" for count in (each.macs, each.acs, each.dense))
        rows.append(_row(each.name, each.group, f"{each.weights:,}", f"{each.zeros:,}", *shares))
    columns = ("of", "weights", "zeros", "effective MACs", "effective ACs", "dense")
    return Table("synaptic operations per sample", columns, tuple(rows), corner="matrix")


def _activations(found: NeuroBench) -> Table:
    rows = (
        _row(each.name, f"{each.values / found.samples:,.6g}", f"{each.zeros / each.values:.2%}")
        for each in found.activations
    )
    return Table("outputs of neurons", ("values per sample", "of them zero"), tuple(rows), corner="layer")


def _row(label: str, *cells: str) -> TableRow:
    return TableRow(label, tuple(map(TableCell, cells)))


def lines(found: NeuroBench) -> list[str]:
    """What the metrics hold for, in words."""
    weights = f"after {found.updates:,} updates on the ideal machine" if found.updates else "at its initial weights"
    reached = "" if found.loss is None else f"; test loss {found.loss:.4g}"
    if found.accuracy is not None:
        reached += f", accuracy {found.accuracy:.2%}"
    return [
        f"the network {weights}, at {found.samples:,} test sequences of {found.steps:,} steps, "
        f"{found.batch:,} in a call{reached}",
        f"{found.element_size} bytes for each parameter",
    ]
