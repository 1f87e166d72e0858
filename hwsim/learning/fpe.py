"""Forward error propagation: the exact gradient, errors propagated forward in time over several passes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from hwsim.accounts.memory import LEARNING
from hwsim.learning.rule import Rule
from hwsim.machine import Register, Signal, Step, Workspace
from hwsim.networks import Layer, Network
from hwsim.records import ERROR, INFERENCE, WARM_UP


class Options(BaseModel, extra="forbid"):
    """Forward error propagation."""

    name: Literal["fpe"]
    warm_up: Annotated[
        Literal["direct", "seed"],
        Field(description="how the error before the sequence is found: summed on the way, or by a trial run"),
    ] = "direct"
    inverse: Annotated[
        Literal["exact", "two_minus"], Field(description="J⁻ᵀ, or 2I - Jᵀ, which is close to it for small steps")
    ] = "exact"
    passes: Annotated[
        int | None, Field(ge=1, description="passes over the input; by default one more than layers, which is exact")
    ] = None
    tolerance: Annotated[
        float, Field(gt=0, description="relative error at the end of a sequence that the horizon accepts")
    ] = 0.2


class FPE(Rule):
    """Run the recursion of BPTT's errors forward: δ_t = J_{t-1}⁻ᵀ (δ_{t-1} - g_{t-1}), with g_0 = 0, from δ_0.

    A warm-up pass finds δ_0 = Σ_t P_t g_t, where P_t = J_0ᵀ J_1ᵀ … J_{t-1}ᵀ: directly, by summing that, or as the post
    does it, by a trial run w_t of the same recursion from w_0 = 0 and δ_0 = -P_T (w_T - g_T). In the next pass the
    errors δ_t are there as their steps go by, and dL/dθ = Σ_t F_tᵀ δ_t. The errors that reach the layer below in that
    pass are exact too, so it can warm up in the same pass: L layers take L + 1 passes, and with p of them the top p - 1
    layers have their exact gradient and the ones below none.

    In pass p of L layers, layer l is idle if p < L - l + 1, warms up if p = L - l + 1, and has its errors after that.
    At the end δ_T = g_T holds; what is missing is shown to who watches `"<layer> residual"`.

    Source: Zucchet, Pourcel and Ernoult, "Forward propagation of errors through time", 2026. The post prints δ_0 with
    the wrong sign, the product of Jacobians in the wrong order and without transposition, and starts the second pass
    from 0; its code is right. The direct warm-up is ours: it needs no inverse, and nothing in it grows.
    """

    @property
    def uses(self) -> frozenset[str]:
        return frozenset({"transposed", "inverse"} if self.options.inverse == "exact" else {"transposed"})

    def passes(self, layers: int) -> int:
        return self.options.passes or layers + 1

    def gradients(self, network: Network) -> None:
        machine, layers = network.machine, network.layers
        with machine.workspace(keep_inputs=True) as workspace:
            states = network.states(workspace)
            errors: dict[Layer, Errors] = {}
            for number in range(1, self.passes(len(layers)) + 1):
                warming = len(layers) - number
                if warming >= 0:
                    errors[layers[warming]] = Errors(layers[warming], workspace, self.options, top=number == 1)
                for step in machine.forward_pass(f"pass {number}"):
                    machine.purpose = INFERENCE
                    output, seen = network.step(states, step)
                    machine.purpose = ERROR
                    error = network.loss_error(output, step)
                    for position in range(len(layers) - 1, max(warming, 0) - 1, -1):
                        layer, (at, readout) = layers[position], seen[position]
                        machine.layer = layer.name
                        if position == warming:
                            machine.purpose = WARM_UP
                            g = layer.readout.back(readout, error, learn=True) if error is not None else None
                            errors[layer].warm_up(at, g, step)
                        else:
                            delta = errors[layer].advance(at, step)
                            g = layer.readout.back(readout, error, learn=False) if error is not None else None
                            errors[layer].remember(delta, g, step)
                            drive = layer.cell.drive_error(at, delta)
                            if position == warming + 1:
                                layer.cell.accumulate(at, delta, drive)
                            error = layer.cell.input_error(drive) if position > 0 else None
                if warming >= 0:
                    errors[layers[warming]].end_warm_up()
        network.finish_gradient()
        machine.purpose = INFERENCE


class Errors:
    """One layer's errors: δ_0, found in the warm-up pass, and δ_t, step by step in each pass after it."""

    def __init__(self, layer: Layer, workspace: Workspace, options: Options, top: bool) -> None:
        self.layer, self.workspace, self.options, self.top = layer, workspace, options, top
        self.product = layer.cell.product(workspace, f"{layer.name} product")  # P
        self.start = self._register("error before")  # δ_0; zero until it is known
        if options.warm_up == "seed":
            self._open()

    def warm_up(self, at: Any, g: Signal | None, step: Step) -> None:
        """One step of the warm-up pass; g is None where no loss reaches the layer."""
        cell = self.layer.cell
        product = cell.extend(self.product.load(), at)
        self.product.store(product)
        if self.options.warm_up == "seed":
            trial = self.advance(at, step)
            self.remember(trial, g, step)
            if step.last:
                assert g is not None, "the last step carries a loss"
                self.start.store(-cell.through(product, trial - g))
        elif g is not None:
            self.start.store(self.start.load() + cell.through(product, g))

    def end_warm_up(self) -> None:
        self.product.release()
        if self.options.warm_up == "direct":
            self._open()

    def advance(self, at: Any, step: Step) -> Signal:
        """δ_t = J_{t-1}⁻ᵀ (δ_{t-1} - g_{t-1}), kept for the next step."""
        v = (self.start if step.first else self.delta).load()
        if step.loss_before if self.top else not step.first:
            v = v - self.g.load()
        delta = self._unwound(at, v)
        self.delta.store(delta)
        return delta

    def remember(self, delta: Signal, g: Signal | None, step: Step) -> None:
        """Keep g_t for the next step; after the last one δ_T - g_T should be zero."""
        if g is not None:
            self.g.store(g)
            if step.last:
                self.layer.machine.probe(f"{self.layer.name} residual", delta, g)

    def _unwound(self, at: Any, v: Signal) -> Signal:
        """J⁻ᵀ v, or (2I - Jᵀ) v."""
        cell = self.layer.cell
        if self.options.inverse == "exact":
            return cell.inverse_transposed(at, v)
        return 2.0 * v - cell.transposed(at, v)

    def _open(self) -> None:
        self.delta, self.g = self._register("error"), self._register("loss gradient")

    def _register(self, what: str) -> Register:
        return self.workspace.register(f"{self.layer.name} {what}", self.layer.cell.width, LEARNING)
