"""The answers of a run in plain words: is the device good enough, what does learning cost, which rule survives?

Every sentence is made from numbers of the run folder; an answer says so if they do not decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, isnan
from typing import Literal, NamedTuple, Protocol

import pandas as pd

from hwsim.printing import listed, opening
from hwsim.quantities import si
from hwsim.reports import reached
from hwsim.reports.efficiency import empty
from hwsim.reports.per_step import step_of
from hwsim.reports.reached import Question
from hwsim.reports.tables import cosine, diverged, late, left_out, lost, lost_gradients, saturated, verdicts, years
from hwsim.reports.untaught import said as constant_said
from hwsim.reports.untaught import untaught, without_memory
from hwsim.results import reaching
from hwsim.results.reaching import Reaching, Target
from hwsim.results.summary import Lifetime, Summary, SystemSummary

Tone = Literal["good", "unsure", "bad", ""]

NEAR, FAR = 0.02, 0.05
"""Largest loss of accuracy, against the reference, of a chip that is good enough, and nearly so. The whole interval of
the loss has to be below."""

SURVIVES = 0.9
"""Least share of the best system's progress on the test that a surviving rule makes."""


class Results(Protocol):
    """What answers are made from: a run that has just ended, or the folder of one."""

    @property
    def summary(self) -> Summary: ...

    @property
    def systems(self) -> Mapping[str, SystemSummary]: ...

    @property
    def metrics(self) -> pd.DataFrame: ...


class Answer(NamedTuple):
    """An answer to one reader: the question, the answer, its tone, and its reasons."""

    question: str
    text: str
    tone: Tone
    reasons: list[str]


class Performance(NamedTuple):
    """How well a system does on the test, by accuracy if there is one, else by loss.

    Attributes:
        start, end: medians of the first and the last test, over the chips that have a number; NaN if none has.
        is_accuracy: whether they are accuracies.
        trained: whether there was more than one test.
        lost: the number of chips without a number in the last test.
    """

    start: float
    end: float
    is_accuracy: bool
    trained: bool = True
    lost: int = 0

    @property
    def progress(self) -> float:
        """The improvement since the start; negative if the system became worse."""
        return self.end - self.start if self.is_accuracy else self.start - self.end

    def __str__(self) -> str:
        if isnan(self.end):
            return f"no finite {'accuracy' if self.is_accuracy else 'loss'}"
        return f"{self.end:.1%}" if self.is_accuracy else f"a loss of {self.end:.3g}"


def answers(run: Results, asked: Question | None = None) -> list[Answer]:
    """The answers to the device physicist, the chip architect and the learning researcher."""
    return [_physicist(run), _architect(run, asked or Question()), _researcher(run)]


def warnings(systems: Mapping[str, SystemSummary]) -> list[str]:
    """Warnings to read before anything else, the worst first."""
    lines: list[str] = []
    for name, system in systems.items():
        lines += [f"{name}: {text}" for text in left_out(system)]
        if system.diverged:
            lines.append(f"{name}: {diverged(system.diverged)}")
    for name, system in systems.items():
        lines += [f"{name} ({system.rule}): {said}." for said in verdicts(system, bad_alone=True)]
    for name, system in systems.items():
        why = system.energy.why_null
        if why:
            lines.append(f"{name}: no energy, since {why}.")
        lines += [f"{name}: {text}" for text in (*saturated(system), *late(system))]
    return lines


# ---- device physicist ----------------------------------------------------------------------------------------


