"""The command line."""

from __future__ import annotations

import json
import math
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from errno import EPIPE
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hwsim import __version__
from hwsim.loading import loading
from hwsim.printing import Terminal, failure, prepare, say

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


def _version(asked: bool) -> None:
    if asked:
        say(f"hwsim {__version__}")
        raise typer.Exit


@app.callback()
def _all(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version, and stop.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    pass


Settings = Annotated[
    list[str] | None, typer.Option("--set", help="KEY=VALUE for a dotted key of the file; may be given several times.")
]

ToAccuracy = Annotated[
    str | None,
    typer.Option(
        "--to-accuracy",
        help="Compare what systems took to reach this accuracy, such as 92%; by default one point below the lowest of "
        "their best medians.",
    ),
]
ToLoss = Annotated[
    str | None,
    typer.Option(
        "--to-loss",
        help="The same for a test loss, such as 0.1; without classes by default 1 % above the highest of their best "
        "medians.",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option("--budget", help="Also show the accuracy, or loss, that each has reached for this energy, as 1 mJ."),
]


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="An experiment in YAML, or the name of a shipped one.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the results; it must not exist yet.")] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, max=2**53, help="Seed to use instead of the one in the file.")
    ] = None,
    settings: Settings = None,
    to_accuracy: ToAccuracy = None,
    to_loss: ToLoss = None,
    budget: Budget = None,
    data: Data = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no tables.")] = False,
) -> None:
    """Run an experiment: check the gradient, train and test, on the substrate and on each reference."""
    with loading():
        from hwsim.config import plausible
        from hwsim.config import settings as config
        from hwsim.experiments import run as experiments
        from hwsim.reports import answers, terminal
        from hwsim.results.run_folder import places

    asked = _question(to_accuracy, to_loss, budget)
    experiment = config.load_with_settings(file, settings or [])
    with _reporting(quiet) as progress:
        result = experiments.run(experiment, out=places(out, experiment.name), seed=seed, data=data, progress=progress)
    _when_stopped[:] = [lambda: f"stopped; the results are in {result.folder}"]
    if not quiet:
        console = Terminal()
        terminal.show(result.summary, console, result.metrics, asked, answers.answers(result, asked))
        _warn(plausible.doubts(experiment), console)
        say(f"Results are in {result.folder}")


@app.command()
def study(
    file: Annotated[Path, typer.Argument(help="A study in YAML, or the name of a shipped one.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the results; studies/NAME by default. A study in it goes on."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes on this computer; by default one per core.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="Address of a Dask scheduler whose workers carry out the trials.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Accept more than 100,000 trials, or the folder of a study that differs.")
    ] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Run failed trials again.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print what would run, and stop.")
    ] = False,
    to_accuracy: ToAccuracy = None,
    to_loss: ToLoss = None,
    budget: Budget = None,
    data: Data = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no tables.")] = False,
) -> None:
    """Run a grid of experiments, or go on with one that was stopped; then write its table and draw its figures."""
    with loading():
        from hwsim.config import grid
        from hwsim.experiments.study import study as experiments
        from hwsim.reports import study as report
        from hwsim.results import study_folder

    asked = _question(to_accuracy, to_loss, budget)
    plan = grid.load_study(file)
    folder = study_folder.place(out, plan.study.name)
    console = Terminal()
    if dry_run:
        plan.check()
        experiments.check_tables(plan)
        console.print(report.outline(plan), highlight=False)
        _warn(plan.doubts(), console)
        if plan.trials > experiments.MANY:
            console.print("so many trials need --yes", highlight=False)
        if folder.exists():
            say(f"{folder} exists already; the study goes on where it stopped")
        return
    if scheduler and not quiet:
        Terminal(stderr=True).print(f"connecting to the Dask scheduler at {scheduler}", highlight=False)
    with _trials(quiet, folder) as progress:
        ended = experiments.run(
            plan,
            folder,
            workers=workers,
            scheduler=scheduler,
            data=data,
            yes=yes,
            retry=retry,
            progress=progress,
        )
    figures = report.draw(plan, folder)
    if not quiet:
        report.show(folder, ended, figures, console, asked)
        _warn(plan.doubts(), console)
    if ended.failed == ended.total:
        raise typer.Exit(1)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, a study, limits, or a verdict.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The file; otherwise report.html, or one named after what is asked, in the folder."),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    to_accuracy: ToAccuracy = None,
    to_loss: ToLoss = None,
    budget: Budget = None,
) -> None:
    """Write one HTML file that shows and explains the results of a run, a study so far, limits, or a verdict.

    It needs no network. What --to-accuracy, --to-loss or --budget asks is answered on the terminal as well, and has a
    page of its own.
    """
    from hwsim.reports import asked as questions
    from hwsim.reports import html, trials
    from hwsim.reports.reached import Question
    from hwsim.results import reading
    from hwsim.results import verdict as verdicts
    from hwsim.results.limits_folder import LimitsFolder
    from hwsim.results.run_folder import RunFolder
    from hwsim.results.verdict import VerdictFolder

    asked = _question(to_accuracy, to_loss, budget)
    results = reading.read(folder)
    with reading.understood(folder):
        if isinstance(results, RunFolder):
            page = html.of_run(results, asked)
            if asked != Question():
                questions.of_run(results, asked, Terminal())
        elif isinstance(results, LimitsFolder | VerdictFolder):
            if asked != Question():
                what = "limits have no" if isinstance(results, LimitsFolder) else "a verdict has several kinds of"
                raise typer.BadParameter(f"{what} learning curves to ask; give a run or a study", param_hint="RUN")
            page = html.of_limits(results) if isinstance(results, LimitsFolder) else html.of_verdict(results)
        else:
            page = html.of_study(results, asked)
            if results.progress is not None:
                say(trials.how_far(results.progress))
            if asked != Question():
                questions.of_study(results, asked, Terminal())
    own = folder / verdicts.PAGE if isinstance(results, VerdictFolder) else questions.page(folder, asked)
    _put(page, out or own, open_)


