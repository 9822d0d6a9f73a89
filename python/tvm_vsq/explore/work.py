"""What the processes of a sweep do, one task after the other; what goes in and comes out is plain data."""

from __future__ import annotations

import os
import pickle
import traceback
import warnings
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from tvm_vsq.errors import InputError, QuantizationError, VsqError, VsqWarning, first_line, shown
from tvm_vsq.explore.goals import COSTS, RESERVED
from tvm_vsq.explore.keys import has_rows
from tvm_vsq.hardware import HardwareConfig, Technology, load_technology
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.runtime import Profile
from tvm_vsq.schedule import Database, resolve_database

_KEPT = 2


@dataclass(frozen=True)
class Job:
    """What all tasks of a sweep share.

    module: the canonical fp32 graph, as TVM's JSON. calibration: for `quantize`, or None where nothing is
    evaluated. evaluate: see `sweep`. schedules: "default", "auto", "tune" or a Database. technology: for
    energies and areas; each target's own if None.
    """

    module: str
    calibration: Any
    evaluate: Callable[[Any], Any] | None
    schedules: str | Database
    trials: int
    seed: int
    technology: Technology | None
    with_rows: bool

    def table(self, hardware: HardwareConfig) -> Technology:
        """Energies and areas for `hardware`."""
        return self.technology or load_technology(hardware.technology)


@dataclass(frozen=True)
class Numbers:
    """A quantized network, compressed, and its metrics; or why there is none."""

    quantized: bytes = b""
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    said: tuple[str, ...] = ()


_parsed: OrderedDict[str, Any] = OrderedDict()
"""What this process took last, by digest: a job, quantized networks."""


def shared(digest: str, content: bytes | str, parse: Callable[[bytes], Any]) -> Any:
    """What `content` holds, itself or the file of that name; read once as long as it is in use."""
    if digest not in _parsed:
        if isinstance(content, str):
            with open(content, "rb") as file:
                content = file.read()
        _parsed[digest] = parse(content)
        while len(_parsed) > 1 + _KEPT:
            _parsed.popitem(last=False)
    _parsed.move_to_end(digest)
    return _parsed[digest]


def fp32_metrics(job_digest: str, content: Any) -> dict[str, float]:
    """What `evaluate` returns for the network in fp32."""
    from tvm_vsq.explore.fp32 import Fp32Network

    with _alone():
        job: Job = shared(job_digest, content, pickle.loads)
        try:
            return _metrics(job, Fp32Network(_module(job.module)), "the fp32 network")
        except _Refused as refusal:
            raise InputError(f"{refusal}, so there is nothing to compare with") from None