def _physicist(run: Results) -> Answer:
    question = "Device physicist: is the device good enough to learn with?"
    substrate = next(iter(run.systems.values()))
    if not substrate.analog:
        return Answer(question, f"There is no device in this run: {substrate.machine} has none.", "", [])
    reasons = []
    sure = substrate.accuracy and substrate.accuracy.uncertainty
    if sure:
        parts = [f"test sequences {_span(sure.over_sequences)}" if sure.over_sequences else ""]
        parts += [f"chips {_span(sure.over_chips)}" if sure.over_chips else ""]
        by = "; by " + ", by ".join(part for part in parts if part) if all(parts) else ""
        reasons.append(f"Its mean accuracy is {sure.mean:.1%}, with 95 % from {_span((sure.low, sure.high))}{by}.")
    if run.summary.constant:
        reasons.append(constant_said(run.summary.constant))
    if run.summary.averaged:
        reasons.append(without_memory(run.summary.averaged))
    chips = [value for value in (substrate.accuracy.per_chip if substrate.accuracy else []) if value is not None]
    if len(chips) > 1:
        reasons.append(f"Over {len(chips)} chips, accuracy is {min(chips):.1%} to {max(chips):.1%}.")
    reasons += [opening(text) for text in left_out(substrate)]
    reasons += _direction(substrate)
    if health := substrate.signal_health:
        reasons.append(
            f"{health.saturation_rate:.2%} of analog values saturate; converters clip {health.dac_clip_rate:.2%} "
            f"going in and {health.adc_clip_rate:.2%} coming out."
        )
    if substrate.weights and substrate.weights.writes_per_device:
        reasons.append(
            f"A device was written {substrate.weights.writes_per_device:.3g} times on average{_lasting(substrate)}."
        )
    return Answer(question, *_good_enough(run), reasons)


def _lasting(system: SystemSummary) -> str:
    """How long devices last, and how many do not work, behind what is said of their writes."""
    weights = system.weights
    assert weights is not None
    lasts = weights.endurance
    if lasts is None:
        said = "; its data sheet says nothing of endurance" if not weights.worn else ""
    elif lasts.years is None:
        said = ""
    else:
        rate = "" if lasts.updates_per_s is None else f" at {lasts.updates_per_s:.3g} updates per second"
        said = f"; of {lasts.cycles:.3g} writes, {_shortest(lasts)}{rate}"
    dead = f"; {weights.worn:.0f} devices are worn out" if weights.worn else ""
    return said + dead + (f"; {weights.faulty:.0f} devices do not work" if weights.faulty else "")


def _shortest(lasts: Lifetime) -> str:
    assert lasts.years is not None
    least = "" if lasts.least_years is None else f", the one written most {years(lasts.least_years)}"
    return f"the usual device lasts {years(lasts.years)}{least}"


def _good_enough(run: Results) -> tuple[str, Tone]:
    (first, substrate), score = next(iter(run.systems.items())), scores(run)
    own, lost_chips = score.get(first), lost(substrate)
    if lost_chips and not (own and own.trained):
        return f"No: on {len(lost_chips)} of {substrate.chips} chips its answers are not finite.", "bad"
    if lost_chips or substrate.diverged:
        chips = {*lost_chips, *(substrate.diverged.chips if substrate.diverged else ())}
        return f"No: learning diverged on {len(chips)} of {substrate.chips} chips.", "bad"
    if own is None or not own.trained:
        return f"It was not trained in this run{'; look at the gradient' if substrate.gradient else ''}.", ""
    bar = untaught(run.summary.constant, own.start, own.is_accuracy, run.summary.averaged)
    learned = bar.beaten_by(own.end, substrate)
    if learned is False:
        return f"No: it reaches {own}, no better than {bar}.", "bad"
    doubt = "" if learned else f"; that is not surely better than {bar}"
    digital = [name for name, system in run.systems.items() if name in score and not system.analog]
    whole = [name for name in digital if not run.systems[name].diverged and not score[name].lost]
    if not digital:
        return f"It reaches {own}; there is no digital reference to say what that is worth{doubt}.", "unsure"
    if not whole:
        nothing = f"learning diverged on {digital[0]}, so nothing says what that is worth"
        return f"It reaches {own}; {nothing}{doubt}.", "unsure"
    other, beside, reached = whole[0], score[whole[0]], str(own)
    if own.is_accuracy:
        loss, bounds = difference(run, other, first), (NEAR, FAR)
        words = f"{100 * NEAR:.0f} points below", f"{100 * FAR:.0f} points below"
        apart = f"{beyond(loss, 100, ' points', 'below', 'above')} {other}"
        sure = substrate.accuracy and substrate.accuracy.uncertainty
        if sure and substrate.chips > 1 and loss.known:
            reached = f"{sure.mean:.1%} on average"  # of which the difference is, not of medians
    else:
        loss, bounds = difference(run, first, other), (NEAR * beside.end, 2 * FAR * beside.end)
        words = f"{NEAR:.0%} above", f"{2 * FAR:.0%} above"
        apart = f"{beyond(loss, 1, '', 'above', 'below')} {other}, which has {beside.end:.3g}"
    said, tone = verdict(loss, *bounds, words)
    if doubt and tone != "bad":
        said, tone = "Undecided", "unsure"
    return f"{said}: it reaches {reached}, {apart}{doubt}.", tone