@app.command()
def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Folders of runs.")],
    html_: Annotated[Path | None, typer.Option("--html", help="A file to write the comparison to as well.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show that file in the browser.")] = False,
    substrates: Annotated[bool, typer.Option("--substrates", help="Leave references out.")] = False,
    to_accuracy: ToAccuracy = None,
    to_loss: ToLoss = None,
    budget: Budget = None,
) -> None:
    """Compare runs side by side: their configurations and their results; ratios are to the first run."""
    from hwsim.reports import comparison, reached, tables
    from hwsim.reports.fitting import put
    from hwsim.results import reading, run_folder

    asked = _question(to_accuracy, to_loss, budget)
    if open_ and html_ is None:
        raise typer.BadParameter("needs --html, which says where the page goes", param_hint="--open")
    with reading.understood(*folders):
        compared = comparison.compare([run_folder.read(folder) for folder in folders], substrates=substrates)
        console = Terminal()
        shown = (tables.systems(compared.systems), tables.energy(compared.systems), tables.memory(compared.systems))
        metrics = comparison.metrics(compared)
        reach = reached.tables(metrics, compared.systems, asked, compared.constant)
        for table in (comparison.differences(compared), *reach, *shown):
            if table.rows:
                put(table, console)
        notes = reached.remarks(metrics, compared.systems, asked, compared.constant)
        for line in (*comparison.remarks(compared), *notes, *tables.remarks(compared.systems)):
            console.print(line)
        _warn(comparison.doubts(compared), console)
        if html_ is not None:
            from hwsim.reports import html

            _put(html.of_comparison(compared, asked), html_, open_)


def _put(page: str, path: Path, show: bool) -> None:
    """Write a page, print its path, and show it on request."""
    from hwsim.reports import html

    html.write(path, page)
    say(f"The report is {path}")
    if show:
        typer.launch(path.resolve().as_uri())


Expected = Annotated[
    list[str] | None,
    typer.Option(
        "--expect",
        help="KEY=NUMBER for a statistic of values that energy depends on: input, input_size, signal, conductance, "
        "written, outer, outer_readout, fast, spikes.",
    ),
]


