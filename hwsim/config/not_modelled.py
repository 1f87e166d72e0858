"""Effects that a user may look for and that are not modelled, and what to do instead; and keys of other tools."""

from hwsim.config import other_tools

_WIRES = "`parts.tiles.wires` is the resistance of the lines of a tile; that of wires between units is not modelled"
_NETWORK = (
    "a network on chip is not modelled, and moving values between units costs nothing; `parts` has no part for it"
)
_UPDATE = (
    "`update` of a data sheet is the law by which devices answer to pulses, and `training.update` how gradients become "
    "weights"
)

_EFFECTS = {
    "drift": "`drift` of the device is the law by which its conductance falls, and `deploy` of the experiment tests "
    "after waits; devices do not drift during training",
    "retention": "devices lose what they hold by `drift` of the device, or by `leak`, an exponential; nothing else is "
    "modelled. Analog registers leak by `parts.registers.retention`",
    "endurance": "`endurance` of the device says how many writes it survives, and `training.update_rate` how many "
    "updates per second there are in use",
    "faults": "`faults` of the device says which shares of devices are stuck",
    "temperature": "`read_noise: {law: thermal}` of the device and `parts.tiles.wires` have one; of all else, "
    "give the constants of the data sheet at yours",
    "area": "area as a whole is a result and not an option; `area` of a periphery and `parts.area` of a "
    "digital machine are options",
    "update": _UPDATE,
    "nonlinearity": _UPDATE,
    "wire_resistance": _WIRES,
    "ir_drop": _WIRES,
    "noc": _NETWORK,
    "network_on_chip": _NETWORK,
}
NOT_MODELLED = {
    **_EFFECTS,
    **{key: _EFFECTS[effect] for key, effect in other_tools.EFFECTS.items() if effect in _EFFECTS},
    **other_tools.KEYS,
}
"""What a message says of an unknown key."""
