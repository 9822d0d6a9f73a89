"""A mapped netlist: read from yosys, written as Verilog, and simulated on whole waveforms at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from library import SUPPLY_V, Cell, cells

BUFFER, MOST_PF = "BUFX4", 0.3  # about twenty gates

Wave = int  # bit t is the net's value in clock t


@dataclass(frozen=True)
class Instance:
    """A cell, and the net at each of its pins.

    place: the instance of the block that it came from, as in tree.level[0].pair[3].add.
    """

    name: str
    cell: Cell
    pins: Mapping[str, str]
    place: str = ""

    def energy_pj(self, toggles: Mapping[str, float]) -> float:
        """When each net changes `toggles` times: half C V^2 of what its inputs load nets with, and inside.

        So a net's load counts where it is, not where it is driven. A flip-flop's clock is not in it.
        """
        cell, changing = self.cell, self.cell.functions or {"Q": "", self.cell.data: ""}
        load = sum(pf * toggles.get(self.pins[pin], 0) for pin, pf in cell.capacitance.items())
        inside = sum(cell.energy_pj[pin] * toggles.get(self.pins[pin], 0) for pin in changing)
        return 0.5 * SUPPLY_V**2 * load + inside


@dataclass(frozen=True)
class Netlist:
    """ports: nets of each, the lowest bit first. Nets are named n<number>, constants 0 and 1."""

    inputs: Mapping[str, tuple[str, ...]]
    outputs: Mapping[str, tuple[str, ...]]
    instances: tuple[Instance, ...]

    @classmethod
    def read(cls, path: Path) -> Netlist:
        """The flat module `top` of a JSON netlist."""
        module = json.loads(path.read_text())["modules"]["top"]
        ports = {
            way: {n: tuple(map(_net, p["bits"])) for n, p in module["ports"].items() if p["direction"] == way}
            for way in ("input", "output")
        }
        inputs, outputs = ports["input"], ports["output"]
        library, found = cells(), []
        for number, (path_name, cell) in enumerate(module["cells"].items()):
            pins = dict(cell["connections"])
            if cell["type"] not in library:
                # A memory macro: what it gives comes from outside, what it takes goes there.
                for pin, bits in pins.items():
                    way = outputs if cell["port_directions"][pin] == "input" else inputs
                    if pin != "clock":
                        way[f"memory_{pin}"] = tuple(map(_net, bits))
                continue
            nets = {pin: _net(bits[0]) for pin, bits in pins.items()}
            found.append(Instance(f"u{number}", library[cell["type"]], nets, _place(path_name)))
        return cls(inputs, outputs, tuple(found))

    def buffered(self) -> Netlist:
        """With trees of buffers where a net has more load than a buffer should drive: yosys sees to none."""
        buffer, found, changed = cells()[BUFFER], [], {}
        for net in sorted(self._sinks):
            sinks, level = self._sinks[net], 0
            while sum(load for _, load in sinks) > MOST_PF:
                groups = _grouped(sinks)
                sinks = []
                for number, group in enumerate(groups):
                    name = f"{net}_{level}_{number}"
                    changed.update(dict.fromkeys((sink for sink, _ in group), name))
                    sinks.append(((f"b{name}", "A"), buffer.capacitance["A"]))
                    found.append((f"b{name}", name))
                level += 1
            changed.update(dict.fromkeys((sink for sink, _ in sinks if sink[0].startswith("b")), net))
        added = [
            Instance(name, buffer, {"A": changed[name, "A"], "Y": net}, "buffers") for name, net in found
        ]
        moved = [
            replace(old, pins={pin: changed.get((old.name, pin), net) for pin, net in old.pins.items()})
            for old in self.instances
        ]
        return replace(self, instances=(*moved, *added))

    @cached_property
    def _sinks(self) -> dict[str, list[tuple[tuple[str, str], float]]]:
        """Input pins at each net but the clock's and constants, with their capacitance."""
        sinks: dict[str, list[tuple[tuple[str, str], float]]] = {}
        for instance in self.instances:
            for pin, capacitance in instance.cell.capacitance.items():
                net = instance.pins[pin]
                if net not in ("0", "1", *self.inputs.get("clock", ())):
                    sinks.setdefault(net, []).append(((instance.name, pin), capacitance))
        return sinks

    @property
    def area(self) -> float:
        """Of all cells, in um2."""
        return sum(instance.cell.area for instance in self.instances)

    @property
    def leakage_nw(self) -> float:
        """Of all cells."""
        return sum(instance.cell.leakage_nw for instance in self.instances)

    @property
    def clock_pj(self) -> float:
        """Of a clock period, in all flip-flops."""
        return sum(instance.cell.clock_pj for instance in self.instances)

    def verilog(self) -> str:
        """As a module `top` of cells alone, which OpenSTA reads."""
        driver = {net: f"{name}[{i}]" for name, bits in self.inputs.items() for i, net in enumerate(bits)}
        wide = {name for name, bits in {**self.inputs, **self.outputs}.items() if len(bits) > 1}
        driver = {
            net: text if text.split("[")[0] in wide else text.split("[")[0] for net, text in driver.items()
        }

        def at(net: str) -> str:
            return {"0": "1'b0", "1": "1'b1"}.get(net, driver.get(net, net))

        lines = [f"module top({', '.join([*self.inputs, *self.outputs])});"]
        for way, ports in (("input", self.inputs), ("output", self.outputs)):
            lines += [f"  {way} {_range(bits)}{name};" for name, bits in ports.items()]
        nets = {n for i in self.instances for n in i.pins.values()} - set(driver) - {"0", "1"}
        lines += [f"  wire {net};" for net in sorted(nets)]
        for name, bits in self.outputs.items():
            for i, net in enumerate(bits):
                lines.append(f"  assign {name}{f'[{i}]' if len(bits) > 1 else ''} = {at(net)};")
        for instance in self.instances:
            pins = ", ".join(f".{pin}({at(net)})" for pin, net in instance.pins.items())
            lines.append(f"  {instance.cell.name} {instance.name} ({pins});")
        return "\n".join([*lines, "endmodule", ""])

    def waves(self, inputs: Mapping[str, Iterable[Wave]], clocks: int) -> dict[str, Wave]:
        """The waveform of every net over `clocks` clocks, without delays, given those of ports' bits.

        What a flip-flop holds before is 0. A loop through flip-flops is followed while that changes anything.
        """
        waves = {"0": 0, "1": (1 << clocks) - 1}
        for name, given in inputs.items():
            waves.update(zip(self.inputs[name], given, strict=True))
        waves.update(dict.fromkeys((net for net, _, _ in self._program), 0))
        ones, before = (1 << clocks) - 1, None
        for _ in range(clocks + 1):
            self._evaluate(waves, ones)
            held = [waves[flop.pins["Q"]] for flop in self._flops]
            if held == before:
                break
            before = held
        return waves

    @cached_property
    def _flops(self) -> tuple[Instance, ...]:
        return tuple(instance for instance in self.instances if instance.cell.data)

    @cached_property
    def _order(self) -> tuple[Instance, ...]:
        """All instances, each behind what it reads unless there is a loop: a pass settles a pipeline."""
        driver = {i.pins[pin]: i for i in self.instances for pin in (i.cell.functions or {"Q": ""})}
        order: list[Instance] = []
        state: dict[str, int] = {}
        for root in self.instances:
            stack = [(root, False)]
            while stack:
                instance, done = stack.pop()
                if done:
                    order.append(instance)
                    continue
                if instance.name in state:
                    continue
                state[instance.name] = 1
                stack.append((instance, True))
                reads = [instance.pins[instance.cell.data]] if instance.cell.data else instance.pins.values()
                stack += [
                    (driver[net], False) for net in reads if net in driver and driver[net].name not in state
                ]
        return tuple(order)

    @cached_property
    def _program(self) -> list[tuple[str, object, tuple[str, ...]]]:
        compiled: dict[str, object] = {}
        program = []
        for instance in self._order:
            cell = instance.cell
            if cell.data:
                program.append((instance.pins["Q"], None, (instance.pins[cell.data],)))
            for pin, text in cell.functions.items():
                names = tuple(cell.capacitance)
                if text not in compiled:
                    compiled[text] = eval(f"lambda ones, {', '.join(names)}: {text}")
                program.append((instance.pins[pin], compiled[text], tuple(instance.pins[n] for n in names)))
        return program

    def _evaluate(self, waves: dict[str, Wave], ones: int) -> None:
        for net, function, reads in self._program:
            if function is None:
                waves[net] = (waves[reads[0]] << 1) & ones
            else:
                waves[net] = function(ones, *[waves[read] for read in reads]) & ones  # type: ignore[operator]


