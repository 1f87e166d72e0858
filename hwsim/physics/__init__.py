"""Physics of conductance devices, as their data sheets describe them."""

from hwsim.physics.sheet import DataSheet

__all__ = ["DataSheet"]
