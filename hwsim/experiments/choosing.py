"""The choice of a rule that an experiment leaves open by `learning: {name: auto}`."""

from __future__ import annotations

from pathlib import Path

from hwsim import learning, quantities
from hwsim.config.experiment import Experiment
from hwsim.errors import ConfigError


def chosen(experiment: Experiment, data: str | Path | None = None) -> Experiment:
    """The experiment with the rule that a plan puts first, where it asks for `auto`; else the experiment itself.

    Args:
        data: the folder with the data sets that are not shipped.

    Raises:
        HwsimError: no rule fits; the message says which come closest.
    """
    options = experiment.learning
    if options.name != "auto":
        return experiment
    from hwsim.experiments.plan import plan  # plans are made of estimates, which ask here

    found = plan(experiment, memory=options.memory, good=options.cosine, data=data)
    if found.best is not None:
        return experiment.learned_by(learning.options(found.best.learning))
    closest = "; ".join(f"{each.name}: {each.reason}" for each in found.candidates[:3])
    within = "" if options.memory is None else f" within {quantities.si(options.memory, 'B')}"
    raise ConfigError(
        f"learning: auto: no rule is expected to reach a cosine of {options.cosine:g} on {found.machine}{within}. "
        f"Closest: {closest}. `hwsim plan` lists them all"
    )