@app.command()
def estimate(
    file: Annotated[Path, typer.Argument(help="An experiment in YAML, or the name of a shipped one.")],
    settings: Settings = None,
    expect: Expected = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Estimate what an experiment costs in energy, memory and time; nothing is simulated."""
    from hwsim.config import plausible
    from hwsim.config import settings as config
    from hwsim.experiments import estimate as experiments
    from hwsim.reports import terminal

    estimated = experiments.estimate(config.load_with_settings(file, settings or []), config.expectations(expect or []))
    if as_json:
        print(estimated.summary.text(), end="")
    else:
        terminal.show(estimated.summary, Terminal())
    _warn(plausible.doubts(estimated.experiment), Terminal(stderr=as_json))


@app.command()
def plan(
    file: Annotated[Path, typer.Argument(help="An experiment in YAML, or the name of a shipped one.")],
    memory: Annotated[
        str | None,
        typer.Option("--memory", help="What a sequence may take besides weights and their gradient, as '20 kB'."),
    ] = None,
    good: Annotated[
        float, typer.Option("--cosine", help="Smallest cosine with the exact gradient that is good enough.")
    ] = 0.9,
    settings: Settings = None,
    expect: Expected = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
    data: Data = None,
) -> None:
    """Rank the rules that can carry an experiment, by energy within a memory; nothing is simulated on the machine."""
    with loading():
        from hwsim.config import plausible
        from hwsim.config import settings as config
        from hwsim.experiments import plan as experiments
        from hwsim.reports import plan as report

    experiment = config.load_with_settings(file, settings or [])
    expected = config.expectations(expect or [])
    with _counting("rules", as_json) as progress:
        found = experiments.plan(experiment, memory=memory, good=good, expected=expected, data=data, progress=progress)
    if as_json:
        print(found.text(), end="")
    else:
        report.show(found, Terminal())
    _warn(plausible.doubts(experiment), Terminal(stderr=as_json))


@app.command()
def breakeven(
    file: Annotated[Path, typer.Argument(help="An experiment with digital references, in YAML, or a shipped one.")],
    over: Annotated[str, typer.Option("--over", help="steps, width, batch or node.")] = "steps",
    lowest: Annotated[float | None, typer.Option("--from", help="The first value.")] = None,
    highest: Annotated[float | None, typer.Option("--to", help="The last value.")] = None,
    points: Annotated[int, typer.Option("--points", min=2, max=200, help="Number of values, on a log scale.")] = 13,
    settings: Settings = None,
    expect: Expected = None,
    robust: Annotated[
        bool, typer.Option(help="Search again with each constant halved and doubled: which ones move the result?")
    ] = True,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for a figure and tables; it must not exist yet.")
    ] = None,
) -> None:
    """Estimate where the substrate breaks even with the best digital reference in energy, memory and time."""
    from hwsim.config import plausible
    from hwsim.config import settings as config
    from hwsim.experiments import breakeven as experiments
    from hwsim.experiments.robustness import fragile
    from hwsim.reports import breakeven as report
    from hwsim.results.breakeven import QUANTITIES
    from hwsim.results.whole import written_whole

    experiment = config.load_with_settings(file, settings or [])
    expected = config.expectations(expect or [])
    with written_whole([out]) if out is not None else nullcontext() as unfinished:
        result = experiments.breakeven(experiment, over, lowest, highest, points, expected, str(file))
        moved = None
        if robust:
            with _counting("constants halved and doubled") as progress:
                moved = fragile(result.curves, QUANTITIES, result.exact, progress)
        if unfinished is not None:
            report.write(result, unfinished.path, moved)
    report.show(result, Terminal(), moved)
    _warn(plausible.doubts(experiment), Terminal())
    if unfinished is not None:
        say(f"The figure and the tables are in {unfinished.folder}")


@app.command()
def limits(
    file: Annotated[Path, typer.Argument(help="An experiment in YAML, or the name of a shipped one.")],
    measure: Annotated[
        Literal["cosine", "change"],
        typer.Option(
            "--measure",
            help="cosine: of the gradient with the exact one; change: of what pulses change in place with the exact "
            "change. Either way the loss after the training as well.",
        ),
    ] = "cosine",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Number of seeds, from that of the file on.")] = 3,
    chips: Annotated[
        int | None, typer.Option("--chips", min=1, help="Chips of each seed; by default those of the file, at least 4.")
    ] = None,
    updates: Annotated[
        int, typer.Option("--updates", min=1, help="Length of the training that the loss is measured after.")
    ] = 60,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the results; it must not exist yet.")] = None,
    settings: Settings = None,
    data: Data = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no tables.")] = False,
) -> None:
    """Find what limits the machine: switch each of its imperfections off, and double it, alone."""
    from hwsim.config import plausible
    from hwsim.config import settings as config
    from hwsim.experiments import limits as experiments
    from hwsim.reports import limits as report
    from hwsim.results.run_folder import places
    from hwsim.results.whole import written_whole

    experiment = config.load_with_settings(file, settings or [])
    folders = places(out, f"{experiment.name}_limits")
    with written_whole(folders) as unfinished, _counting("one imperfection at a time", quiet) as progress:
        found = experiments.limits(
            experiment,
            measure=measure,
            seeds=seeds,
            chips=chips,
            updates=updates,
            data=data,
            progress=progress,
        )
        report.write(found, experiment, unfinished.path)
    if not quiet:
        console = Terminal()
        report.show(found, console)
        _warn(plausible.doubts(experiment), console)
        say(f"Results are in {unfinished.folder}")


@app.command()
def verdict(
    device: Annotated[
        Path, typer.Argument(metavar="DEVICE", help="A data sheet in YAML, or the name of a shipped one.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the results; verdicts/NAME by default. A verdict in it goes on."),
    ] = None,
    size: Annotated[
        Literal["small", "large"],
        typer.Option("--size", help="small: one task and one forward rule, in minutes; large: several, in hours."),
    ] = "small",
    age: Annotated[str, typer.Option("--age", help="Age of the devices at which drift is asked about.")] = "1 day",
    allowed: Annotated[
        float,
        typer.Option(
            "--allowed", help="What a property that is good enough may lose, of a cosine or an accuracy of 1."
        ),
    ] = 0.02,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes of a large verdict; by default one per core.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no tables.")] = False,
) -> None:
    """Say whether a device is good enough to learn with, what limits it, and what each property would have to be."""
    with loading():
        from hwsim import quantities
        from hwsim.experiments import verdict as experiments
        from hwsim.reports import html
        from hwsim.reports import limits as limits_report
        from hwsim.reports import verdict as report
        from hwsim.results import verdict as folders

    try:
        seconds = quantities.parse(age, "second", "1 day")
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--age") from None
    if not 0 < seconds < math.inf:
        raise typer.BadParameter(f"{age} is no age of a device; such as 1 day", param_hint="--age")
    plan = experiments.plan(device, size, seconds, allowed)
    folder = folders.place(out, plan.sheet.name, plan.size.name)
    if not quiet:
        Terminal(stderr=True).print(plan.outline, highlight=False)
    _when_stopped[:] = [lambda: f"stopped; whole parts are kept in {folder}; run the same command again to go on"]
    with _reporting(quiet) as progress:
        found = experiments.carry_out(
            plan, folder, write_limits=limits_report.write, workers=workers, progress=progress
        )
    page = html.of_verdict(found)
    if not quiet:
        report.show(found, Terminal())
    _put(page, folder / folders.PAGE, open_)


@app.command()
def fit(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Measurements of one device, tables in CSV.")],
    out: Annotated[Path | None, typer.Option("--out", help="The data sheet to write; it must not exist yet.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the device; by default the name of the file to write.")
    ] = None,
    source: Annotated[
        str, typer.Option("--source", help="What was measured, where and when; the sheet says so.")
    ] = "our measurement",
    columns: Annotated[
        list[str] | None,
        typer.Option("--columns", help="Columns that are not recognised, as target=Soll,read='Ist (uS)'."),
    ] = None,
    kind: Annotated[
        Literal["reads", "pulses", "drift"] | None,
        typer.Option("--kind", help="reads, pulses or drift; by default the columns tell."),
    ] = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Draw data and fits, into this SVG or PNG file.")
    ] = None,
) -> None:
    """Fit the data sheet of a device to measurements: program and verify, response to pulses, drift."""
    with loading():
        from hwsim.config import measured
        from hwsim.reports import fit as report
        from hwsim.reports import fit_figure

    if out is not None:
        measured.refuse_existing(out)
    if figure is not None:
        fit_figure.refuse_ending(figure)
    fits = [measured.fit(file, measured.columns(columns or []), kind) for file in files]
    console = Terminal()
    for each in fits:
        report.show(each, console)
    if figure is not None:
        fit_figure.write(fits, figure)
    if out is None and not measured.tells_enough(fits):
        _warn([text for each in fits for text in each.remarks], console)
        return
    made = measured.sheet_of(fits, name or (out.stem if out else "my_device"), source)
    _warn(list(made.doubts), console)
    if out is None:
        print(measured.text(made), end="")
    else:
        measured.write(made, out)
        say(f"{out} is written; check it with `hwsim validate {out}`")


@app.command()
def events(
    machine: Annotated[str, typer.Argument(help="An event-driven machine in YAML, or the name of a shipped one.")],
    network: Annotated[
        Path | None,
        typer.Argument(metavar="NETWORK", help="Required: a network in YAML: groups of neurons, cores, synapses."),
    ] = None,
    spikes: Annotated[
        Path | None,
        typer.Argument(metavar="SPIKES", help="Required: a CSV file with a row for each spike: step, group, neuron."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Number of steps; by default up to the last spike.")
    ] = None,
    links: Annotated[
        bool,
        typer.Option("--links/--no-links", help="Whether packets take hops and share links, or cores alone take time."),
    ] = True,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Draw the spikes of each core, into this SVG file.")
    ] = None,
) -> None:
    """Count and price what spikes set off on an event-driven machine, and find how long each step takes."""
    from hwsim import documents
    from hwsim.config import event_network, hardware, spike_file
    from hwsim.documents import Document
    from hwsim.experiments import event_cost
    from hwsim.reports import events as report

    spike_file.refuse_run(*(each for each in (machine, network, spikes) if each is not None))
    if network is None or spikes is None:
        lacks = "NETWORK" if network is None else "SPIKES"
        raise typer.BadParameter(
            "is missing; `hwsim new --kind network` writes a network, and SPIKES is a CSV file with the columns step, "
            "group and neuron",
            param_hint=lacks,
        )
    model = hardware.event_driven(Document("MACHINE", machine))
    net, placement = event_network.placed(documents.read(network), model)
    found = event_cost.cost(model, placement, spike_file.blocks(spikes, net, steps), links=links)
    report.show(net.name, found, Terminal())
    if figure is not None:
        from hwsim.reports import spikes_by_core

        spikes_by_core.write(net.name, found, figure)
        say(f"The spikes of each core are in {figure}")


@app.command()
def neurobench(
    file: Annotated[Path, typer.Argument(help="An experiment in YAML, or the name of a shipped one.")],
    untrained: Annotated[bool, typer.Option("--untrained", help="Weights keep their initial values.")] = False,
    batch: Annotated[
        int, typer.Option("--batch", min=1, help="Test sequences in one call, whose values decide on MACs or ACs.")
    ] = 256,
    element_size: Annotated[
        int, typer.Option("--element-size", min=1, help="Bytes of one parameter, for the footprint.")
    ] = 4,
    settings: Settings = None,
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print metrics and counts as JSON.")] = False,
) -> None:
    """Train the network on the ideal machine, and print NeuroBench's metrics of it at the test inputs."""
    from hwsim.config import settings as config
    from hwsim.experiments.neurobench import neurobench as counted
    from hwsim.reports import neurobench as report

    experiment = config.load_with_settings(file, settings or [])
    with _reporting(quiet=as_json) as progress:
        found = counted(
            experiment, trained=not untrained, batch=batch, element_size=element_size, data=data, progress=progress
        )
    if as_json:
        print(found.text(), end="")
    else:
        report.show(found, Terminal())


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(help="A file in YAML of any kind, or the name of a shipped one.")],
) -> None:
    """Check a file without running anything; list all errors and implausible values."""
    from hwsim import documents
    from hwsim.config import files, sizes
    from hwsim.errors import ConfigError

    file = files.path_of(file, *files.CALLED)
    document = documents.read(file)
    sized = sizes.implausible(document)
    try:
        what, doubts = _valid(file, document)
    except ConfigError as error:
        raise ConfigError("\n".join([str(error), *sized])) from None
    for line in (f"{file}: a valid {what}", *sized, *doubts):
        say(line)


