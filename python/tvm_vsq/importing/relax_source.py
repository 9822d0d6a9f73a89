"""A Relax module, run as it came."""

from __future__ import annotations

from collections.abc import Sequence

from tvm_vsq.frontend.source import Array
from tvm_vsq.importing.run import results_of
from tvm_vsq.tvm_compat import IRModule


class RelaxSource:
    """See `frontend.source.Source`: what can go wrong are the passes that lead to the canonical form."""

    title = "Relax module"
    examples = None

    def __init__(self, module: IRModule) -> None:
        self._module = module

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """The results of "main"."""
        return results_of(self._module, inputs)

    def opened(self) -> None:
        """Its operators are those of the canonical form."""

    def inside(self, inputs: Sequence[Array]) -> list[Array]:
        """Nothing, as there is nothing to open."""
        return []
