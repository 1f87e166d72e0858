"""NeuroBench's metrics on a terminal."""

from __future__ import annotations

from rich.table import Table

from hwsim.printing import Terminal
from hwsim.results.neurobench import NeuroBench


def show(found: NeuroBench, console: Terminal) -> None:
    """Print the metrics, then what each matrix and each layer has its share in them by."""
    console.print(_metrics(found))
    console.print(_connections(found))
    console.print(_activations(found))
    for line in lines(found):
        console.print(line, highlight=False)


def _metrics(found: NeuroBench) -> Table:
    metrics = Table(title=f"{found.name}: NeuroBench's metrics", title_justify="left")
    metrics.add_column("metric")
    metrics.add_column("value", justify="right")
    for name, value in found.metrics.items():
        if isinstance(value, dict):
            for part, number in value.items():
                metrics.add_row(f"{name} {part}", f"{number:,.10g}")
        else:
            metrics.add_row(name, f"{value:,.10g}" + (" B" if name == "Footprint" else ""))
    return metrics


def _connections(found: NeuroBench) -> Table:
    table = Table(title="synaptic operations per sample", title_justify="left")
    for column in ("matrix", "of", "weights", "zeros", "effective MACs", "effective ACs", "dense"):
        table.add_column(column, justify="left" if column in ("matrix", "of") else "right")
    for each in found.connections:
        shares = (f"{count / found.samples:,.6g}" for count in (each.macs, each.acs, each.dense))
        table.add_row(each.name, each.group, f"{each.weights:,}", f"{each.zeros:,}", *shares)
    return table


def _activations(found: NeuroBench) -> Table:
    table = Table(title="outputs of neurons", title_justify="left")
    for column in ("layer", "values per sample", "of them zero"):
        table.add_column(column, justify="left" if column == "layer" else "right")
    for each in found.activations:
        table.add_row(each.name, f"{each.values / found.samples:,.6g}", f"{each.zeros / each.values:.2%}")
    return table


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
