"""The errors that hwsim raises on purpose; each is re-creatable from its arguments: SimPy and Dask copy errors."""


class HwsimError(Exception):
    """An error that the user can correct. The message says where, what, and what is allowed."""


class ConfigError(HwsimError):
    """A document does not describe a valid experiment, machine or device; every problem found in it is listed."""


class CausalityError(HwsimError):
    """A signal was used outside the step that made it, or a pass was not run in order from first step to last."""


class CapabilityError(HwsimError):
    """A rule asked the machine for something that its hardware does not offer (a tape, a solver, more tiles)."""


class SingularJacobianError(HwsimError):
    """A Jacobian that has to be inverted has no inverse."""


class UnstableLoopError(SingularJacobianError):
    """A feedback loop that would solve a linear system runs away from the solution."""


class DataError(HwsimError):
    """A data set is missing, truncated, or does not match its checksum."""


class OutputError(HwsimError):
    """Results cannot be written where they were asked for."""


class MemoryEstimateError(HwsimError):
    """The experiment would need more memory than the simulating computer has."""


class ResultsError(HwsimError):
    """A folder of results cannot be read: it is missing, damaged, not of hwsim, or of another version."""