def _grouped(
    sinks: list[tuple[tuple[str, str], float]],
) -> list[list[tuple[tuple[str, str], float]]]:
    """Neighbours together, each group with as much load as one buffer drives."""
    groups: list[list[tuple[tuple[str, str], float]]] = [[]]
    for sink in sinks:
        if groups[-1] and sum(load for _, load in groups[-1]) + sink[1] > MOST_PF:
            groups.append([])
        groups[-1].append(sink)
    return groups


def toggles(waves: Mapping[str, Wave], clocks: int, skip: int = 0) -> dict[str, int]:
    """Changes of each net from clock to clock, from clock `skip` on."""
    mask = ((1 << (clocks - 1)) - 1) >> skip << skip
    return {net: ((wave ^ (wave >> 1)) & mask).bit_count() for net, wave in waves.items()}


def _place(name: str) -> str:
    r"""From $flatten\tree.\level[0].pair[3].add.$abc$27... what stands before yosys' own."""
    return re.sub(r"^\$flatten|\\|\.?\$(abc|auto|techmap).*$", "", name)


def _net(bit: int | str) -> str:
    return f"n{bit}" if isinstance(bit, int) else "0" if bit in ("x", "z") else bit


def _range(bits: tuple[str, ...]) -> str:
    return f"[{len(bits) - 1}:0] " if len(bits) > 1 else ""