class Difference(NamedTuple):
    """How much worse one system is than another: the mean, and its 95 % interval.

    Attributes:
        known: whether there is an interval; otherwise both ends are the mean.
    """

    mean: float
    low: float
    high: float
    known: bool = True


def difference(run: Results, first: str, second: str) -> Difference:
    """The difference first − second of accuracies, or of losses; that of medians if the run has no interval."""
    for each in run.summary.differences:
        if (each.first, each.second) == (first, second):
            return Difference(each.mean, each.low, each.high)
        if (each.first, each.second) == (second, first):
            return Difference(-each.mean, -each.high, -each.low)
    score = scores(run)
    apart = score[first].end - score[second].end
    return Difference(apart, apart, apart, known=False)


def verdict(loss: Difference, near: float, far: float, words: tuple[str, str]) -> tuple[str, Tone]:
    """Whether a loss is small enough, as far as its interval decides: at most `near`, or at most `far`.

    Args:
        words: both bounds, for the sentence, such as `2 points below`.

    >>> verdict(Difference(0.03, 0.01, 0.06), 0.02, 0.05, ("2 points below", "5 points below"))[0]
    'Undecided between yes (at most 2 points below) and no (more than 5 points below)'
    """
    names = ["Yes, on this task", "Nearly", "Not as it is"]
    ranges = [f"(at most {words[0]})", f"(at most {words[1]})", f"(more than {words[1]})"]
    first, last = (0 if end <= near else 1 if end <= far else 2 for end in (loss.low, loss.high))
    if first == last:
        tones: tuple[Tone, ...] = ("good" if loss.known else "unsure", "unsure", "bad")
        return f"{names[first]} {ranges[first]}", tones[first]
    one, other = (f"{['yes', 'nearly', 'no'][each]} {ranges[each]}" for each in (first, last))
    return f"Undecided between {one} and {other}", "unsure"


def beyond(loss: Difference, scale: float, unit: str, more: str, less: str) -> str:
    """A difference with its interval in words; points have one decimal.

    >>> beyond(Difference(0.032, 0.01, 0.05), 100, " points", "below", "above")
    '3.2 points (1.0 to 5.0, 95 %) below'
    """
    sign, digits = 1 if loss.mean >= 0 else -1, ".1f" if unit else ".2g"
    mean, *ends = (sign * scale * each for each in (loss.mean, loss.low, loss.high))
    low, high = (f"{end:{digits}}".replace("-", "−") for end in sorted(ends))
    interval = f"{low} to {high}, 95 %" if loss.known else "one chip and one seed, so no interval"
    return f"{abs(mean):{digits}}{unit} ({interval}) {more if sign > 0 else less}"


def _span(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:.1%} to {bounds[1]:.1%}"


def _direction(system: SystemSummary) -> list[str]:
    """How well gradients agree in direction with exact ones."""
    known = {group: cosine(system, group) for group in ("recurrent", "input", "readout")}
    text = ", ".join(f"{value:.2f} {group}" for group, value in known.items() if value is not None)
    sentences = (
        [f"Gradients at the initial weights point along the exact ones with a cosine of {text}."] if text else []
    )
    lost_chips = lost_gradients(system)
    if lost_chips:
        sentences.append(f"On {lost_chips} of {system.chips} chips gradients are not finite.")
    return sentences


# ---- chip architect ------------------------------------------------------------------------------------------