def numbers(
    job_digest: str, content: Any, config: QuantConfig, machines: Sequence[HardwareConfig]
) -> Numbers:
    """Quantize, and evaluate on the first of `machines` that takes it: on all it computes the same."""
    job: Job = shared(job_digest, content, pickle.loads)
    with _alone(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            module, metrics = _quantized(job, config, machines[0]), {}
            if job.evaluate is not None:
                metrics = _metrics(job, _first_built(module, machines), f"quant '{config.notation}'")
            found = Numbers(_packed(module), metrics)
        except _Refused as refusal:
            found = Numbers(error=str(refusal))
    said = [str(each.message) for each in caught if issubclass(each.category, VsqWarning)]
    return replace(found, said=tuple(dict.fromkeys(said)))


class _Refused(Exception):
    """A point that cannot be, for the reason that the message gives."""


def costs(
    job_digest: str,
    content: Any,
    quantized_digest: str,
    quantized: Any,
    variants: Sequence[HardwareConfig],
) -> list[dict[str, Any]]:
    """The record of each of `variants`, which differ in nothing that cycles depend on."""
    with _alone():
        job: Job = shared(job_digest, content, pickle.loads)
        module = shared(quantized_digest, quantized, _unpacked)
        try:
            profile, default = _profiles(job, module, variants[0])
        except VsqError as error:
            return [{"error": str(error)}] * len(variants)
        return [_record(_on(profile, variant, job), default) for variant in variants]


def _module(text: str) -> Any:
    import tvm

    import tvm_vsq.relax_ops  # noqa: F401 - registers the operators that the text names

    return tvm.ir.load_json(text)


def _packed(module: Any) -> bytes:
    import tvm

    return zlib.compress(tvm.ir.save_json(module).encode(), 1)


def _unpacked(data: bytes) -> Any:
    return _module(zlib.decompress(data).decode())


def _quantized(job: Job, config: QuantConfig, hardware: HardwareConfig) -> Any:
    from tvm_vsq.pipeline import quantize_phases, run_phases
    from tvm_vsq.tuning import random_calibration

    canonical, data = _module(job.module), job.calibration
    if data is None:
        config, data = config.unfitted(), random_calibration(canonical, job.seed)
    try:
        module = run_phases(canonical, quantize_phases(config, hardware, data))
    except VsqError as error:
        raise _Refused(str(error)) from error
    if has_rows(module) and not job.with_rows:
        raise QuantizationError(
            "quantization made an operator on rows, so points share integers that they must not: this is an "
            "error of tvm_vsq; report it with the model"
        )
    return module


def _first_built(module: Any, machines: Sequence[HardwareConfig]) -> Any:
    from tvm_vsq.pipeline import build_executable

    reasons = []
    for machine in machines:
        try:
            return build_executable(module, machine, Database())
        except VsqError as error:
            reasons.append(str(error))
    raise _Refused(reasons[0])


def _metrics(job: Job, network: Any, what: str) -> dict[str, float]:
    """What `evaluate` returns, with names. Raises InputError for anything but numbers, _Refused for a number
    that is none, as that of a network whose results are too large.
    """
    if job.evaluate is None:
        return {}
    try:
        found = job.evaluate(network)
    except (Exception, SystemExit) as error:  # as text: it may be one that cannot go to another process
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(place.filename)}, line {place.lineno}"
        raise InputError(f"evaluate failed for {what}: {first_line(error)} ({where})") from None
    metrics = dict(found) if isinstance(found, Mapping) else {"accuracy": found}
    for name, value in metrics.items():
        if not isinstance(name, str) or not name.isidentifier() or name in (*COSTS, *RESERVED):
            raise InputError(
                f"evaluate returned a metric called {shown(name)}: a name is letters, digits and _, and none "
                f"of {', '.join((*COSTS, *RESERVED))}"
            )
        if not _is_number(value):
            raise InputError(
                f"evaluate returned {name}={shown(value)} for {what}: return a number, or numbers by names"
            )
        if not isfinite(value):
            raise _Refused(f"evaluate returned {name}={value} for {what}")
    return {name: float(value) for name, value in metrics.items()}


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, str)


def _profiles(job: Job, module: Any, hardware: HardwareConfig) -> tuple[Profile, Profile | None]:
    """With the job's schedules, and if these are tuned here, with default ones."""
    from tvm_vsq.pipeline import regions_of, timing_of

    if job.schedules != "tune":
        return timing_of(module, hardware, resolve_database(job.schedules, hardware)), None
    from tvm_vsq.codegen import region_layers
    from tvm_vsq.tuning import program_cost, tune_layers

    regions = regions_of(module, hardware)
    tuned = tune_layers(
        [layer for region in regions for layer in region_layers(region, hardware)],
        hardware,
        Database(),
        total=lambda candidate: program_cost(regions, hardware, candidate),
        trials=job.trials,
        seed=job.seed,
        report=lambda *_: None,
        keep=lambda _: None,
    )
    return timing_of(module, hardware, tuned), timing_of(module, hardware, Database())


def _on(profile: Profile, hardware: HardwareConfig, job: Job) -> Profile:
    """The same programs at another clock and in another process."""
    moved = replace(profile, target=hardware.label, clock_mhz=hardware.clock_mhz, hardware=hardware)
    return moved.with_technology(job.table(hardware))


def _record(profile: Profile, default: Profile | None) -> dict[str, Any]:
    """What is kept of a point: totals by the names of `goals.COSTS`, and tables."""
    return {
        "cycles": profile.cycles,
        "milliseconds": profile.milliseconds,
        "energy_uj": profile.energy_pj / 1e6,
        "dram_bytes": profile.dram_bytes,
        "utilization": profile.utilization,
        "cpu_macs_share": profile.not_counted.macs_share,
        "default_cycles": None if default is None else default.cycles,
        "technology": profile.technology.name,
        "not_counted": str(profile.not_counted),
        "energy_by_part_pj": profile.energy_by_part(),
        "layers": [_row(layer) for layer in profile.layers],
    }


def _row(layer: Any) -> dict[str, Any]:
    return {
        "name": layer.name,
        "op": layer.op,
        "shape": layer.shape,
        "macs": layer.macs,
        "cycles": layer.cycles,
        "utilization": layer.utilization,
        "energy_pj": layer.energy_pj,
        "dram_bytes": layer.dram_bytes,
        "bound": layer.roofline.unit,
        "tuned": layer.tuned,
    }


@contextmanager
def _alone() -> Iterator[None]:
    """One thread for each library: the other cores have tasks of their own, and sums have one order."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)
