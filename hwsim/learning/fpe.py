"""Forward error propagation: the exact gradient, errors propagated forward in time over several passes."""

from __future__ import annotations

from math import inf
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from hwsim.accounts.memory import LEARNING
from hwsim.errors import ConfigError
from hwsim.learning.diagnostics import Diagnostic, Look
from hwsim.learning.horizon import Horizon, Precision
from hwsim.learning.rule import Rule
from hwsim.machine import Register, Signal, Step, Workspace
from hwsim.networks import Layer, Level, Network
from hwsim.records import WARM_UP


class Options(BaseModel, extra="forbid"):
    """Forward error propagation."""

    name: Literal["fpe"]
    warm_up: Annotated[
        Literal["direct", "seed"],
        Field(
            description="how the error before the sequence is computed: as a sum (`direct`), or by a trial run (`seed`)"
        ),
    ] = "direct"
    inverse: Annotated[
        Literal["exact", "two_minus"],
        Field(description="J⁻ᵀ, or its approximation 2I - Jᵀ, which is close where J is near I"),
    ] = "exact"
    passes: Annotated[
        int | None,
        Field(ge=1, description="passes over the input; by default the number of layers plus one, which is exact"),
    ] = None
    tolerance: Annotated[
        float, Field(gt=0, description="relative error at the end of a sequence that the horizon accepts")
    ] = 0.2


class FPE(Rule):
    """Run the recursion of BPTT's errors forward: δ_t = J_{t-1}⁻ᵀ (δ_{t-1} - g_{t-1}), with g_0 = 0, from δ_0.

    A warm-up pass computes δ_0 = Σ_t P_t g_t, where P_t = J_0ᵀ J_1ᵀ … J_{t-1}ᵀ: either directly, as this sum, or from a
    trial run w_t of the same recursion, with w_0 = 0 and δ_0 = -P_T (w_T - g_T). In the next pass, each step computes
    its δ_t, and dL/dθ = Σ_t F_tᵀ δ_t. The errors that reach the layer below are exact in that pass, so the layer below
    warms up in the same pass. L layers take L + 1 passes; after p passes the top p - 1 layers have their exact
    gradient, and the layers below have none.

    Layer l of L is idle before pass L - l + 1, warms up in it, learns in the next pass, and then only sends errors to
    the layers below. Its readout needs no δ, and learns while the layer warms up. At the end of an exact pass
    δ_T = g_T; the pair is shown as `"<layer> residual"`.

    Source: Zucchet, Pourcel and Ernoult, "Forward propagation of errors through time", a post of 2026, which
    warms up by the trial run. The post prints δ_0 with the wrong sign, the product of Jacobians in the wrong order
    and without transposition, and starts the second pass from 0; its code is right. The direct warm-up is ours: it
    needs no inverse, and nothing in it grows.
    """

    compares = ("residual",)

    @property
    def uses(self) -> frozenset[str]:
        return frozenset({"transposed", "inverse"} if self.options.inverse == "exact" else {"transposed"})

    def check(self, network: Network) -> None:
        most = len(network.layers) + 1
        if self.passes(len(network.layers)) > most:
            raise ConfigError(f"learning.passes: {self.options.passes} are too many; fpe is exact after {most}")

    def passes(self, layers: int) -> int:
        return self.options.passes or layers + 1

    def horizon(self, look: Look) -> Horizon | None:
        return Horizon.of(look.steps, look.forgetting(), Precision.of(look), self.options.tolerance)

    def diagnostics(self, look: Look) -> list[Diagnostic]:
        horizon = super().diagnostics(look)
        if not horizon:  # at weights that are no numbers all errors are off
            return []
        missing, said = look.differences("residual"), None
        off = {layer: share for layer, share in missing.items() if share > self.options.tolerance}
        if off:
            by = ", ".join(
                f"more than any number in {layer}" if share == inf else f"{share:.0%} in {layer}"
                for layer, share in off.items()
            )
            said = (
                f"in the last training step, the errors propagated to the end of a sequence were off by {by}. Fresh "
                "noise makes forward signals differ from pass to pass, which the horizon does not count"
            )
        what = "relative error of errors at the end of a sequence"
        residual = Diagnostic("end_residual", "", what, missing, verdict=said, good=False if off else None)
        return [residual, *horizon]

    def gradients(self, network: Network) -> None:
        machine, layers = network.machine, network.layers
        with machine.workspace(keep_inputs=True) as workspace:
            states = network.states(workspace)
            errors: dict[Layer, Errors] = {}  # of the layers that are no longer idle, from the top
            for number in range(1, self.passes(len(layers)) + 1):
                warming = layers[-number] if number <= len(layers) else None
                learning = layers[1 - number] if number > 1 else None
                if warming:
                    errors[warming] = Errors(warming, workspace, self.options, top=number == 1)
                for step in machine.forward_pass(f"pass {number}"):
                    output, seen = network.step(states, step)
                    for level in network.downward(network.loss_error(output, step), seen):
                        if level.layer is warming:
                            with machine.part(purpose=WARM_UP):
                                errors[warming].warm_up(level, step)
                        elif level.layer in errors:
                            errors[level.layer].propagate(level, step, learn=level.layer is learning)
                if warming:
                    errors[warming].end_warm_up()
        network.finish_gradient()


