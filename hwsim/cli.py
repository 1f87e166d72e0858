"""The command line."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

app = typer.Typer(
    help="Simulate physical learning machines: recurrent networks that learn on analog hardware, forward in time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Data sets that are not part of the package.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Data = Annotated[
    Path | None, typer.Option("--data", help="Folder with data sets; otherwise HWSIM_DATA, or a folder of your own.")
]


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="An experiment in YAML.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the results; it must not exist yet.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Instead of the seed in the file.")] = None,
    data: Data = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no tables.")] = False,
) -> None:
    """Run an experiment: check the gradient, train and test, on the substrate and on each reference."""
    from hwsim.config import experiment as config
    from hwsim.experiments import run as experiments
    from hwsim.experiments.run_folder import place
    from hwsim.reports import tables

    asked = config.load(file)
    folder = place(out, asked.name)
    with _reporting(quiet) as progress:
        result = experiments.run(asked, out=folder, seed=seed, data=data, progress=progress)
    if not quiet:
        console = Console()
        tables.show(result.summary, console)
        console.print(f"Results are in {result.folder}", highlight=False)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run or of a study.")],
    out: Annotated[Path | None, typer.Option("--out", help="The file; otherwise report.html in the folder.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Write one HTML file that shows and explains what a run or a study found; it needs no network."""
    from hwsim.experiments import run_folder, study_folder
    from hwsim.reports import html

    if study_folder.is_study(folder):
        page = html.of_study(study_folder.read(folder))
    else:
        page = html.of_run(run_folder.read(folder))
    _put(page, out or folder / "report.html", open_)


@app.command()
def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Folders of runs.")],
    html_: Annotated[Path | None, typer.Option("--html", help="A file to write the comparison to as well.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show that file in the browser.")] = False,
    substrates: Annotated[bool, typer.Option("--substrates", help="Leave references out.")] = False,
) -> None:
    """Set runs side by side: what differs in what was asked, and what came out; ratios are to the first."""
    from hwsim.experiments import run_folder
    from hwsim.reports import comparison, tables

    if open_ and html_ is None:
        raise typer.BadParameter("needs --html, which says where the page goes", param_hint="--open")
    found = comparison.compare([run_folder.read(folder) for folder in folders], substrates=substrates)
    console = Console()
    shown = (tables.systems(found.systems), tables.energy(found.systems), tables.memory(found.systems))
    for table in (comparison.differences(found), *shown):
        if table.lines:
            console.print(tables.printable(table))
    for line in (*comparison.remarks(found), *tables.remarks(found.systems)):
        console.print(line, markup=False)
    if html_ is not None:
        from hwsim.reports import html

        _put(html.of_comparison(found), html_, open_)


def _put(page: str, path: Path, show: bool) -> None:
    """Write a page, say where it is, and show it if that is wanted."""
    from hwsim.reports import html

    html.write(path, page)
    typer.echo(f"The report is {path}")
    if show:
        typer.launch(path.resolve().as_uri())


@app.command()
def validate(file: Annotated[Path, typer.Argument(help="An experiment, a machine or a data sheet, in YAML.")]) -> None:
    """Check a file without running anything; all that is wrong with it is listed."""
    from hwsim import documents
    from hwsim.config import experiment as config
    from hwsim.config import hardware

    document = documents.load(file)
    keys = set(document.data) if isinstance(document.data, dict) else set()
    if "conductance" in keys:
        what = f"data sheet of {hardware.device(document).name}"
    elif keys & {"kind", "like"}:
        what = f"machine {hardware.machine(document).name}"
    else:
        what = f"experiment {config.compose(document).name}"
    typer.echo(f"{file}: a valid {what}")


@app.command()
def schema() -> None:
    """Print the JSON schema of experiments, for editors that complete and check YAML."""
    from hwsim.config.experiment import Experiment

    typer.echo(json.dumps(Experiment.model_json_schema(), indent=2))


@data_app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="mnist")],
    data: Data = None,
) -> None:
    """Download a data set into the data folder."""
    from hwsim import documents
    from hwsim.errors import DataError
    from hwsim.tasks import TASKS

    fetchable = [task for task, module in TASKS.items() if hasattr(module, "fetch")]
    if name not in fetchable:
        raise DataError(documents.unknown("data set", name, fetchable))
    typer.echo(f"{name} is in {TASKS[name].fetch(data)}")


@contextmanager
def _reporting(quiet: bool) -> Iterator[Any]:
    """A progress bar for each system, on the error stream."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = TextColumn("{task.fields[system]:<24}"), TextColumn("{task.description:<14}"), BarColumn()
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=quiet) as bars:
        known: dict[str, Any] = {}

        def progress(system: str, what: str, done: int, total: int) -> None:
            if _signals:
                raise Stopped
            if system not in known:
                known[system] = bars.add_task(what, total=total, system=system)
            bars.update(known[system], description=what, completed=done, total=total)

        yield progress


class Stopped(BaseException):
    """Somebody wants it to end: Ctrl-C, or SIGTERM. Unlike `KeyboardInterrupt` nothing makes something else of it."""


_signals: list[int] = []
"""Signals to stop that have come."""


def _stop(number: int, _: object) -> None:
    _signals.append(number)
    sys.unraisablehook = lambda _: None  # callbacks of the compiler cannot pass it on; `progress` does
    raise Stopped


def main() -> None:
    """Run the command line; what the user can mend ends with exit code 2 and one message.

    Being stopped ends with 128 and the number of the signal, and leaves nothing half-written.
    """
    from hwsim.errors import HwsimError

    _signals.clear()
    before = {number: signal.signal(number, _stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        app()
    except BaseException as error:
        if _signals:  # whatever it has become on its way, such as a SystemError of a compiler that was at work
            print("interrupted; nothing was written", file=sys.stderr)
            sys.exit(128 + _signals[0])
        if isinstance(error, HwsimError):
            print(error, file=sys.stderr)
            sys.exit(2)
        if isinstance(error, MemoryError):
            print(f"this computer has too little memory: {error}", file=sys.stderr)
            sys.exit(2)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    main()
