"""Moves between wires, storages, domains and the outside: they have records, and no arithmetic but that of sums."""

from math import prod

from hwsim.operations.operation import Operation, Traffic, Unary, each, macs, one_wire

# ---- storages ----------------------------------------------------------------------------------------------------

load = Operation("load", lambda held: held)
store = Operation("store", lambda v: v)
hold = Operation("hold", lambda v: v)
"""A circuit that has a state keeps it: what a store is where a register and what makes its value are one circuit."""
push = Operation("push", lambda v: v)
pop = Operation("pop", lambda held: held)
put = Operation("put", lambda v: v)
get = Operation("get", lambda held: held)
"""Out of a queue, first in first out."""
accumulate = Operation("accumulate", lambda v: v, work=each(add=1), traffic=Traffic.SUMS)
"""Add a signal, summed over sequences, to sums."""
outer = Operation("outer", lambda v, w: v, work=macs, product=True, traffic=Traffic.OUTER_SUMS)
"""Add outer products of two signals, summed over sequences, to sums."""
program = Operation("program", lambda v: v)
"""Write devices of a matrix."""
pulse = Operation("pulse", lambda v: v, work=each(add=1, multiply=1), traffic=Traffic.CHANGES)
"""Change each weight, or coefficient, by a number of its own, summed over sequences, at the end of the step."""
renew = Operation("renew", lambda v: v)
"""Read all pairs of devices that pulses drive in one direction only; reset those that are worn, and write them anew."""
pulse_outer = Operation(
    "pulse outer",
    lambda v, w: v,
    work=lambda size: {"mac": prod(size[-2:]), "multiply": size[-2]},
    product=True,
    traffic=Traffic.OUTER_CHANGES,
)
"""Change the weights of a matrix by an outer product of two signals, summed over sequences, at the end of the step."""

# ---- input and target --------------------------------------------------------------------------------------------

present_input = Operation("input", lambda v: v)
present_target = Operation("target", lambda v: v)
present_mask = Operation("mask", lambda v: v)
"""Which sequences have a loss in a step: one wire."""
keep = Operation("keep", lambda v: v)
"""Write an input or target where it is kept to be shown again."""
replay = Operation("replay", lambda held: held)
"""Show a kept input or target again."""

# ---- between domains ---------------------------------------------------------------------------------------------

dac = Operation("dac", lambda v: v)
adc = Operation("adc", lambda v: v)
tile_adc = Operation("tile adc", lambda v: v)
"""A conversion by converters that are part of a tile."""
part_adc = Operation("part adc", lambda v: v)
"""The same of the parts of a read, its bits and phases; the sum of their numbers is what `tile_adc` gives."""

halvings = Operation("halvings", lambda v: v, shape=one_wire)
"""The power of two that a product is to be multiplied by, since inputs were halved so that no output saturates."""

# ---- full scales that are chosen ---------------------------------------------------------------------------------

shift = Unary("shift", lambda v: v, work=each(add=1))
"""A number to or from the full scale of a signal, which is a power of two: its exponent is added to."""
count = Operation("count octaves", lambda v: v, work=each(compare=1, add=1))
"""Find the octave of each value below or above full scale, and add to the counter of that octave."""
choose = Operation("choose full scale", lambda v: v, work=each(compare=1, add=1))
"""Go through the counters of octaves, and set the word of a full scale."""