def _valid(file: Path, document: Any) -> tuple[str, list[str]]:
    """What a document is, and the warnings about its implausible values.

    Raises:
        ConfigError: it is not valid.
    """
    from hwsim import documents
    from hwsim.config import experiment as config
    from hwsim.config import files, grid, hardware, plausible

    again = documents.read(file)
    match files.kind_of(document):
        case "device":
            sheet = hardware.device(document)
            what, doubts = f"data sheet of {sheet.name}", plausible.located(hardware.inherited(again, "devices"), sheet)
        case "periphery":
            around = hardware.periphery(document)
            doubts = plausible.located(hardware.inherited(again, "configs/periphery"), around)
            what = f"periphery {around.name}"
        case "neuron":
            what, doubts = f"neuron {hardware.neuron(document).name}", []
        case "machine":
            model = hardware.machine(document)
            what, doubts = f"machine {model.name}", plausible.located(hardware.inherited(again), model)
        case "event-driven machine":
            what, doubts = f"event-driven machine {hardware.event_driven(document).name}", []
        case "network on cores":
            from hwsim.config import event_network  # it loads SciPy, which other files do without

            what, doubts = f"network on cores {event_network.network(document).name}", []
        case "set of references":
            references = config.references(document)
            what, doubts = f"set of {_many(len(references), 'reference')}", []
        case "study":
            plan = grid.compose(document)
            plan.check()
            what = f"study {plan.study.name} of {_many(plan.trials, 'trial')}"
            doubts = [f"{file}: warning: {text}" for text in plan.doubts()]
        case _:
            experiment = config.compose(document)
            what, doubts = f"experiment {experiment.name}", plausible.located(again, experiment)
    return what, doubts


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    out: Annotated[Path, typer.Option("--out", help="The file, which ends in .npz, .safetensors or .nir.")],
    system: Annotated[
        str | None, typer.Option("--system", help="Whose weights; by default those of the substrate.")
    ] = None,
    chip: Annotated[int, typer.Option("--chip", min=0, help="Of that system, counted from 0.")] = 0,
) -> None:
    """Write the final weights of a run for other tools; `weights: {from: FILE}` of an experiment reads them again."""
    from hwsim.config import experiment as config
    from hwsim.exchange import weights
    from hwsim.results import reading, run_folder

    with reading.understood(folder):
        run = run_folder.read(folder)
        found = run.weights(system, chip)
        weights.write(out, found, config.restored(run.config).network)
    say(f"{out} has {_many(len(found), 'parameter')} of {system or next(iter(run.systems))}, chip {chip}")


