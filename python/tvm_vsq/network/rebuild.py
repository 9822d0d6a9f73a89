"""A pass that adds layers, or takes some away: those left keep their names, and new ones are given theirs."""

from __future__ import annotations

from functools import partial
from typing import Any

from tvm_vsq.graph import Rebuilder, replace_main
from tvm_vsq.network.names import layer_names, recorded_names, unused, with_recorded_names
from tvm_vsq.network.source import facts_of
from tvm_vsq.tvm_compat import Call, IRModule, Var


def is_nonnegative(rebuilder: Rebuilder, x: Any) -> bool:
    """Whether the operators that compute `x`, of the new function, say that no element is below 0."""
    call = rebuilder.value_of(x)
    return isinstance(call, Call) and facts_of(call).nonnegative(call, partial(is_nonnegative, rebuilder))


class LayerRebuilder(Rebuilder):
    """A Rebuilder that records names anew: `layer` emits one with a name."""

    def __init__(self, module: IRModule) -> None:
        super().__init__(module["main"])
        self._module = module
        self._recorded = recorded_names(module)
        self._named: dict[Var, str] = {}

    def name_of(self, var: Var) -> str:
        """The recorded name of an old variable's layer; "" if it has none."""
        return self._recorded.get(var, "")

    def layer(self, call: Any, name: str) -> Var:
        """`emit`, of a layer of this name."""
        var = self.emit(call)
        self._named[var] = name
        return var

    def rebuilt(self) -> IRModule:
        """The module with what `run` gives, and with the names of its layers."""
        function = self.run()
        names = dict(self._named)
        for old, name in self._recorded.items():
            new = function.body.body if old.same_as(self.old.body.body) else self.new(old)
            if isinstance(new, Var):
                names.setdefault(new, name)
        return with_recorded_names(replace_main(self._module, function), names)


class FinalRebuilder(LayerRebuilder):
    """The same for passes behind the import, where default names are final, too: they count no new layers."""

    def __init__(self, module: IRModule) -> None:
        super().__init__(module)
        self._recorded = self.names = layer_names(module)
        self._taken = set(self.names.values())

    def add(self, layer: Any, name: str) -> Var:
        """`layer`, with a number behind a name that is taken."""
        found = unused(name, self._taken)
        self._taken.add(found)
        return self.layer(layer, found)

    def keep(self, layer: Var, old: Var) -> Var:
        """`layer` of the new network is what `old`, a layer of the old one, has become."""
        if old in self.names:
            self._named[layer] = self.names[old]
        return layer
