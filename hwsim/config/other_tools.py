"""Keys of other simulators: which of hwsim's says the same, or that it is not modelled, and what to do instead."""

from __future__ import annotations

EFFECTS = {
    **dict.fromkeys(("drift_nu", "drift_nu_dtod", "drift_nu_std", "drift_scale", "nu"), "drift"),
    **dict.fromkeys(("lifetime", "lifetime_dtod", "decay_rate"), "retention"),
    **dict.fromkeys(("NL_LTP", "NL_LTD", "asymmetry", "symmetry_point"), "update"),
    **dict.fromkeys(("Rp_row", "Rp_col", "parasitics"), "wire_resistance"),
}
"""Other names of effects that are not modelled, with the names that `NOT_MODELLED` has."""

_PULSES = (
    "`levels` of `training.update`, with `name: in_situ` or `mixed_precision`, is the number of pulses from zero to "
    "the largest weight"
)
_SPREAD = "`update.step_spread` of the device is the spread of its steps over devices"
_NOISE = "`update.noise` of the device is the spread of a pulse from one to the next"
_WEIGHTS = "where its pulses have a law; else `parts.tiles.weight_range` is the largest weight"
_FAULTS = (
    "`faults` of the device says which shares are stuck: `low` at the least conductance, `high` at the largest, "
    "`unformed` at none"
)
_ON = "`conductance.max` of the device is what it has when it is on; 10 kOhm is 100 uS"
_OFF = "`conductance.min` of the device is what it has when it is off; 1 MOhm is 1 uS"
_RATIO = "`conductance.min` of the device is `conductance.max` divided by the ratio of on to off"
_CELL = "`programming.step` of the device is its range divided by 2^bits - 1"
_DAC = "`parts.dac.bits` is the precision of inputs; a step of 1 / (2^bits - 2) is 1/126 for 7 bits"
_ADC = "`parts.adc.bits` is the precision of outputs; a step of 1 / (2^bits - 2) is 1/510 for 9 bits"
_RANGES = "`parts.ranges` says the full scale of analog signals"
_SIZE = "`units` of a cell is the number of its units, and `modes` that of an LRU"
_RATE = "`training.optimizer.rate` is the learning rate"
_SLOPE = "`surrogate` of a spiking cell is what learning takes for the slope of a spike"

KEYS = {
    # aihwkit
    "dw_min": "`update.step` of the device is the change by one pulse",
    "up_down": "`update.up_down` of the device is the asymmetry of pulses up and down",
    "up_down_dtod": "`update.up_down_spread` of the device is the spread of that asymmetry over devices",
    "dw_min_dtod": _SPREAD,
    "dw_min_std": _NOISE,
    "w_max": f"`update.high` of the device is its upper bound, {_WEIGHTS}",
    "w_min": f"`update.low` of the device is its lower bound, {_WEIGHTS}",
    "w_max_dtod": "`update.high_spread` of the device is the spread of its upper bound",
    "w_min_dtod": "`update.low_spread` of the device is the spread of its lower bound",
    "write_noise_std": "`update.write_noise` of the device is a spread that stays until the next pulse",
    "desired_bl": "`longest` of `training.update` is the largest number of pulses for a weight",
    "inp_res": _DAC,
    "out_res": _ADC,
    "inp_noise": "noise of inputs is not modelled apart; `parts.tiles.output_noise` is that of a read",
    "out_noise": "`parts.tiles.output_noise` is the noise of a read as a share of full scale: out_noise / out_bound",
    "inp_bound": _RANGES,
    "out_bound": _RANGES,
    "w_noise": "`read_noise` of the device is the noise of conductances in each read",
    "corrupt_devices_prob": _FAULTS,
    "g_max": _ON,
    "g_min": _OFF,
    "prog_coeff": "`programming.error.coefficients` of the device is this polynomial, each coefficient with its unit",
    # CrossSim
    "Rmin": _ON,
    "Rmax": _OFF,
    "infinite_on_off_ratio": "`conductance.min` of the device may be 0 uS",
    "cell_bits": _CELL,
    # NeuroSim
    "maxConductance": _ON,
    "minConductance": _OFF,
    "sigmaCtoC": _NOISE,
    "sigmaDtoD": _SPREAD,
    "maxNumLevelLTP": _PULSES,
    "maxNumLevelLTD": _PULSES,
    "cellBit": _CELL,
    "ADCprecision": _ADC,
    # snnTorch, and PyTorch
    "beta": "`decay` of the cells lif and alif is what a membrane keeps from step to step, or `tau` with `time_step`",
    "num_steps": "`task.steps` is the number of steps of a sequence, and `training.steps` the number of updates",
    "reset_mechanism": "`reset` of a spiking cell is what a spike does to the membrane",
    "spike_grad": _SLOPE,
    "surrogate_gradient": _SLOPE,
    "lr": _RATE,
    "learning_rate": _RATE,
    "batch_size": "`training.batch` is the number of sequences for each update",
    "num_epochs": "`training.epochs` is how often training goes through its data",
    "hidden_size": _SIZE,
    "num_hidden": _SIZE,
    # of several
    "adc_bits": _ADC,
    "dac_bits": _DAC,
    "on_off_ratio": _RATIO,
    "onOffRatio": _RATIO,
    "r_on": _ON,
    "r_off": _OFF,
    "variability": "`programming.error` of the device is the spread of what is programmed, `read_noise` that of reads",
    "d2d": _SPREAD,
    "c2c": _NOISE,
    "yield": _FAULTS,
    "stuck": _FAULTS,
    "stuck_at": _FAULTS,
}
"""What a message says of them."""