@app.command()
def schema() -> None:
    """Print the JSON schema of experiments, for editors that complete and check YAML."""
    from hwsim.config.experiment import Experiment

    print(json.dumps(Experiment.model_json_schema(), indent=2))


@app.command()
def new(
    name: Annotated[str | None, typer.Argument(help="Its name; by default `my_KIND`.")] = None,
    kind: Annotated[
        str,
        typer.Option("--kind", help="experiment, study, device, periphery, machine, neuron, event_driven, network."),
    ] = "experiment",
    out: Annotated[Path | None, typer.Option("--out", help="The file to write; by default NAME.yaml.")] = None,
) -> None:
    """Write a file to start from: valid, quick to run, and with a comment on each key."""
    from hwsim.guide import starting

    file, start = starting.write(kind, name or f"my_{kind}", out)
    say(f"{file}: {_a(kind)} to start from, with a comment on each key. Next:")
    for line in start.following:
        say(f"  {line.format(file=file)}")


@app.command()
def devices(
    name: Annotated[
        str | None, typer.Argument(help="The name of one of them, or the file of a device, periphery or machine.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Draw the data sheet NAME, into this SVG file.")
    ] = None,
) -> None:
    """List the available parts, machines, references, experiments, studies, rules, cells and tasks; or show one."""
    from hwsim.guide.choices import choices, named
    from hwsim.reports import shelf

    console = Terminal()
    if name is None:
        shelf.show(choices(), console)
    else:
        for choice in named(name):
            shelf.detail(choice, console)
    if figure is not None:
        from hwsim.reports import sheet_figure

        sheet_figure.write(name, figure)
        say(f"The data sheet of {name} is drawn in {figure}")


