"""Tunes the layers of a model: candidates, measurement on the simulator, records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tvm_vsq.codegen import Layer, PostOp, emit_layer
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.progress import hidden, steps
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


@dataclass(frozen=True)
class TunedLayer:
    """What tuning made of a layer, and of all that are the same; cycles are simulated, of one inference.

    layers: their names, in the order of the model. default_cycles, cycles: of the layer by itself, with the
    default schedule and with the one that the database then has. model_default_cycles: of the whole model
    with default schedules for all of its layers. model_cycles: with what was found so far.
    """

    layers: tuple[str, ...]
    workload: str
    default_cycles: int
    cycles: int
    model_default_cycles: int
    model_cycles: int


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
    report: Callable[[TunedLayer], object],
    keep: Callable[[Database], None],
) -> Database:
    """Tune each distinct workload of `layers` once, so that `total`, what the whole model costs, falls.

    Measured by itself, a layer pays for its first loads, which the layer before it hides in a program. So
    the search only nominates; what enters the database is what makes the whole model faster, by at least
    0.1 % of what the layer takes by itself, and what lowers its energy times cycles. The result is never
    slower than the default schedules.

    Layers that take longest come first. After each, `report` is told what came of it, and `keep(database)`
    may save it: a layer whose record has as many trials is not searched again.
    """
    same: dict[Workload, list[Layer]] = {}
    for layer in layers:
        same.setdefault(layer.workload, []).append(layer)

    def total_of(candidate: Database) -> Cost:
        with hidden():
            return total(candidate)

    plain = database.without(same, hardware)
    plain_cost = cost = total_of(plain)
    if plain != database and (cost := total_of(database)) != plain_cost and not cost.improves(plain_cost):
        database, cost = plain, plain_cost  # tuned for another model, and worse in this one
    longest = sorted((group[0] for group in same.values()), key=lambda each: -_estimate(each, hardware))
    for layer in steps(f"tuning for {hardware.name}", longest, len(longest), name=lambda each: each.name):
        workload = layer.workload
        known = database.find(workload, hardware)
        if known is not None and known.trials >= trials:
            best = known
        else:
            default, *finalists = search_workload(
                workload, hardware, layer=layer.name, trials=trials, seed=seed, post=layer.post
            )
            best = default if known is None else _tried(known, trials)
            database = database.updated(best)
            for record in finalists:
                trial = database.updated(record)
                trial_cost = total_of(trial)
                if trial_cost.improves(cost, _LEAST_GAIN * default.cycles):
                    database, cost, best = trial, trial_cost, record
            keep(database)
        names, key = tuple(each.name for each in same[workload]), workload.key
        report(TunedLayer(names, key, best.default_cycles, best.cycles, plain_cost.cycles, cost.cycles))
    return database


def _estimate(layer: Layer, hardware: HardwareConfig) -> float:
    knobs = default_knobs(layer.workload, hardware, layer.name)
    return estimate_cycles(layer.workload, knobs, hardware)


def _tried(record: Record, trials: int) -> Record:
    return record.model_copy(update={"trials": trials})