def _architect(run: Results, asked: Question) -> Answer:
    question = "Chip architect: how do energy, memory and latency compare with digital?"
    (name, substrate), *rest = run.systems.items()
    reference = next(((other, s) for other, s in rest if s.rule == "bptt" and not s.analog), None)
    joules = substrate.energy.training_step_j
    if joules is None:
        plain = "its values left the range of numbers" if substrate.diverged else "no training step was noted"
        why = substrate.energy.why_null or plain
        return Answer(question, f"Unknown: {name} has no energy, since {why}.", "unsure", _memory(substrate, reference))
    reasons = _memory(substrate, reference)
    step, tone = _per_step(substrate, reference)
    text = step
    if substrate.diverged or lost(substrate):
        text, tone = f"{step} But it learns nothing: {_why_lost(substrate)}.", "bad"
    elif reference and (reference[1].diverged or lost(reference[1])):
        text, tone = f"{step} But {reference[0]} learns nothing: {_why_lost(reference[1])}.", "unsure"
    constant = run.summary.constant
    goal = reached.target(run.metrics, run.systems, asked, constant)
    found = reaching.reaching(run.metrics, goal) if goal else {}
    if goal and name in found and not substrate.diverged and not lost(substrate):
        text, tone = _to_reach(goal, name, reference[0] if reference else None, found)
        if constant and reached.constant_reaches(goal, constant) and found[name].at:
            text, tone = f"{text} But a constant answer does so too: no learning is seen in it.", "bad"
        reasons.insert(0, step)
    mine_shown = substrate.energy.inference_j_per_sequence
    theirs_shown = reference[1].energy.inference_j_per_sequence if reference else None
    if reference and mine_shown and theirs_shown:
        reasons.insert(
            0,
            f"Inference takes {si(mine_shown, 'J')} per sequence, "
            f"{compared(mine_shown, theirs_shown, 'less', 'more', reference[0])} ({si(theirs_shown, 'J')}).",
        )
    purpose, share = _largest(substrate.energy.by_purpose, joules)
    unit, part = _largest(substrate.energy.by_unit, joules)
    reasons.append(f"{share:.0%} goes to {purpose}; the unit that takes most is {unit}, with {part:.0%}.")
    if fill := empty(substrate):
        reasons.append(f"Weights fill {fill} of the tiles that are read, and a read draws the power of whole tiles.")
    assumed = substrate.energy.assumed_fraction
    if assumed is not None:
        reasons.append(f"{assumed:.0%} of it rests on assumed constants.")
    return Answer(question, text, tone, reasons)


def _why_lost(system: SystemSummary) -> str:
    if system.diverged:
        return f"it diverged after {system.diverged.updates} updates"
    return f"on {len(lost(system))} of {system.chips} chips answers are not finite"


def _per_step(substrate: SystemSummary, reference: tuple[str, SystemSummary] | None) -> tuple[str, Tone]:
    """The energy of a training step, and the time of a sequence, beside the reference's."""
    joules, seconds = substrate.energy.training_step_j or 0.0, substrate.time.sequence_s
    text = f"A {step_of(substrate.energy.sequences)} takes {si(joules, 'J')}"
    theirs = reference[1].energy.training_step_j if reference else None
    if reference is None or not theirs:
        return f"{text}.", ""
    text += f", {compared(joules, theirs, 'less', 'more', reference[0])}"
    if seconds and reference[1].time.sequence_s:
        text += f", and a sequence {compared(seconds, reference[1].time.sequence_s, 'less time', 'more time')}"
    return f"{text}.", "good" if joules < theirs else "bad"


