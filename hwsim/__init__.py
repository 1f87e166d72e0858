"""hwsim: physical learning machines, simulated.

>>> import hwsim
>>> run = hwsim.run("configs/experiments/quickstart.yaml")      # doctest: +SKIP
>>> run.summary.systems["substrate"].accuracy.median   # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "Estimate", "Limits", "LimitsFolder", "NeuroBench", "Plan", "Run", "RunFolder", "Specification", "StudyFolder",
    "VerdictFolder", "__version__", "estimate", "limits", "load", "neurobench", "plan", "read", "run", "specification",
    "study", "verdict",
]  # fmt: skip

if TYPE_CHECKING:
    from hwsim.config.settings import load
    from hwsim.experiments.estimate import Estimate, estimate
    from hwsim.experiments.limits import limits
    from hwsim.experiments.neurobench import neurobench
    from hwsim.experiments.plan import plan
    from hwsim.experiments.run import Run, run
    from hwsim.experiments.specification import specification
    from hwsim.experiments.study.from_python import study
    from hwsim.experiments.verdict import verdict
    from hwsim.results.limits import Limits
    from hwsim.results.limits_folder import LimitsFolder
    from hwsim.results.neurobench import NeuroBench
    from hwsim.results.plan import Plan
    from hwsim.results.reading import read
    from hwsim.results.run_folder import RunFolder
    from hwsim.results.specification import Specification
    from hwsim.results.study_folder import StudyFolder
    from hwsim.results.verdict import VerdictFolder


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: it takes a second."""
    if name in ("run", "Run"):
        from hwsim.experiments import run as module

        return getattr(module, name)
    if name in ("limits", "Limits"):
        from hwsim.experiments import limits as found

        return getattr(found, name)
    if name in ("estimate", "Estimate"):
        from hwsim.experiments import estimate as estimated

        return getattr(estimated, name)
    if name in ("neurobench", "NeuroBench"):
        from hwsim.experiments import neurobench as counted

        return getattr(counted, name)
    if name in ("specification", "Specification"):
        from hwsim.experiments import specification as needed

        return getattr(needed, name)
    if name in ("plan", "Plan"):
        from hwsim.experiments import plan as planned

        return getattr(planned, name)
    if name == "verdict":
        from hwsim.experiments.verdict import verdict

        return verdict
    if name == "study":
        from hwsim.experiments.study.from_python import study

        return study
    if name in ("read", "LimitsFolder", "RunFolder", "StudyFolder", "VerdictFolder"):
        from hwsim.results import reading

        return getattr(reading, name)
    if name == "load":
        from hwsim.config.settings import load

        return load
    raise AttributeError(f"module 'hwsim' has no attribute {name!r}")
