"""`tvm_vsq.sweep`: many design points of one network, measured side by side."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tvm_vsq.errors import (
    CalibrationError,
    ConfigError,
    InputError,
    QuantizationError,
    VsqError,
    VsqWarning,
    phase,
    shown,
)
from tvm_vsq.explore import keys
from tvm_vsq.explore.goals import Constraint, Objective, objectives_of
from tvm_vsq.explore.identity import function_digest
from tvm_vsq.explore.measure import Measurer, Row
from tvm_vsq.explore.result import SweepResult
from tvm_vsq.explore.search import check_search, search_of
from tvm_vsq.explore.space import Point, Settings, grids_of, point_of
from tvm_vsq.explore.store import opened
from tvm_vsq.explore.work import Job
from tvm_vsq.explore.workers import workers as started_workers
from tvm_vsq.hardware import HardwareConfig, Technology, load_hardware, load_technology
from tvm_vsq.importing import import_checked
from tvm_vsq.progress import progress_shown
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.quantize.data import rereadable
from tvm_vsq.schedule import Database, resolve_database
from tvm_vsq.threads import compiling


@phase("sweeping", QuantizationError)
def sweep(
    model: Any,
    space: Any,
    target: str | os.PathLike[str] | HardwareConfig = "vsq-accel",
    *,
    evaluate: Callable[[Any], Any] | None = None,
    example_inputs: Any = None,
    quant: QuantConfig | None = None,
    calibration: Any = None,
    objectives: Sequence[str] | None = None,
    constraints: Sequence[str] = (),
    search: str = "grid",
    trials: int | None = None,
    schedules: str | os.PathLike[str] | Database = "default",
    tune_trials: int = 64,
    seed: int = 0,
    technology: str | os.PathLike[str] | Technology | None = None,
    folder: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
    check_import: bool = True,
) -> SweepResult:
    """Measure design points of a network and its accelerator: accuracy, cycles, energy and area of each.

    model, example_inputs, calibration, check_import: as for `tvm_vsq.compile`.
    space: a mapping from axes to lists of values, or a list of such, whose points are put together.
        Axes are "quant" (W/A/ws/as, or QuantConfigs, such as mixes), "vector_size", "scale_product_bits",
        "target" (names, paths or HardwareConfigs) and every other field of a target's description, nested
        ones with a dot: "output_lanes", "scratchpads.wgt_kib", "dram.bytes_per_cycle". Targets are built for
        the formats (`HardwareConfig.with_formats`). A mapping in place of a list names its values. A point
        that no accelerator can be built for, whose layers do not fit it, or a metric of which is NaN or
        infinite, has a row with the reason.
    target: what the axes change, where "target" is not one itself.
    evaluate: called with the compiled Executable, returns a number, the "accuracy", or numbers by their
        names. It is called once for all points that are the same integers, and once with the fp32 network,
        which has `__call__` and `run_batch`, too. It and what it holds go to other processes. None: there
        is no accuracy, and no data are needed; weights are then not fitted, as no cost depends on them.
    quant: settings besides the formats, and the formats where "quant" is no axis; default: the target's own.
    objectives: names of what is looked for, "max:" or "min:" in front where metrics are to fall or costs to
        rise. Default: the first metric, milliseconds, energy_uj, area_mm2.
    constraints: such as "area_mm2 < 2" and "accuracy >= fp32 - 0.01". What breaks one is not on the front; a
        point whose area does is not measured.
    search: "grid", all points; "nsga2" or "tpe", as many as `trials`, proposed by optuna with `seed`.
    schedules: "default" for all points, so that they compare; "auto", tuned ones where they ship; a Database
        or its path; or "tune", which searches `tune_trials` schedules for each layer of each point, with
        `seed`. technology: energies and areas of all points, default: of each target's own process.
    folder: where results are kept, a new one, or of a sweep of the same model and data, whose points are not
        measured again; also the table as CSV and Parquet. None: nothing is kept.
    workers: processes of this machine, default: one for each core, with one thread for each library.
        scheduler: of a Dask cluster that does the work instead, "tcp://host:8786"; its workers need tvm_vsq.
    The result depends neither on how many workers there are, nor on interruptions.

    Raises ConfigError for what is wrong with the space, objectives or constraints, ToolError without the
    extra [sweep] or if a worker dies time and again, and the errors of `compile`.
    """
    hardware, grids = load_hardware(target), grids_of(space)
    axes = tuple(dict.fromkeys(name for grid in grids for name in grid))
    if technology is not None and "technology" in axes:
        raise ConfigError(
            "technology is an axis of the space, and given for all points: take one of them out"
        )
    if quant is not None and not isinstance(quant, QuantConfig):
        raise ConfigError(f"quant must be a QuantConfig, not {shown(quant)}; formats are the axis 'quant'")
    if evaluate is not None and not callable(evaluate):
        raise ConfigError(f"evaluate must be a function of the network, not {shown(evaluate)}")
    if evaluate is not None and calibration is None:
        raise CalibrationError("evaluate needs calibration data: give calibration=, some tens of samples")
    if evaluate is None and calibration is not None:
        warnings.warn(
            "calibration is not used, as there is no evaluate=: costs do not depend on it",
            VsqWarning,
            stacklevel=4,
        )
    check_search(search, grids, trials)
    rules = tuple(Constraint.parse(text) for text in constraints)
    if evaluate is None:
        _check_goals(objectives, rules, {})
    database, schedules_digest = _schedules(schedules, tune_trials, seed)
    with compiling:
        canonical = import_checked(model, example_inputs, check_import)
        data = None if evaluate is None else rereadable(calibration)
        job = Job(
            _text(canonical),
            data,
            evaluate,
            database,
            tune_trials,
            seed,
            None if technology is None else load_technology(technology),
            keys.has_rows(canonical),
        )
        header = {
            "program": version("tvm-vsq"),
            "model": keys.digest(job.module),
            "calibration": "" if data is None else keys.data_digest(canonical, data),
            "evaluate": function_digest(evaluate),
        }
    with (
        _folder(folder) as place,
        opened(place, header) as store,
        started_workers(workers, scheduler) as crew,
        progress_shown(progress) as bars,
        ExitStack() as stack,
    ):
        task = bars.add_task("importing and evaluating in fp32", total=None)
        measurer = stack.enter_context(closing(Measurer(job, store, crew, schedules_digest, rules)))
        if taken := sorted(measurer.fp32.keys() & set(axes)):
            raise InputError(
                f"evaluate returned a metric called as the axis {taken[0]}; give it another name"
            )
        wanted = _check_goals(objectives, rules, measurer.fp32)
        proposals = search_of(search, grids, trials, seed, wanted, rules)
        found, proposed, notes = dict[str, Row](), 0, list[str]()
        for generation in proposals.generations():
            bars.reset(task, description="points", total=len(generation))
            points = [_point(grid, settings, hardware, quant) for grid, settings in generation]
            if search == "grid" and all(isinstance(point, VsqError) for point in points):
                raise ConfigError(f"no point of the space can be built: {points[0]}")
            proposed += len(points)
            rows = measurer.rows(points, lambda count: bars.advance(task, count))
            rows = [{**settings, **row} for (_, settings), row in zip(generation, rows, strict=True)]
            proposals.learn(rows, measurer.fp32)
            found |= {repr(settings): row for (_, settings), row in zip(generation, rows, strict=True)}
        if proposed > len(found):
            notes.append(
                f"{proposed - len(found)} of {proposed} proposals were points that were measured before"
            )
        result = SweepResult.of(
            list(found.values()), axes, list(measurer.fp32), wanted, rules, measurer.fp32, notes
        )
        if folder is not None:
            result.save(store)
    return result


def _check_goals(
    objectives: Any, rules: Sequence[Constraint], fp32: Mapping[str, float]
) -> tuple[Objective, ...]:
    """The objectives; raises ConfigError if one of them or a constraint is of what no point has."""
    for rule in rules:
        rule.check(fp32)
    return objectives_of(objectives, fp32)


def _point(
    grid: Any, settings: Settings, hardware: HardwareConfig, quant: QuantConfig | None
) -> Point | VsqError:
    try:
        return point_of(grid, settings, hardware, quant)
    except VsqError as error:
        return error


def _text(module: Any) -> str:
    import tvm

    return str(tvm.ir.save_json(module))


def _schedules(schedules: Any, trials: Any, seed: Any) -> tuple[str | Database, str]:
    """What a Job takes, and its digest."""
    if schedules == "tune":
        if type(trials) is not int or trials < 1:
            raise ConfigError(f"tune_trials={shown(trials)}: give an integer of at least 1")
        return "tune", keys.digest("tune", trials, seed)
    if schedules in ("default", "auto"):
        return str(schedules), keys.digest(schedules)
    database = resolve_database(schedules, load_hardware("vsq-accel"))  # the same for all accelerators
    return database, keys.digest(database.model_dump())


@contextmanager
def _folder(folder: Any) -> Iterator[Any]:
    """`folder`, or one that is gone after the block."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="tvm_vsq-sweep-") as made:
        yield Path(made) / "sweep"
