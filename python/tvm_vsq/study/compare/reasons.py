"""Why two inferences of a network differ, in words: every sentence follows from the numbers of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

from tvm_vsq.hardware import STANDING, HardwareConfig, energy_by_part
from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.isa import UNITS
from tvm_vsq.runtime import Profile
from tvm_vsq.runtime.causes import happens
from tvm_vsq.runtime.steps import STEPS
from tvm_vsq.study.compare.columns import change
from tvm_vsq.study.compare.rows import LayerRow

_NAMED = 3
_SMALL = 0.01  # of the first profile's total: what differs by less is not worth a sentence

_OF_MEMORY = {"DRAM": "bytes", "scratchpads": "bits"}
_PADS = {"weights": "wgt", "activations": "inp", "results": "out"}


@dataclass(frozen=True)
class Pair:
    """Two inferences by their names, and their layers side by side. Differences are `b` less `a`."""

    a: str
    b: str
    before: Profile
    after: Profile
    rows: Sequence[LayerRow]

    @property
    def shared(self) -> list[LayerRow]:
        """Rows that both have."""
        return [row for row in self.rows if row.layers[self.a] and row.layers[self.b]]


def reasons(pair: Pair) -> tuple[str, ...]:
    """Sentences: cycles, energy, DRAM traffic, and what only one of both has."""
    return (
        *_of_cycles(pair),
        *_of_padding(pair),
        *_of_traffic(pair),
        *_of_energy(pair),
        *_of_schedules(pair),
        *_of_other_layers(pair),
    )


def _of_cycles(pair: Pair) -> Iterator[str]:
    before, after = pair.before, pair.after
    if before.cycles == after.cycles:
        yield f"'{pair.b}' takes as many cycles as '{pair.a}', {after.cycles:,}"
    else:
        yield (
            f"'{pair.b}' takes {after.cycles:,} cycles in place of {before.cycles:,} "
            f"({change(before.cycles, after.cycles)})" + _layers_of(pair)
        )
    if before.clock_mhz != after.clock_mhz:
        yield (
            f"the clock has {after.clock_mhz} MHz in place of {before.clock_mhz}, so that the time is "
            f"{after.milliseconds:.3f} ms in place of {before.milliseconds:.3f} "
            f"({change(before.milliseconds, after.milliseconds)})"
        )
    steps = _steps(pair)
    least = _SMALL * before.cycles
    largest = sorted(steps, key=lambda step: -abs(sum(steps[step].values())))
    for step, data in largest[:_NAMED]:
        by_layer = steps[step, data]
        total = sum(by_layer.values())
        if abs(total) < least or not total:
            continue
        most = sorted(by_layer, key=lambda name: -total * by_layer[name])[:_NAMED]
        named = [name for name in most if by_layer[name] * total > 0]
        why = list(_facts(pair, step, data, named, total)) or [_without_facts(pair, step, total)]
        yield (
            f"{total:+,} cycles of the critical path in which {happens(step, data)} ("
            + ", ".join(f"'{name}' {by_layer[name]:+,}" for name in named)
            + f"): {'; '.join(why)}"
        )


def _layers_of(pair: Pair) -> str:
    """Which layers make the difference, those with most first."""
    found = {row.name: row.cycles(pair.b) - row.cycles(pair.a) for row in pair.rows}
    total = sum(found.values())
    order = sorted(found, key=lambda name: -total * found[name])
    most = [name for name in order if found[name] * total > 0][:_NAMED]
    named = ", ".join(f"'{name}' {found[name]:+,}" for name in most)
    rest = total - sum(found[name] for name in most)
    return f": {named}" + (f", all others {rest:+,}" if rest else "")


def _steps(pair: Pair) -> dict[tuple[str, str], dict[str, int]]:
    """Differences on the critical path, by what happens and by row; all together those of the cycles."""
    names = {layer.name: row.name for row in pair.rows for layers in row.layers.values() for layer in layers}
    steps: dict[tuple[str, str], dict[str, int]] = {}
    for profile, sign in ((pair.before, -1), (pair.after, 1)):
        for cause in profile.why().causes:
            found = steps.setdefault((cause.step, cause.data), {})
            for layer, cycles in cause.layers.items():
                found[names[layer]] = found.get(names[layer], 0) + sign * cycles
    return steps


def _facts(pair: Pair, step: str, data: str, layers: Sequence[str], total: int) -> Iterator[str]:
    """What of the two makes such a difference: only facts that change cycles into its direction."""
    before, after = pair.before.hardware, pair.after.hardware
    rows = [row for row in pair.shared if row.name in layers]
    for need in STEPS[step].needs:
        old, new = (attrgetter(need.field)(hardware) for hardware in (before, after))
        if (new - old) * need.sign * total > 0 and (not need.event or _have(rows, need.event)):
            yield f"{need.field} is {new} in place of {old}"
    if step == "DRAM transfer":
        yield from _facts_of_transfers(pair, data, rows, total)
    if step == "compute":
        yield from _facts_of_the_array(pair, data, rows, total)
    if step in ("fetch", "DMA setup and rows"):
        old, new = (
            sum(layer.instructions for row in rows for layer in row.layers[name]) for name in (pair.a, pair.b)
        )
        if (new - old) * total > 0:
            yield f"these layers have {new:,} instructions in place of {old:,}"
    if tuned := [row.name for row in rows if row.tuned(pair.a) != row.tuned(pair.b)]:
        kind = "tuned" if rows and _row(rows, tuned[0]).tuned(pair.b) else "default"
        other = "default" if kind == "tuned" else "tuned"
        yield f"{_quoted(tuned)} with a {kind} schedule in place of a {other} one"


def _facts_of_transfers(pair: Pair, data: str, rows: Sequence[LayerRow], total: int) -> Iterator[str]:
    before, after = pair.before.hardware, pair.after.hardware
    old, new = bits_of(before).get(data), bits_of(after).get(data)
    if old is not None and new is not None and (new - old) * total > 0:
        yield f"{data} take {new:g} in place of {old:g} bits an element in DRAM"
    padded = _padded_sides(pair, rows, total)
    if data in _PADS and padded:
        yield f"vectors are filled up: {padded}"
    ratios = [
        sum(row.dram_bytes(name) for row in rows) / max(1, sum(row.minimum_dram_bytes(name) for row in rows))
        for name in (pair.a, pair.b)
    ]
    if (ratios[1] - ratios[0]) * total > 0 and abs(ratios[1] - ratios[0]) > 0.01 * ratios[0]:
        pads = [
            f"{pad}_kib {new} in place of {old}"
            for pad in _PADS.values()
            if (old := getattr(before.scratchpads, f"{pad}_kib"))
            != (new := getattr(after.scratchpads, f"{pad}_kib"))
        ]
        sizes = f" ({', '.join(pads)})" if pads else ""
        yield f"these layers move {ratios[1]:.2f} in place of {ratios[0]:.2f} times the least{sizes}"


def _facts_of_the_array(pair: Pair, data: str, rows: Sequence[LayerRow], total: int) -> Iterator[str]:
    old, new = (sum(row.macs(name) for row in rows) for name in (pair.a, pair.b))
    if old and (new - old) * total > 0:
        yield f"{new / old:g} times the products, as elements are taken digit by digit in passes"
    if data and (padded := _padded_sides(pair, rows, total)):
        size, other = pair.after.hardware.vector_size, pair.before.hardware.vector_size
        machine = f" for vectors of {size} in place of {other}" if (size - other) * total > 0 else ""
        yield f"channels are filled up{machine}: {padded}"


def _padded_sides(pair: Pair, rows: Sequence[LayerRow], total: int) -> str:
    """Channels that are filled up differently, in the direction of `total`."""
    found = []
    for row in rows:
        for old, new in zip(row.layers[pair.a], row.layers[pair.b], strict=False):
            for side, was, now in zip(
                ("input", "output"), old.padded_channels, new.padded_channels, strict=True
            ):
                if (now - was) * total > 0:
                    real = new.channels[0 if side == "input" else 1]
                    found.append(f"'{row.name}' {side} {real} -> {now} in place of {was}")
    return ", ".join(found[:_NAMED])


def _of_padding(pair: Pair) -> Iterator[str]:
    before, after = pair.before, pair.after
    old, new = before.padding, after.padding
    if abs(new - old) < _SMALL:
        return
    sides = _padded_sides(pair, pair.shared, 1 if new > old else -1)
    yield (
        f"{new:.1%} in place of {old:.1%} of the array's products are padding"
        + (f": {sides}" if sides else "")
        + f"; it multiplies for {after.padded_macs // after.hardware.macs_per_cycle:,} cycles in place of "
        f"{before.padded_macs // before.hardware.macs_per_cycle:,}"
    )


def _without_facts(pair: Pair, step: str, total: int) -> str:
    """A step that costs the same in both may still decide more or less often when the inference ends."""
    if step not in UNITS:
        return "no field and no format explains it; both profiles' why() show where"
    old, new = pair.before.engine_busy[step], pair.after.engine_busy[step]
    works = f"{step} works for {new:,} cycles " + ("in both" if old == new else f"in place of {old:,}")
    if (new - old) * total > 0 and abs(new - old) > abs(total) / 2:
        return works
    decides = [
        sum(cause.cycles for cause in profile.why().causes if cause.step == step)
        for profile in (pair.before, pair.after)
    ]
    return f"{works}; {decides[1]:,} in place of {decides[0]:,} decide the end"


def bits_of(hardware: HardwareConfig) -> dict[str, float]:
    """Bits that an element takes in DRAM with its part of a scale, in whole bytes a record."""
    records, size = hardware.record_bytes, hardware.vector_size
    activation = 8 * records["inp"] / size
    weight = 8 * records["wgt"] / (size * hardware.output_lanes)
    return {"weights": weight, "activations": activation, "results": activation}


def _of_traffic(pair: Pair) -> Iterator[str]:
    before, after = pair.before, pair.after
    if abs(after.dram_bytes - before.dram_bytes) < _SMALL * before.dram_bytes:
        return
    sentence = (
        f"'{pair.b}' moves {after.dram_bytes:,} DRAM bytes in place of {before.dram_bytes:,} "
        f"({change(before.dram_bytes, after.dram_bytes)})"
    )
    total = after.dram_bytes - before.dram_bytes
    parts: list[tuple[float, str]] = []
    least = after.minimum_dram_bytes - before.minimum_dram_bytes
    if least:
        parts.append(
            (
                least,
                f"the least that layers move is {after.minimum_dram_bytes:,} in place of "
                f"{before.minimum_dram_bytes:,}{_of_the_least(pair, least)}",
            )
        )
    ratio = after.dram_ratio - before.dram_ratio
    if abs(ratio) > _SMALL:
        parts.append(
            (ratio, f"{after.dram_ratio:.2f} in place of {before.dram_ratio:.2f} times the least is moved")
        )
    causes = [text for sign, text in parts if sign * total > 0]
    against = [text for sign, text in parts if sign * total < 0]
    texts = [", and ".join(each) for each in (causes, against) if each]
    yield sentence + (f": {', but '.join(texts)}" if causes else "")


def _of_the_least(pair: Pair, least: int) -> str:
    """What makes layers have to move more, or fewer, bytes: only facts of the direction of `least`."""
    old, new = bits_of(pair.before.hardware), bits_of(pair.after.hardware)
    found = [
        f"{data} take {new[data]:g} in place of {old[data]:g} bits an element"
        for data in ("weights", "activations")
        if (new[data] - old[data]) * least > 0
    ]
    if padded := _padded_sides(pair, pair.shared, least):
        found.append(f"vectors are filled up: {padded}")
    return f" ({', '.join(found)})" if found else ""


def _of_energy(pair: Pair) -> Iterator[str]:
    before, after = pair.before, pair.after
    old, new = before.energy_by_part(), after.energy_by_part()
    if before.technology != after.technology:
        yield (
            f"energies of '{pair.b}' are by {after.technology.name}, those of '{pair.a}' by "
            f"{before.technology.name}"
        )
    sentence = (
        f"'{pair.b}' takes {after.energy_pj / 1e6:,.2f} uJ in place of {before.energy_pj / 1e6:,.2f} "
        f"({change(before.energy_pj, after.energy_pj)})"
    )
    events = _events_at_costs(after, before)
    largest = sorted({*old, *new}, key=lambda part: -abs(new.get(part, 0) - old.get(part, 0)))
    parts = []
    for part in largest[:_NAMED]:
        total = new.get(part, 0) - old.get(part, 0)
        if abs(total) < _SMALL * before.energy_pj:
            continue
        by_events = events.get(part, 0) - old.get(part, 0)
        parts.append(f"{part} {total / 1e6:+,.2f} uJ ({_of_what(part, by_events, total - by_events)})")
    yield sentence + (f": {', '.join(parts)}" if parts else "")


def _events_at_costs(of: Profile, at: Profile) -> dict[str, float]:
    """Energy by part of the events and cycles of one inference at what they cost in another one."""
    sums: dict[str, float] = {}
    events = {name: sum(layer.events[name] for layer in of.layers) for name in EVENTS}
    found = energy_by_part(events, at.hardware, at.technology, of.cycles, of.engine_busy)
    for part, pj in found.items():
        sums[part] = sums.get(part, 0.0) + pj
    return sums


def _of_what(part: str, by_events: float, by_cost: float) -> str:
    """The two parts of a difference: how many events there are, and what one takes."""
    many = "the time" if part in STANDING else "the number of operations"
    cost = "power" if part in STANDING else "what one takes"
    if part in _OF_MEMORY:
        many, cost = _OF_MEMORY[part], f"what a {_OF_MEMORY[part][:-1]} takes"
    if abs(by_events) < _SMALL * abs(by_cost):
        return f"all by {cost}"
    if abs(by_cost) < _SMALL * abs(by_events):
        return f"all by {many}"
    return f"{by_events / 1e6:+,.2f} by {many}, {by_cost / 1e6:+,.2f} by {cost}"


def _of_schedules(pair: Pair) -> Iterator[str]:
    changed = [row for row in pair.shared if row.tuned(pair.a) != row.tuned(pair.b)]
    if not changed:
        return
    counts = [sum(row.tuned(name) for row in pair.shared) for name in (pair.a, pair.b)]
    cycles = sum(row.cycles(pair.b) - row.cycles(pair.a) for row in changed)
    yield (
        f"{counts[1]} of {len(pair.shared)} layers have tuned schedules in '{pair.b}', {counts[0]} in "
        f"'{pair.a}'; the {len(changed)} that differ make {cycles:+,} cycles"
    )


def _of_other_layers(pair: Pair) -> Iterator[str]:
    for own, other, profile in ((pair.a, pair.b, pair.after), (pair.b, pair.a, pair.before)):
        only = [row for row in pair.rows if row.layers[own] and not row.layers[other]]
        if only:
            macs = sum(row.macs(own) for row in only)
            yield (
                f"only '{own}' has {_quoted([row.name for row in only])} on the accelerator: "
                f"{sum(row.cycles(own) for row in only):,} cycles, {macs:,} multiply-accumulates; the CPU "
                f"of '{other}' has {profile.not_counted.macs:,}"
            )


def _have(rows: Sequence[LayerRow], event: str) -> bool:
    return any(layer.events[event] for row in rows for layers in row.layers.values() for layer in layers)


def _row(rows: Sequence[LayerRow], name: str) -> LayerRow:
    return next(row for row in rows if row.name == name)


def _quoted(names: Sequence[str]) -> str:
    named = ", ".join(f"'{name}'" for name in names[:_NAMED])
    return f"{named} and {len(names) - _NAMED} more" if len(names) > _NAMED else named
