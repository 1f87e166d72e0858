"""hwsim: physical learning machines, simulated.

>>> import hwsim
>>> run = hwsim.run("configs/experiments/quickstart.yaml")      # doctest: +SKIP
>>> run.summary.systems["substrate"].accuracy.median   # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Limits", "Run", "RunFolder", "StudyFolder", "__version__", "limits", "load", "read", "run"]

if TYPE_CHECKING:
    from hwsim.config.experiment import load
    from hwsim.experiments.limits import limits
    from hwsim.experiments.run import Run, run
    from hwsim.results.limits import Limits
    from hwsim.results.reading import read
    from hwsim.results.run_folder import RunFolder
    from hwsim.results.study_folder import StudyFolder


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
    if name in ("read", "RunFolder", "StudyFolder"):
        from hwsim.results import reading

        return getattr(reading, name)
    if name == "load":
        from hwsim.config.experiment import load

        return load
    raise AttributeError(f"module 'hwsim' has no attribute {name!r}")
