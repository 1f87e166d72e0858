"""What was asked of learning curves, answered on a terminal; and the page that is of this question alone."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pandas as pd

from hwsim.printing import Terminal
from hwsim.quantities import si
from hwsim.reports import reached, study_reached
from hwsim.reports.fitting import put
from hwsim.reports.reached import Question, aim, tested
from hwsim.reports.tables import Systems
from hwsim.results import reaching
from hwsim.results.reaching import Reaching, Target, Tested
from hwsim.results.run_folder import RunFolder
from hwsim.results.study_folder import StudyFolder


def page(folder: Path, asked: Question) -> Path:
    """The file of a report: `report.html`; that of a question is named after it, so that it replaces no other.

    >>> page(Path("run"), Question(accuracy=0.92, budget=1e-3)).name
    'report_to_92_percent_for_1_mJ.html'
    """
    parts = ["report"]
    if asked.accuracy is not None:
        parts += ["to", _plain(Decimal(str(asked.accuracy)) * 100), "percent"]
    if asked.loss is not None:
        parts += ["to_loss", _plain(Decimal(str(asked.loss)))]
    if asked.budget is not None:
        symbol = re.sub(r"[0-9.e+-]+ ", "", si(asked.budget, "J"))
        parts += ["for", _plain(Decimal(str(asked.budget)).scaleb(-_POWERS[symbol[:-1]])), symbol.replace("µ", "u")]
    return folder / f"{'_'.join(parts)}.html"


_POWERS = {"a": -18, "f": -15, "p": -12, "n": -9, "µ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12}


def _plain(number: Decimal) -> str:
    """All digits of a number, without zeros at its end."""
    short = number.normalize()
    return f"{short:f}" if -6 <= short.adjusted() <= 12 else f"{short:g}".replace("+", "")


def of_run(run: RunFolder, asked: Question, console: Terminal) -> None:
    """Print who reaches what is asked for, and what it takes."""
    goal, constant = asked.target, run.summary.constant
    if goal is not None or asked.budget is not None:
        for line in lines(
            run.metrics, run.systems, asked, goal or reached.target(run.metrics, run.systems, asked, constant)
        ):
            console.print(line, style="bold")
    for table in reached.tables(run.metrics, run.systems, asked, constant):
        put(table, console)
    for line in reached.remarks(run.metrics, run.systems, asked, constant):
        console.print(line)


def of_study(study: StudyFolder, asked: Question, console: Terminal) -> None:
    """Print where systems reach what is asked for, and what it takes at each point."""
    made = study_reached.tables(study, asked)
    if not made:
        console.print(_nothing(asked, study.curves), style="bold")
    for line in study_reached.regions(study, asked):
        console.print(line, style="bold")
    for table in made:
        put(table, console)


def lines(metrics: pd.DataFrame, systems: Systems, asked: Question, goal: Target | None) -> list[str]:
    """A line for each system: what it took to reach the target, or that it was not; and what the budget reaches."""
    if goal is None or not (found := reaching.reaching(metrics, goal)):
        return [_nothing(asked, metrics)]
    made = []
    if asked.target is not None:
        for name in systems:
            if name in found:
                made.append(_of_target(name, goal, found[name], systems[name].memory.peak_bytes))
    if asked.budget is not None:
        bought = reaching.within(metrics, asked.budget, goal.quantity)
        for name in systems:
            if name in bought:
                made.append(_of_budget(name, asked.budget, goal.quantity, bought[name]))
        if not bought:
            made.append("No system of this run has a known energy to spend.")
    return made


def _of_target(name: str, goal: Target, found: Reaching, held: float) -> str:
    if found.at is None:
        return f"{name}: {aim(goal)} not reached; its best median is {tested(goal.quantity, found.best)}."
    at, before = found.at, found.before
    parts = []
    if at.energy is not None:
        less = f" ({si(before.energy, 'J')} at the test before)" if before and before.energy is not None else ""
        parts.append(f"{si(at.energy, 'J')}{less}")
    parts += [si(at.seconds, "s")] if at.seconds else []
    parts += [f"{at.writes:.3g} writes per device"] if at.writes is not None else []
    parts.append(f"{at.updates} updates")
    reach = [chip for chip in found.chips if chip is not None]
    own = f"; {len(reach)} of {len(found.chips)} chips reach it by themselves" if len(found.chips) > 1 else ""
    spent = [chip.energy for chip in reach if chip.energy is not None]
    own += f", with {si(min(spent), 'J')} to {si(max(spent), 'J')}" if own and spent and min(spent) < max(spent) else ""
    return f"{name}: {aim(goal)} reached with {', '.join(parts)}, in {si(held, 'B')} of memory{own}."


def _of_budget(name: str, joules: float, of: str, at: Tested | None) -> str:
    if at is None:
        return f"{name}: {si(joules, 'J')} ends before its first test."
    what = "a loss of " if of == reaching.LOSS else ""
    return f"{name}: {si(joules, 'J')} reaches {what}{tested(of, at)} after {at.updates} updates."


def _nothing(asked: Question, metrics: pd.DataFrame) -> str:
    """Why there is no answer."""
    trained = "test_loss" in metrics and metrics["updates"].any()
    if trained and asked.accuracy is not None and reaching.quantity(metrics) == reaching.LOSS:
        return "No accuracy is known: the task has values to predict, which have a loss; ask for it by --to-loss."
    return "Nothing was trained and tested here that is finite, so nothing is reached."