@app.command()
def docs(
    key: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]",
            help="A dotted key, such as machine.parts.ranges, or the end of one, such as ranges; a kind of file, such "
            "as study; a section or a law, such as read_noise or flicker; the name of a rule, cell, task, machine or "
            "device; or a column of a table of results. Without it, all that can be asked.",
        ),
    ] = None,
) -> None:
    """Print what a name stands for: a key, a kind of file, a law with its mathematics, a rule, a machine, a column."""
    from hwsim.guide.choices import choices
    from hwsim.guide.names import meanings
    from hwsim.reports import shelf

    if key is None:
        shelf.overview(choices(), Terminal())
    else:
        shelf.meanings(meanings(" ".join(key)), Terminal())


@data_app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="characters, japanese_vowels, mnist or spoken_digits")],
    data: Data = None,
) -> None:
    """Download a data set into the data folder."""
    from hwsim import documents
    from hwsim.errors import DataError
    from hwsim.tasks import TASKS

    fetchable = [task for task, module in TASKS.items() if hasattr(module, "fetch")]
    if name not in fetchable:
        raise DataError(documents.unknown("data set", name, fetchable))
    say(f"{name} is in {TASKS[name].fetch(data)}")


def _question(to_accuracy: str | None, to_loss: str | None, budget: str | None) -> Any:
    """What is asked of learning curves."""
    from hwsim import quantities
    from hwsim.reports.reached import Question

    if to_accuracy is not None and to_loss is not None:
        raise typer.BadParameter("one target at a time: --to-accuracy or --to-loss", param_hint="--to-loss")
    joules = None
    if budget is not None:
        try:
            joules = quantities.parse(budget, "joule", "1 mJ")
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--budget") from None
        if not 0 < joules < math.inf:
            raise typer.BadParameter(f"{budget} is no energy to spend; such as 1 mJ", param_hint="--budget")
    accuracy = None if to_accuracy is None else _share(to_accuracy)
    return Question(accuracy, joules, None if to_loss is None else _loss(to_loss))


