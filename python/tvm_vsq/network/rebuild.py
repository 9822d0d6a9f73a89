"""Rebuilds a network with layers more or less, whose names stay theirs."""

from __future__ import annotations

from tvm import relax

from tvm_vsq.graph import Rebuilder, bindings, replace_main
from tvm_vsq.network.names import layer_names, unused, weighted_layers, weightless_layers, with_layer_names
from tvm_vsq.tvm_compat import IRModule, Var


class LayerRebuilder(Rebuilder):
    """A Rebuilder of the "main" of `module`; layers that it adds get their names from `add`."""

    def __init__(self, module: IRModule) -> None:
        super().__init__(module["main"])
        self.module = module
        self.names = layer_names(module)
        self._taken = set(self.names.values())
        self._added: dict[Var, str] = {}

    def add(self, layer: relax.Expr, name: str) -> Var:
        """Bind a new layer, whose name is `name` or, where that is taken, like it."""
        var = self.emit(layer)
        self._added[var] = unused(name, self._taken)
        self._taken.add(self._added[var])
        return var

    def keep(self, layer: Var, old: Var) -> Var:
        """`layer` of the new network is what `old`, a layer of the old one, has become."""
        if old in self.names:
            self._added[layer] = self.names[old]
        return layer

    def rebuilt(self) -> IRModule:
        """The new module."""
        function = self.run()
        kept = {self.new(old): name for old, name in self.names.items()}
        names: dict[Var, str] = {}
        for binding in bindings(function):
            # of the last one, `new` knows the call
            last = next((name for key, name in kept.items() if key.same_as(binding.value)), "")
            names[binding.var] = self._added.get(binding.var) or kept.get(binding.var) or last
        orders = (
            [names[var] for var in layers]
            for layers in (weighted_layers(function), weightless_layers(function))
        )
        return with_layer_names(replace_main(self.module, function), *orders)
