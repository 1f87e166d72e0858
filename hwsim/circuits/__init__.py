"""Numerics of imperfect units: noise, number formats, converters, crossbar arrays."""