def _loss(text: str) -> float:
    """A loss: a number above 0."""
    try:
        loss = float(text)
    except ValueError:
        loss = math.nan
    if not 0 < loss < math.inf:
        raise typer.BadParameter(f"{text!r} is no loss to reach; such as 0.1", param_hint="--to-loss")
    return loss


def _share(text: str) -> float:
    """An accuracy from 0 to 1, written as 92% or 0.92."""
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise typer.BadParameter(f"{text!r} is no accuracy; such as 92% or 0.92", param_hint="--to-accuracy")
    return share


def _warn(doubts: list[Any], console: Terminal) -> None:
    """Print warnings about implausible values."""
    for doubt in doubts:
        console.print(f"warning: {getattr(doubt, 'text', doubt)}", highlight=False)


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _progressing() -> Terminal:
    """The error stream, with progress bars that are never green: what is over may have diverged, or failed."""
    from rich.theme import Theme

    return Terminal(
        stderr=True, theme=Theme({"bar.complete": "blue", "bar.finished": "blue", "progress.download": "blue"})
    )


@contextmanager
def _reporting(quiet: bool) -> Iterator[Any]:
    """A progress bar for each system, on the error stream."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = TextColumn("{task.fields[system]:<24}", markup=False), TextColumn("{task.description:<14}"), BarColumn()
    console = _progressing()
    bars = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=quiet)
    with ExitStack() as shown:  # nothing is, if the run is refused
        known: dict[str, Any] = {}

        def progress(system: str, what: str, done: int, total: int) -> None:
            if _signals:
                raise Stopped
            if not known:
                shown.enter_context(bars)
            if system not in known:
                known[system] = bars.add_task(what, total=total, system=system)
            bars.update(known[system], description=what, completed=done, total=total)

        yield progress


@contextmanager
def _counting(what: str, quiet: bool = False) -> Iterator[Any]:
    """A progress bar that counts, on the error stream."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn(what), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=_progressing(), transient=True, disable=quiet) as bar:
        task = bar.add_task(what, total=None)

        def progress(done: int, total: int) -> None:
            if _signals:
                raise Stopped
            bar.update(task, completed=done, total=total)

        yield progress


