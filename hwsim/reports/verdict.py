"""The report of a verdict on a device: a short one for a terminal, and the answers and sections of a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from hwsim.printing import Terminal, opening
from hwsim.reports import answers, specification, trials
from hwsim.reports.answers import FAR, NEAR, Answer, Difference
from hwsim.reports.fitting import put
from hwsim.reports.plus_minus import plus_minus
from hwsim.reports.tables import NOTHING, Table, TableCell, TableRow, cosine
from hwsim.results.limits import COSINE, OFF, Limits
from hwsim.results.paired import paired_difference
from hwsim.results.run_folder import RunFolder
from hwsim.results.specification import Specification
from hwsim.results.study_folder import StudyFolder
from hwsim.results.verdict import CONTROL, DIGITAL, FORWARD, LOOP, VerdictFolder

_NAMED = 4
"""Imperfections, at most, that an answer names."""


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def show(found: VerdictFolder, console: Terminal) -> None:
    """Print the answers, and what each property would have to be."""
    for answer in said(found):
        console.print(answer.question)
        console.print(f"  {answer.text}", style="bold")
    for each in found.specifications:
        put(specification.table(each), console)
    table = beside(found)
    if table is not None:
        put(table, console)


def said(found: VerdictFolder) -> list[Answer]:
    """Is the device good enough, what limits it, and what should become better first?"""
    return [
        *_good_enough(found),
        *_trained_in_place(found),
        _limiting(found.limits.limits),
        _better_first(found.specifications),
    ]


def _good_enough(found: VerdictFolder) -> Iterator[Answer]:
    question = "Is the device good enough to learn with?"
    if isinstance(found.learning, RunFolder):
        answer = answers.answers(found.learning)[0]
        extra = _in_the_loop(found.learning)
        yield answer._replace(question=question, reasons=[*extra, *answer.reasons])
        return
    for task, rows in _by_task(found.learning):
        yield _of_study(f"{question} Task: {task}", rows)


def _in_the_loop(run: RunFolder) -> list[str]:
    """The forward rule beside BPTT with the device in the loop."""
    if LOOP not in run.systems or FORWARD not in run.systems:
        return []
    loss = answers.difference(run, LOOP, FORWARD)
    if not run.systems[FORWARD].accuracy:
        return []
    return [f"It is {answers.beyond(loss, 100, ' points', 'below', 'above')} {LOOP}, which has a digital host."]


def _trained_in_place(found: VerdictFolder) -> Iterator[Answer]:
    """What pulses of this device lose against those of idealized devices, by the same rule."""
    question, name = "Can it be trained in place, by pulses?", found.asked["device"]["name"]
    if not found.in_place or found.beside is None or CONTROL not in found.asked["others"]:
        return
    if isinstance(found.beside, RunFolder):
        reached = {key: answers.scores(found.beside)[key].end for key in (name, CONTROL)}
        loss = answers.difference(found.beside, CONTROL, name)
    else:
        done = found.beside.table[found.beside.table.status == "done"]
        of = {key: _scores(done[done.device == key]) for key in (name, CONTROL)}
        reached = {key: float(np.nanmean(values)) for key, values in of.items()}
        paired = paired_difference(of[CONTROL], of[name])
        loss = Difference(paired.mean, paired.low, paired.high, known=bool(np.isfinite(paired.low)))
    words = f"{100 * NEAR:.0f} points below", f"{100 * FAR:.0f} points below"
    text, tone = answers.verdict(loss, NEAR, FAR, words)
    apart = answers.beyond(loss, 100, " points", "below", "above")
    reasons = [
        "By one_step, one epoch, one sequence at a time, as in the experiment in_place; a forward rule and a scheme of "
        "updates of your own may do better, such as `tiki_taka_v2`.",
        "What idealized devices reach says what the rule can do here; their pulses are small, alike and symmetric.",
    ]
    yield Answer(
        question,
        f"{text}: it reaches {reached[name]:.1%}, {apart} {CONTROL} devices, which reach {reached[CONTROL]:.1%}.",
        tone,
        reasons,
    )


def _by_task(study: StudyFolder) -> Iterator[tuple[str, pd.DataFrame]]:
    done = study.table[study.table.status == "done"]
    for task, rows in done.groupby("task", sort=False):
        yield str(task), rows


def _of_study(question: str, rows: pd.DataFrame) -> Answer:
    """By paired differences over seeds to digital BPTT."""
    score = {str(name): _scores(part) for name, part in rows.groupby("system", sort=False)}
    if FORWARD not in score or DIGITAL not in score:
        return Answer(question, "Unknown: trials failed.", "unsure", [])
    own, digital = score[FORWARD], score[DIGITAL]
    found = paired_difference(digital, own)
    reasons = [
        f"{_called(name)}: {np.nanmean(values):.1%}, {_points(paired_difference(values, digital))} to {DIGITAL}."
        for name, values in score.items()
        if name != DIGITAL
    ]
    if not found.observations:
        return Answer(question, "No: its learning diverges.", "bad", reasons)
    loss = Difference(found.mean, found.low, found.high, known=bool(np.isfinite(found.low)))
    words = f"{100 * NEAR:.0f} points below", f"{100 * FAR:.0f} points below"
    text, tone = answers.verdict(loss, NEAR, FAR, words)
    apart = answers.beyond(loss, 100, " points", "below", "above")
    return Answer(question, f"{text}: it reaches {np.nanmean(own):.1%}, {apart} {DIGITAL}.", tone, reasons)


def _called(name: str) -> str:
    """A system at the beginning of a sentence; rules are called as in files."""
    return opening(name) if name in (FORWARD, LOOP) else f"Rule {name}"


def _points(found: Any) -> str:
    half = (found.high - found.low) / 2
    return f"{plus_minus(100 * found.mean, 100 * half)} points"


def _scores(rows: pd.DataFrame) -> np.ndarray:
    """Accuracies `(seeds, chips)` of a system."""
    table = rows.pivot_table(index="seed", columns="chip", values="accuracy", dropna=False)
    return table.to_numpy(float)


def _limiting(result: Limits) -> Answer:
    question = "What limits learning on this machine?"
    ranked = [each for each in result.ranked(COSINE) if each.verdict(OFF, COSINE) > 0]
    level = result.level(COSINE)
    reasons = [
        f"The gradient points along the exact one with a cosine of {float(level.mean):.3f} as the machine is; with one "
        "imperfection off, it is better by what stands in brackets."
    ]
    devices = [each for each in ranked if each.key.startswith("device.")]
    if not ranked:
        return Answer(question, "Nothing stands out: no one imperfection costs more than noise hides.", "good", reasons)
    named = [f"{each.name} ({_gain(each)})" for each in ranked[:_NAMED]]
    if devices:
        rank = 1 + ranked.index(devices[0])
        reasons.append(
            f"Of the device itself, {devices[0].name} limits most, in place {rank} of all ({_gain(devices[0])})."
        )
    else:
        reasons.append("Nothing of the device itself stands out: circuits limit more.")
    return Answer(
        question, f"{opening(named[0])}" + (f"; then {', '.join(named[1:])}." if named[1:] else "."), "", reasons
    )


def _gain(limit: Any) -> str:
    from hwsim.reports.limits import difference

    return difference(limit.differences[OFF, COSINE.name])


def _better_first(found: list[Specification]) -> Answer:
    question = "What should become better first?"
    wrong = [each for result in found for each in result.ranked if each.good_enough is False]
    open_ = [each for result in found for each in result.ranked if each.good_enough is None]
    reasons = []
    for result in found:
        lines = specification.known(result)
        by = f"By the {specification.SAID[result.measure]}, with less than {specification.allowed(result)} lost: "
        reasons += [f"{by}{line[0].lower()}{line[1:]}" for line in lines] if len(found) > 1 else lines
    reasons += specification.untried(found)
    if wrong:
        return Answer(question, f"{opening(specification.said(wrong[0]))}.", "bad", reasons)
    if open_:
        text = f"Perhaps {specification.said(open_[0])}: the interval leaves it open."
        return Answer(question, text, "unsure", reasons)
    return Answer(question, "Nothing of the device alone: each property is good enough.", "good", reasons)


def beside(found: VerdictFolder) -> Table | None:
    """The device beside shipped ones: accuracy, the paired difference, and the cosine of the first gradient."""
    if found.beside is None:
        return None
    rows = _of_run(found.beside) if isinstance(found.beside, RunFolder) else _of_trials(found.beside)
    columns = "accuracy", "difference to this device (points)", "cosine of the first gradient"
    title = "Beside shipped devices, " + ("trained in place by pulses" if found.in_place else "under the forward rule")
    return Table(title, columns, tuple(rows), corner="device")


def _of_run(run: RunFolder) -> list[TableRow]:
    (first, _), *_rest = run.systems.items()
    rows = []
    for name, system in run.systems.items():
        reached = None if system.accuracy is None else system.accuracy.median
        accuracy = NOTHING if reached is None else TableCell(f"{reached:.1%}", reached)
        apart = NOTHING
        if name != first and reached is not None:
            loss = answers.difference(run, name, first)
            half = 100 * (loss.high - loss.low) / 2 if loss.known else np.nan
            apart = TableCell(plus_minus(100 * loss.mean, half), loss.mean)
        along = None if system.gradient is None else cosine(system, "all")
        rows.append((reached or 0, TableRow(name, (accuracy, apart, _cosine(along)))))
    return [row for _, row in sorted(rows, key=lambda each: -each[0])]


def _cosine(value: float | None) -> TableCell:
    return NOTHING if value is None else TableCell(f"{value:.3f}".replace("-", "−"), value)


def _of_trials(study: StudyFolder) -> list[TableRow]:
    done = study.table[study.table.status == "done"]
    score = {str(name): _scores(part) for name, part in done.groupby("device", sort=False)}
    first, rows = next(iter(score)), []
    for name, part in done.groupby("device", sort=False):
        values, mean = score[str(name)], float(np.nanmean(score[str(name)]))
        apart = NOTHING
        if name != first:
            found = paired_difference(values, score[first])
            apart = TableCell(_points(found).removesuffix(" points"), found.mean)
        along = float(part["cosine_all"].median()) if "cosine_all" in part else None
        rows.append((mean, TableRow(str(name), (TableCell(f"{mean:.1%}", mean), apart, _cosine(along)))))
    return [row for _, row in sorted(rows, key=lambda each: -each[0])]


def about(found: VerdictFolder) -> str:
    """What was simulated, in a line."""
    asked = found.asked
    return f"{asked['device']['what']} · {asked['size']['name']} verdict · {asked['trainings']} trainings"


def how(found: VerdictFolder) -> str:
    """How devices were compared."""
    size, left = found.asked["size"], found.asked["left_out"]
    over = "chips and test sequences" if isinstance(found.beside, RunFolder) else "seeds"
    text = (
        f"The same chip, task and rule with each device, {_many(size['seeds'], 'seed')} of "
        f"{_many(size['beside'], 'chip')}; accuracy is the median of chips, and differences are paired, with "
        f"half of a 95 % interval over {over}."
    )
    if not size["tasks"] and size["beside"] * size["seeds"] == 1:
        text += " One chip of each tells little: how chips differ is not in the interval."
    return f"{text} Left out, to keep the verdict small: {', '.join(left)}." if left else text


def warnings(found: VerdictFolder) -> list[str]:
    """What to read first."""
    if isinstance(found.learning, RunFolder):
        return [*found.learning.doubts, *answers.warnings(found.learning.systems)]
    return trials.warnings(found.learning)