class Errors:
    """One layer's errors: δ_0, computed in the warm-up pass, and δ_t, computed step by step in each later pass."""

    def __init__(self, layer: Layer, workspace: Workspace, options: Options, top: bool) -> None:
        self.layer, self.workspace, self.options, self.top = layer, workspace, options, top
        self.product = layer.cell.product(workspace, f"{layer.name} product")  # P
        self.delta_0 = self._register("error before")  # zero until it is known
        if options.warm_up == "seed":
            self._open()

    def warm_up(self, level: Level, step: Step) -> None:
        """One step of the warm-up pass: P ← P Jᵀ, δ_0 ← δ_0 + P g, or a trial run of the recursion."""
        cell, g = level.cell, level.g()
        product = cell.extend(self.product.load(), level.at)
        self.product.store(product)
        if self.options.warm_up == "seed":
            trial = self._advance(level.at, step)
            self._remember(trial, g, step)
            if step.last:
                assert g is not None, "the last step carries a loss"
                self.delta_0.store(-cell.through(product, trial - g))
        elif g is not None:
            self.delta_0.store(self.delta_0.load() + cell.through(product, g))

    def end_warm_up(self) -> None:
        self.product.release()
        if self.options.warm_up == "direct":
            self._open()

    def propagate(self, level: Level, step: Step, learn: bool) -> None:
        """One step of a later pass: sends the error at the layer's output on to its input."""
        delta = self._advance(level.at, step)
        self._remember(delta, level.g(learn=False), step)
        if learn:
            level.learn(delta)  # F_tᵀ δ_t
        else:
            level.send(delta)

    def _advance(self, at: Any, step: Step) -> Signal:
        """δ_t = J_{t-1}⁻ᵀ (δ_{t-1} - g_{t-1}), kept for the next step."""
        v = (self.delta_0 if step.first else self.delta).load()
        if step.loss_before if self.top else not step.first:
            v = v - self.g.load()
        delta = self._inverse_transposed(at, v)
        self.delta.store(delta)
        return delta

    def _remember(self, delta: Signal, g: Signal | None, step: Step) -> None:
        """Keep g_t for the next step; after the last step, δ_T - g_T should be zero."""
        if g is not None:
            self.g.store(g)
            if step.last:
                self.layer.machine.probe(f"{self.layer.name} residual", delta, g)

    def _inverse_transposed(self, at: Any, v: Signal) -> Signal:
        """J⁻ᵀ v, or (2I - Jᵀ) v."""
        cell = self.layer.cell
        if self.options.inverse == "exact":
            return cell.inverse_transposed(at, v)
        return 2.0 * v - cell.transposed(at, v)

    def _open(self) -> None:
        self.delta, self.g = self._register("error"), self._register("loss gradient")

    def _register(self, what: str) -> Register:
        return self.workspace.register(f"{self.layer.name} {what}", self.layer.cell.width, LEARNING)