@contextmanager
def _trials(quiet: bool, folder: Path) -> Iterator[Any]:
    """A progress bar for the trials of a study; it prepares the message for a study that is stopped."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = TextColumn("trials"), MofNCompleteColumn(), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    console = _progressing()
    bars = Progress(*columns, TextColumn("{task.fields[failed]}"), console=console, disable=quiet)
    with ExitStack() as shown:  # nothing is, if the study is refused
        task: Any = None

        def progress(now: Any) -> None:
            nonlocal task
            _when_stopped[:] = [partial(_kept, folder, now.total)]
            if _signals:
                raise Stopped
            failed = f"{now.failed} failed" if now.failed else ""
            if task is None:
                shown.enter_context(bars)
                if now.over and not quiet:
                    bars.console.print(f"{now.over} of {now.total} trials are there already", highlight=False)
                task = bars.add_task("", total=now.total, completed=now.over, failed=failed)
            bars.update(task, completed=now.over, failed=failed)

        yield progress


def _kept(folder: Path, total: int) -> str:
    """The message for a study that was stopped; trials are counted in its folder, since progress may miss the last."""
    from hwsim.results.study import reader
    from hwsim.results.study.store import FILE

    over = reader.read(folder / FILE, lambda trials: trials.count().total())
    return f"stopped; {over} of {total} trials are kept; run the same command again to go on"


_when_stopped: list[Callable[[], str]] = []
"""Gives the message to print instead of `interrupted`; set by a command that keeps partial results."""


class Stopped(BaseException):
    """A request to stop: Ctrl-C, SIGTERM, or a terminal that was closed. Libraries do not convert it."""


_signals: list[int] = []
"""The stop signals received so far."""
_STOPS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))


def _stop(number: int, _: object) -> None:
    """Stop, and insist on it every second: callbacks of the compiler, for one, cannot propagate the exception."""
    _signals.append(number)
    sys.unraisablehook = lambda _: None
    _insist_every(1.0)
    _insist()


def _insist(*_: object) -> None:
    """Raise `Stopped`, unless it is on its way: what cleans up then is not to be interrupted."""
    error = sys.exception()
    while error is not None:
        if isinstance(error, Stopped):
            return
        error = error.__context__
    raise Stopped


def _insist_every(seconds: float) -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds, seconds)


def main() -> None:
    """Run the command line; an error that the user can correct ends with exit code 2 and one message.

    A stop signal ends with exit code 128 plus the number of the signal, and leaves nothing half-written. Signals that
    the process was started to ignore, as `nohup` and `&` do, are ignored.
    """
    prepare()
    _signals.clear()
    _when_stopped.clear()
    handlers: dict[int, Any] = {number: _stop for number in _STOPS if signal.getsignal(number) != signal.SIG_IGN}
    if hasattr(signal, "SIGALRM"):
        handlers[signal.SIGALRM] = _insist
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        sys.exit(_carried_out())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _carried_out() -> Any:
    """Run the command; the result is its exit code."""
    from hwsim.errors import HwsimError

    code: Any = None
    try:
        app()
    except BaseException as error:
        if _signals:  # whatever exception it has become, such as a SystemError of the compiler
            _insist_every(0)
            say(_when_stopped[0]() if _when_stopped else "interrupted; nothing was written", stderr=True)
            code = 128 + _signals[0]
        elif isinstance(error, SystemExit):
            code = error.code
        elif isinstance(error, HwsimError):
            say(str(error), stderr=True)
            code = 2
        elif isinstance(error, MemoryError):
            say(f"this computer has too little memory: {error}", stderr=True)
            code = 2
        else:
            raise
    return code or _unprinted()


def _unprinted() -> int:
    """Say that what was printed does not arrive, if so; the result is the exit code."""
    error = failure()
    if error is None:
        return 0
    if error.errno == EPIPE:  # the reader has read enough, as `head` does
        return 1
    say(f"cannot print: {error.strerror}", stderr=True)
    return 2


if __name__ == "__main__":
    main()
