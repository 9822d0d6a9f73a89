"""Tunes the layers of a model: candidates, measurement on the simulator, records."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from tvm_vsq.codegen import Layer, PostOp, emit_layer
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.runtime import native
from tvm_vsq.schedule import Knobs, Workload, default_knobs
from tvm_vsq.schedule.cost import estimate_cycles
from tvm_vsq.schedule.database import Database, Record, fingerprint
from tvm_vsq.schedule.space import Space, space_of
from tvm_vsq.threads import compiling
from tvm_vsq.tuning.cost import Cost
from tvm_vsq.tuning.search import search

_ESTIMATE_MARGIN = 1.5
_FINALISTS, _TRIALS_A_FINALIST = 12, 4
"""At most so many, and one for so many trials: each is tried in the whole model, which takes longest."""

_LEAST_GAIN = 1e-3
"""Of what the layer takes by itself: in a long model, no layer makes a thousandth of the whole."""


def measure(workload: Workload, knobs: Knobs, hardware: HardwareConfig, post: PostOp | None = None) -> int:
    """Simulated cycles of the layer alone under one schedule; post: see `emit_layer`."""
    with compiling:
        layer = emit_layer(workload, knobs, hardware, post=post)
    return int(
        native.simulate_timing(hardware.sim_params(), layer.instructions, layer.layer_ids, 1)["cycles"]
    )


def features(space: Space) -> npt.NDArray[np.float32]:
    """One row a schedule, for the cost model: the knobs, and the analytic estimate they lead to."""
    sizes = [np.log2(space.tiles.sizes[dim.name][space.which]) for dim in space.tiles.nest.tiled]
    variants = np.array([(order == "k_outer", double_buffer) for order, double_buffer in space.variants])
    columns = [*sizes, *variants[space.variant].T, sum(sizes), np.log2(space.estimates)]
    return np.stack(columns, axis=1).astype(np.float32)


def _promising(workload: Workload, hardware: HardwareConfig) -> Space:
    """Leave out what the analytic estimate puts far behind: mostly tiny tiles, whose long programs take the
    simulator seconds each. The default schedule has about the lowest estimate, so it always stays.
    """
    space = space_of(workload, hardware)
    return space.only(space.estimates <= _ESTIMATE_MARGIN * space.estimates.min())


def search_workload(
    workload: Workload,
    hardware: HardwareConfig,
    *,
    layer: str,
    trials: int,
    seed: int,
    post: PostOp | None = None,
) -> list[Record]:
    """The default schedule of one layer, then the best others found, by the cycles of the layer alone.

    Only candidates that fit are measured. post: see `emit_layer`. Raises ScheduleError if not even the
    smallest tile fits.
    """
    default = default_knobs(workload, hardware, layer)
    space = _promising(workload, hardware)
    legal = list(space)
    first = legal.index(default)
    cycles = search(
        legal,
        features(space),
        lambda knobs: measure(workload, knobs, hardware, post),
        first=first,
        trials=trials,
        seed=seed,
    )
    others = sorted(set(cycles) - {first}, key=lambda index: (cycles[index], index))
    finalists = min(_FINALISTS, max(1, trials // _TRIALS_A_FINALIST))
    return [
        Record(
            workload=workload.key,
            hardware=fingerprint(hardware),
            knobs=legal[index].to_dict(),
            cycles=cycles[index],
            default_cycles=cycles[first],
            trials=trials,
        )
        for index in (first, *others[:finalists])
    ]


def tune_layers(
    layers: Iterable[Layer],
    hardware: HardwareConfig,
    database: Database,
    *,
    total: Callable[[Database], Cost],
    trials: int,
    seed: int,
    report: Callable[[str], None],
    keep: Callable[[Database], None],
) -> Database:
    """Tune each distinct workload of `layers` once, so that `total`, what the whole model costs, falls.

    Measured by itself, a layer pays for its first loads, which the layer before it hides in a program. So
    the search only nominates; what enters the database is what makes the whole model faster, by at least
    0.1 % of what the layer takes by itself, and what lowers its energy times cycles. The result is never
    slower than the default schedules.

    Layers that take longest come first. After each, `report(text)` shows progress, and `keep(database)` may
    save it: a layer whose record has as many trials is not searched again.
    """
    first: dict[Workload, Layer] = {}
    for layer in layers:
        first.setdefault(layer.workload, layer)
    plain = database.without(first, hardware)
    cost = total(database)
    if plain != database and (plain_cost := total(plain)) != cost and not cost.improves(plain_cost):
        database, cost = plain, plain_cost  # tuned for another model, and worse in this one
    for layer in sorted(first.values(), key=lambda each: -_estimate(each, hardware)):
        workload = layer.workload
        known, before = database.find(workload, hardware), cost.cycles
        if known is None or known.trials < trials:
            default, *finalists = search_workload(
                workload, hardware, layer=layer.name, trials=trials, seed=seed, post=layer.post
            )
            database = database.updated(default if known is None else _tried(known, trials))
            for record in finalists:
                trial = database.updated(record)
                trial_cost = total(trial)
                if trial_cost.improves(cost, _LEAST_GAIN * default.cycles):
                    database, cost = trial, trial_cost
            keep(database)
        report(f"{layer.name}: the model takes {before:,} -> {cost.cycles:,} cycles")
    return database


def _estimate(layer: Layer, hardware: HardwareConfig) -> float:
    knobs = default_knobs(layer.workload, hardware, layer.name)
    return estimate_cycles(layer.workload, knobs, hardware)


def _tried(record: Record, trials: int) -> Record:
    return record.model_copy(update={"trials": trials})
