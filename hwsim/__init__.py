"""hwsim: physical learning machines, simulated.

>>> import hwsim
>>> run = hwsim.run("configs/experiments/quickstart.yaml")      # doctest: +SKIP
>>> run.summary["systems"]["substrate"]["accuracy"]["median"]   # doctest: +SKIP
"""

__version__ = "0.1.0"