def _to_reach(goal: Target, name: str, other: str | None, found: Mapping[str, Reaching]) -> tuple[str, Tone]:
    """What it takes to reach a target, beside the reference; both are known from test to test only."""
    own, theirs, aim = found[name], found.get(other or ""), reached.aim(goal)
    if own.at is None:
        best = f"; its best median is {reached.write(goal.quantity, own.best.value)}"
        beside = f", {other} does" if theirs and theirs.at else ""
        return f"{opening(name)} does not reach {aim}{best}{beside}.", "bad"
    if not own.at.energy:  # unknown, or reached before anything was learnt
        return f"{opening(name)} reaches {aim} after {own.at.updates} updates.", ""
    text = f"To reach {aim}, learning takes {si(own.at.energy, 'J')}"
    if theirs is None:
        return f"{text}.", ""
    if theirs.at is None:
        return f"{text}; {other} does not reach it.", "good"
    if not theirs.at.energy:
        return f"{text}.", ""
    text += f", {compared(own.at.energy, theirs.at.energy, 'less', 'more', other or '')}"
    least, least_of_theirs = ((each.before and each.before.energy) or 0.0 for each in (own, theirs))
    if own.at.energy <= least_of_theirs:
        return f"{text}.", "good"
    if least >= theirs.at.energy:
        return f"{text}.", "bad"
    return f"{text}; tests are too far apart to be sure which takes less.", "unsure"


def _memory(substrate: SystemSummary, reference: tuple[str, SystemSummary] | None) -> list[str]:
    held, seconds = substrate.memory.peak_bytes, substrate.time.sequence_s
    lines = [f"At its peak it holds {si(held, 'B')}" + (f"; a sequence takes {si(seconds, 's')}." if seconds else ".")]
    if reference is not None:
        theirs = reference[1].memory.peak_bytes
        lines[0] = lines[0].replace(si(held, "B"), f"{si(held, 'B')} ({reference[0]}: {si(theirs, 'B')})", 1)
    return lines


def _largest(parts: Mapping[str, float | None], whole: float) -> tuple[str, float]:
    name = max(parts, key=lambda key: parts[key] or 0.0)
    return name, (parts[name] or 0.0) / whole


def compared(value: float, reference: float, less: str, more: str, beside: str = "") -> str:
    """One number beside another, in words.

    >>> compared(2.0, 5.0, "less", "more", "a digital chip")
    '2.5 times less than a digital chip'
    """
    ratio = max(value, reference) / min(value, reference)
    if ratio < 1.005:
        return f"as much as {beside}" if beside else "as much"
    return f"{ratio:.3g} times {less if value < reference else more}" + (f" than {beside}" if beside else "")


# ---- learning researcher -------------------------------------------------------------------------------------


def _researcher(run: Results) -> Answer:
    question = "Learning researcher: which rule survives?"
    analog = {name: system for name, system in run.systems.items() if system.analog}
    judged = analog or dict(run.systems)
    reasons = [f"{name} ({system.rule}): {_said_of(system)}" for name, system in judged.items()]
    first = next(iter(judged.values()))
    reasons += [f"{first.rule}: {verdict}." for verdict in verdicts(first)]
    score = scores(run)
    trained = {name: score[name] for name in judged if name in score and score[name].trained}
    if not trained:
        return Answer(question, *_by_cosine(judged), reasons)
    whole = {
        name: tested
        for name, tested in score.items()
        if tested.trained and not tested.lost and not run.systems[name].diverged and isfinite(tested.progress)
    }
    learned = {
        name: untaught(run.summary.constant, tested.start, tested.is_accuracy).beaten_by(tested.end, run.systems[name])
        for name, tested in whole.items()
    }
    whole = {name: tested for name, tested in whole.items() if learned[name] is not False}
    best = max(whole, key=lambda name: whole[name].progress, default="")
    fates = {name: _fate(run, best, name, whole) for name in judged}
    fates |= {name: "undecided" for name in judged if fates[name] == "alive" and learned[name] is None}
    alive, dead, unsure = ([name for name in judged if fates[name] == fate] for fate in ("alive", "dead", "undecided"))
    tone: Tone = "good" if len(alive) == len(judged) else "unsure" if alive or unsure else "bad"
    where = " on these machines" if analog else ""
    reasons.append(
        f"To survive is to make at least {SURVIVES:.0%} of the best system’s progress on the test, with the 95 % "
        "interval of the difference, and to be better than the best constant answer and the untrained network."
    )
    if not alive and not unsure:
        text = f"None{where}: no rule makes {SURVIVES:.0%} of the best system’s progress."
        return Answer(question, text, tone, reasons)
    return Answer(question, _survivors(judged, alive, dead, unsure, where), tone, reasons)


