"""Forward error propagation: the exact gradient, errors propagated forward in time over several passes."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from hwsim.accounts.memory import LEARNING
from hwsim.learning.forward_errors import CommonOptions, Errors, ForwardErrors
from hwsim.machine import Register, Signal, Step, Workspace
from hwsim.networks import Layer, Level
from hwsim.operations import identity, join


class Options(CommonOptions, extra="forbid"):
    """Forward error propagation."""

    name: Literal["fpe"]
    warm_up: Annotated[
        Literal["direct", "seed"],
        Field(
            description="how the error before the sequence is computed: as a sum (`direct`), or by a trial run (`seed`)"
        ),
    ] = "direct"
    tangents: Annotated[
        int | None,
        Field(
            ge=1,
            description="rows of the product of Jacobians in one warm-up pass, for cells in which it is a matrix: "
            "memory of that many states, for ⌈N/m⌉ warm-up passes; by default all N, in one pass",
        ),
    ] = None

    @model_validator(mode="after")
    def _direct(self) -> Self:
        if self.tangents is not None and self.warm_up == "seed":
            raise ValueError("tangents: a trial run needs the whole product; take warm_up: direct")
        return self


class FPE(ForwardErrors):
    """Run the recursion of BPTT's errors forward: δ_t = J_{t-1}⁻ᵀ (δ_{t-1} - g_{t-1}), with g_0 = 0, from δ_0.

    A warm-up pass computes δ_0 = Σ_t P_t g_t, where P_t = J_0ᵀ J_1ᵀ … J_{t-1}ᵀ: either directly, as this sum, or from a
    trial run w_t of the same recursion, with w_0 = 0 and δ_0 = -P_T (w_T - g_T). In the next pass, each step computes
    its δ_t, and dL/dθ = Σ_t F_tᵀ δ_t. The errors that reach the layer below are exact in that pass, so the layer below
    warms up in the same pass. L layers take L + 1 passes; after p passes the top p - 1 layers have their exact
    gradient, and the layers below have none.

    Layer l of L is idle before pass L - l + 1, warms up in it, learns in the next pass, and then only sends errors to
    the layers below. Its readout needs no δ, and learns while the layer warms up. At the end of an exact pass
    δ_T = g_T; the pair is shown as `"<layer> residual"`.

    Row i of P_t is the tangent J_{t-1} … J_0 e_i, and (δ_0)_i is the sum of its products with g_t. So the warm-up may
    take m rows at a time, in ⌈N/m⌉ passes with a memory of mN in place of N². Wherever J⁻ᵀ is written, a series may
    stand: J⁻ᵀ = Σ_k (I - Jᵀ)^k (Neumann), which converges where all eigenvalues of J are within 1 of 1; its first two
    terms are 2I - Jᵀ.

    Source: Zucchet, Pourcel and Ernoult, "Forward propagation of errors through time", a post of 2026, which
    warms up by the trial run. The post prints δ_0 with the wrong sign, the product of Jacobians in the wrong order
    and without transposition, and starts the second pass from 0; its code is right. The direct warm-up is ours: it
    needs no inverse, and nothing in it grows.
    """

    def warm_ups(self, layer: Layer) -> int:
        return len(_rows(layer, self.options))

    def errors(self, layer: Layer, workspace: Workspace, top: bool) -> FromTheStart:
        return FromTheStart(layer, workspace, self.options, top)


def _rows(layer: Layer, options: Options) -> list[range]:
    """The rows of the product that each warm-up pass finds; those of a diagonal one are a single number each."""
    width = layer.cell.width
    most = options.tangents if options.tangents is not None and layer.cell.dense else width
    return [range(start, min(start + most, width)) for start in range(0, width, most)]


class FromTheStart(Errors):
    """One layer's errors: δ_0, computed in the warm-up, and δ_t, computed step by step in each later pass."""

    def __init__(self, layer: Layer, workspace: Workspace, options: Any, top: bool) -> None:
        super().__init__(layer, workspace, options, top)
        self.rows = _rows(layer, options)
        self.delta_0: list[Register] = []  # each zero until it is known
        self.product: Register  # P, or the rows of it that this pass finds

    def begin_warm_up(self, part: int) -> None:
        rows, name = self.rows[part], f"{self.layer.name} product"
        if len(self.rows) == 1:
            self.product = self.layer.cell.product(self.workspace, name)
            self.delta_0.append(self.register("error before"))
        else:
            width = self.layer.cell.width
            self.product = self.workspace.register(f"{name} {part + 1}", width, LEARNING, bundle=len(rows))
            self.delta_0.append(self.register(f"error before {part + 1}", len(rows)))
        if self.options.warm_up == "seed":
            self.open()

    def warm_up(self, level: Level, step: Step, part: int) -> None:
        """One step of a warm-up pass: P ← P Jᵀ, δ_0 ← δ_0 + P g, or a trial run of the recursion."""
        cell, g, delta_0 = level.cell, self.loss_gradient(level, learn=part == 0), self.delta_0[part]
        product = cell.extend(self._before(step, part), level.at)
        self.product.store(product)
        if self.options.warm_up == "seed":
            trial = self.advance(level.at, delta_0.load() if step.first else self.following(step))
            self.remember(trial, g, step)
            if step.last:
                assert g is not None, "the last step carries a loss"
                delta_0.store(-cell.through(product, trial - g))
        elif g is not None:
            delta_0.store(delta_0.load() + cell.through(product, g))

    def _before(self, step: Step, part: int) -> Signal:
        """P before the step."""
        if len(self.rows) == 1 or not step.first:
            return self.product.load()
        rows, machine = self.rows[part], self.layer.machine
        unit_vectors: Signal = identity(machine, self.layer.cell.width, rows.start, rows.stop)
        return unit_vectors

    def end_warm_up(self, part: int) -> None:
        self.product.release()
        if self.options.warm_up == "direct" and part == len(self.rows) - 1:
            self.open()

    def before(self, step: Step, again: bool) -> Signal:
        """δ_0 in the first step."""
        if not step.first:
            return self.following(step)
        parts = [register.load() for register in self.delta_0]
        whole: Signal = join(*parts) if len(parts) > 1 else parts[0]
        return whole