def _survivors(
    judged: Mapping[str, SystemSummary], alive: list[str], dead: list[str], unsure: list[str], where: str
) -> str:
    """Which rules survive, which do not, and of which it is undecided: a sentence that says what surviving is."""
    share = f"at least {SURVIVES:.0%} of the best system’s progress on the test"

    def of(names: list[str], one: str, several: str) -> str:
        return f"{listed(_rule(judged, name) for name in names)} {one if len(names) == 1 else several}"

    parts, here = [], where
    if alive:
        parts.append(of(alive, f"survives{where}: it makes {share}", f"survive{where}: each makes {share}"))
        here = ""
    if unsure:
        may = "" if alive else f", and so {'makes' if len(unsure) == 1 else 'make'} {share},"
        parts.append(f"whether {of(unsure, 'survives', 'survive')}{here}{may} is undecided")
    if dead:
        parts.append(of(dead, "does not", "do not"))
    text = "; ".join(parts)
    return f"{text if alive else opening(text)}."


def _fate(
    run: Results, best: str, name: str, whole: Mapping[str, Performance]
) -> Literal["alive", "dead", "undecided"]:
    """Whether a rule is `alive`, `dead` or `undecided`: it may lose a share of the best system's progress."""
    if name not in whole or whole[best].progress <= 0:
        return "dead"
    if name == best:
        return "alive"
    loss = difference(run, best, name) if whole[name].is_accuracy else difference(run, name, best)
    allowed = (1 - SURVIVES) * whole[best].progress
    return "alive" if loss.high <= allowed else "dead" if loss.low > allowed else "undecided"


def _by_cosine(judged: Mapping[str, SystemSummary]) -> tuple[str, Tone]:
    checked = [name for name, system in judged.items() if system.gradient]
    if not checked:
        return "Nothing was trained, and no gradient was checked.", ""
    cosines = {name: cosine(judged[name], "recurrent") for name in checked if not lost_gradients(judged[name])}
    known = {name: value for name, value in cosines.items() if value is not None}
    if not known:
        return "Nothing was trained; no rule has a gradient that points anywhere on all chips.", ""
    best = max(known, key=lambda name: known[name])
    return (
        f"Nothing was trained; the gradient of {_rule(judged, best)} points best, with a cosine of {known[best]:.2f}.",
        "",
    )


def _rule(judged: Mapping[str, SystemSummary], name: str) -> str:
    """The rule of a system, with its name where two have the same rule."""
    rule = judged[name].rule
    twice = sum(system.rule == rule for system in judged.values()) > 1
    return f"{rule} ({name})" if twice else str(rule)


def _said_of(system: SystemSummary) -> str:
    parts = []
    if system.accuracy and system.accuracy.median is not None:
        parts.append(f"{system.accuracy.median:.1%}")
    elif system.loss and system.loss.median is not None:
        parts.append(f"a loss of {system.loss.median:.3g}")
    if lost(system):
        parts.append(f"{len(lost(system))} of {system.chips} chips not finite")
    value = cosine(system, "recurrent")
    if value is not None:
        parts.append(f"recurrent cosine {value:.2f}")
    if system.diverged:
        parts.append("diverged")
    return ", ".join(parts) + "." if parts else "not tested."


def scores(run: Results) -> dict[str, Performance]:
    """The score of each system."""
    by_system = {}
    for name, tests in run.metrics.groupby("system", sort=False):
        is_accuracy = run.systems[str(name)].accuracy is not None
        medians = tests.groupby("updates")["test_accuracy" if is_accuracy else "test_loss"].median().sort_index()
        lost_chips = int(tests[tests.updates == tests.updates.max()].test_loss.isna().sum())
        ends = float(medians.iloc[0]), float(medians.iloc[-1])
        by_system[str(name)] = Performance(*ends, is_accuracy, len(medians) > 1, lost_chips)
    return by_system
