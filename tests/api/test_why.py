"""Why a profile is what it is: stalls, roofline, critical path, timeline."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from tests.trace_processor import query
from torch import nn

import tvm_vsq
from tvm_vsq.errors import InputError
from tvm_vsq.hardware.engines import ENGINES
from tvm_vsq.isa import INSTRUCTION_BYTES, UNITS
from tvm_vsq.runtime.trace_events import trace_json

CASES = [("ResNet", "vsq-accel"), ("ClippedNet", "vsq-accel-w4a8"), ("Mlp", "vsq-accel-int8")]
FETCH, PATH = 0, 1 + len(ENGINES)
TRACKS = range(1, PATH)


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def profile(request, networks):
    name, target = request.param
    network = getattr(networks, name)
    model, x = networks.build(network)
    samples = networks.samples(network)
    return tvm_vsq.compile(model, target, example_inputs=(x,), calibration=samples).profile(x)


def test_every_cycle_of_every_unit_is_work_or_has_a_cause(profile):
    for unit in UNITS:
        waited = sum(s.cycles for layer in profile.layers for s in layer.stalls if s.unit == unit)
        assert profile.engine_busy[unit] + waited == profile.cycles
        assert profile.engine_stalled[unit] <= waited


def test_the_critical_path_is_the_time_from_beginning_to_end(profile):
    assert sum(cycles for row in profile.why() for cycles in row.critical.values()) == profile.cycles
    for trace in profile._traces(1):
        assert trace.path[0, 2] == 0
        assert trace.path[-1, 3] == trace.cycles
        assert all(before[3] == after[2] for before, after in pairwise(trace.path))


def check_roofline(layer, roof, hardware):
    events, peak = {
        "compute": ("macs", hardware.macs_per_cycle),
        "vector": ("vector_lane_ops", hardware.output_lanes),
        "ppu": ("ppu_lane_ops", hardware.output_lanes),
    }[roof.unit]
    assert roof.intensity == pytest.approx(layer.events[events] / layer.dram_bytes)
    dram = roof.intensity * hardware.dram.bytes_per_cycle
    assert roof.attainable == pytest.approx(min(peak, dram))
    assert roof.bound == ("DRAM" if dram < peak else roof.unit)
    assert roof.attained == pytest.approx(layer.events[events] / layer.cycles)


def test_rooflines_follow_from_the_layer(profile):
    for layer, row in zip(profile.layers, profile.why(), strict=True):
        assert (row.unit == row.roofline.unit == "compute") == (layer.padded_macs > 0)
        check_roofline(layer, row.roofline, profile.hardware)
        assert layer.name in str(profile.why())


class Weightless(nn.Module):
    """A maximum pool and a sum between layers."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 20, 3, padding=1), nn.Conv2d(20, 20, 3, padding=1)
        self.last = nn.Conv2d(20, 20, 1)

    def forward(self, x):
        a = nn.functional.max_pool2d(torch.relu(self.first(x)), 3, 2, 1)
        b = self.second(a)
        return self.last(torch.relu(a + b)) + b


@pytest.fixture(scope="module")
def weightless():
    torch.manual_seed(0)
    samples = torch.randn(8, 3, 16, 16)
    quant = tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted()
    exe = tvm_vsq.compile(Weightless(), example_inputs=samples[:1], calibration=samples, quant=quant)
    return exe.timing()


@pytest.mark.parametrize(("op", "engine"), [("max_pool2d", "vector"), ("add", "ppu")])
def test_a_layer_without_macs_is_explained_by_the_engine_that_works_in_it(weightless, op, engine):
    rows = zip(weightless.layers, weightless.why(), strict=True)
    ((layer, row),) = [(layer, row) for layer, row in rows if layer.op == op]
    assert 0 < layer.busy[engine] == max(layer.busy[other] for other in ("compute", "vector", "ppu"))
    assert (row.unit, row.busy_cycles) == (engine, layer.busy[engine])
    assert row.stalls
    assert 0 < row.busy == pytest.approx(1 - sum(row.stalls.values()))
    assert row == weightless.why(engine)[weightless.layers.index(layer)]
    assert row.roofline.unit == engine
    check_roofline(layer, row.roofline, weightless.hardware)
    assert row.roofline.attainable > 0
    assert f"{engine} busy {row.busy_cycles:,} ({row.busy:.1%})" in " ".join(
        weightless.why().to_str(wide=True).split()
    )


def test_a_calculation_on_the_critical_path_has_the_name_of_its_engine(weightless):
    found = {}
    for layer, row in zip(weightless.layers, weightless.why(), strict=True):
        for engine in {"compute", "vector", "ppu"} & row.critical.keys():
            found.setdefault(engine, set()).add(layer.op)
            assert 0 < row.critical[engine] <= layer.busy[engine]
    assert found["compute"] == {"conv2d"}
    assert "max_pool2d" in found["vector"]
    assert "conv2d" in found["ppu"]


@pytest.mark.parametrize("unit", UNITS)
def test_shares_of_a_unit_add_up(profile, unit):
    for layer, row in zip(profile.layers, profile.why(unit), strict=True):
        assert row.unit == unit
        waiting = [s for s in layer.stalls if s.unit == unit and s.waits_for != "finished"]
        assert len(row.stalls) == len(waiting)
        # Nothing is left for a unit that the layer, and those behind it, do not use.
        shares = 1 if layer.busy[unit] or waiting else 0
        assert row.busy + sum(row.stalls.values()) == pytest.approx(shares)
        longest = max(waiting, key=lambda stall: stall.cycles, default=None)
        assert longest is None or longest.cause in max(row.stalls, key=row.stalls.__getitem__)


def test_an_unknown_unit_is_refused(profile):
    with pytest.raises(
        InputError, match="'alu' is not known; the units are fetch, load, compute, vector, ppu, store"
    ):
        profile.why("alu")


def read(path):
    events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    return [e for e in events if e["ph"] == "X"], [e for e in events if e["ph"] == "C"]


def test_a_timeline_shows_every_instruction_once_and_none_at_the_same_time_as_another(profile, tmp_path):
    profile.to_trace(tmp_path / "t.json")
    slices, _ = read(tmp_path / "t.json")
    engines = [e for e in slices if e["tid"] in TRACKS]
    assert len(engines) == sum(layer.instructions for layer in profile.layers)
    names = {layer.name for layer in profile.layers}
    used = {FETCH, PATH, *(t for t in TRACKS if profile.engine_busy[UNITS[t]])}
    for track in (FETCH, *TRACKS, PATH):
        own = sorted((e for e in slices if e["tid"] == track), key=lambda e: e["ts"])
        assert bool(own) == (track in used)
        assert {e["name"].rsplit(": ", 1)[0] for e in own} <= names
        assert all(a["ts"] + a["dur"] <= b["ts"] + 1e-6 for a, b in pairwise(own))
    end = max(e["ts"] + e["dur"] for e in slices)
    assert end == pytest.approx(profile.cycles / profile.clock_mhz)


def test_counters_add_up_to_the_totals(profile, tmp_path):
    profile.to_trace(tmp_path / "t.json", max_bins=50)
    _, counters = read(tmp_path / "t.json")
    sums = {}
    for name in {e["name"] for e in counters}:
        rows = sorted((e["ts"], e["args"]["value"]) for e in counters if e["name"] == name)
        ends = [ts for ts, _ in rows[1:]] + [profile.cycles / profile.clock_mhz]
        sums[name] = sum(value * (end - ts) for (ts, value), end in zip(rows, ends, strict=True))
    moved = sums["DRAM bandwidth, bytes/cycle"] * profile.clock_mhz
    # The channel moves whole bursts of instructions.
    bursts = profile.hardware.dram.burst_bytes * len(profile._traces(1))
    assert profile.dram_bytes * 0.999 <= moved <= (profile.dram_bytes + bursts) * 1.001
    bandwidth = [e["args"]["value"] for e in counters if e["name"].startswith("DRAM")]
    assert max(bandwidth) <= profile.hardware.dram.bytes_per_cycle
    assert sums["power, mW"] * 1e3 == pytest.approx(profile.energy_pj, rel=1e-3)  # mW us = nJ


def test_a_timeline_says_how_long_each_instruction_waited_for_its_tokens(profile, tmp_path):
    profile.to_trace(tmp_path / "t.json")
    slices, _ = read(tmp_path / "t.json")
    waited = [e["args"]["waited"] for e in slices if e["tid"] in TRACKS]
    queued, taken, start, _, _, complete = np.concatenate([t.times for t in profile._traces(1)]).T
    assert sorted(waited) == sorted(start - taken)
    assert (queued <= taken).all()
    assert (start < complete).all()
    stalls = [s for layer in profile.layers for s in layer.stalls if s.waits_for.startswith("token from")]
    assert sum(waited) == sum(stall.cycles for stall in stalls) > 0


def test_a_timeline_says_what_part_of_each_scratchpad_is_in_use(profile, tmp_path):
    profile.to_trace(tmp_path / "t.json", max_bins=50)
    _, counters = read(tmp_path / "t.json")
    (trace, *_) = profile._traces(50)
    depths = profile.hardware.depths
    for column, pad in enumerate(("uop", "inp", "wgt", "acc", "par", "out")):
        changes = {e["ts"]: e["args"]["value"] for e in counters if e["name"] == f"{pad} in use, %"}
        assert 0 < max(changes.values()) <= 100
        for at, alive in enumerate(trace.alive[:, column]):
            begin = at * trace.bin_cycles
            cycles = min(trace.bin_cycles, trace.cycles - begin)
            if cycles > 0:  # until the next change, a counter keeps its value
                last = max(ts for ts in changes if ts <= begin / profile.clock_mhz + 1e-4)
                assert changes[last] == pytest.approx(100 * alive / cycles / depths[pad], rel=1e-3)


def test_a_counter_repeats_no_value(profile, tmp_path):
    profile.to_trace(tmp_path / "t.json")
    _, counters = read(tmp_path / "t.json")
    assert len({e["name"] for e in counters}) == 8
    (trace, *_) = profile._traces(2_000)
    for name in {e["name"] for e in counters}:
        rows = [(e["ts"], e["args"]["value"]) for e in counters if e["name"] == name]
        first = [row for row in rows if row[0] < trace.cycles / profile.clock_mhz]
        assert 1 < len(first) < len(trace.bins)
        assert all(a[1] != b[1] for a, b in pairwise(first))


def test_fetch_has_a_slice_for_each_instruction_that_it_hands_out(profile, tmp_path):
    profile.to_trace(tmp_path / "t.json")
    slices, _ = read(tmp_path / "t.json")
    fetched = [e for e in slices if e["tid"] == FETCH]
    assert len(fetched) == sum(layer.instructions for layer in profile.layers)
    cycles = sum(e["dur"] for e in fetched) * profile.clock_mhz
    assert cycles == pytest.approx(profile.engine_busy["fetch"])


def test_transfers_say_which_scratchpad_they_are_of_and_how_much_they_move(profile, tmp_path):
    profile.to_trace(tmp_path / "t.json")
    slices, _ = read(tmp_path / "t.json")
    of = {unit: [e for e in slices if e["tid"] == UNITS.index(unit)] for unit in ("load", "store")}
    loads = [e["args"] for e in of["load"]]
    stores = [e["args"] for e in of["store"] if not e["name"].endswith("FINISH")]
    assert {args["scratchpad"] for args in loads} == {"uop", "inp", "wgt", "par"}
    assert {args["scratchpad"] for args in stores} <= {"out", "acc"}
    others = [e["args"] for e in slices if e["tid"] not in (UNITS.index("load"), UNITS.index("store"))]
    assert not any("bytes" in args for args in others)
    sums = {name: sum(layer.events[name] for layer in profile.layers) for name in profile.layers[0].events}
    from_dram = sums["dram_read_bytes"] - INSTRUCTION_BYTES * sums["instructions"]
    # bursts move more than what was asked for
    assert 0.3 * from_dram < sum(args["bytes"] for args in loads) <= from_dram
    assert 0.3 * sums["dram_write_bytes"] < sum(args["bytes"] for args in stores) <= sums["dram_write_bytes"]


def test_perfetto_reads_a_timeline(weightless, tmp_path):
    weightless.to_trace(tmp_path / "t.json")
    tracks, loads, values, problems = query(
        tmp_path / "t.json",
        "select thread.name, thread.tid, count(*) as slices, sum(dur) as ns from slice join thread_track on "
        "track_id = thread_track.id join thread using (utid) group by tid order by tid",
        "select extract_arg(slice.arg_set_id, 'args.scratchpad') as pad, extract_arg(slice.arg_set_id, "
        "'args.bytes') as bytes from slice join thread_track on track_id = thread_track.id join thread using "
        "(utid) where thread.name = 'load'",
        "select counter_track.name as name, count(*) as changes, max(value) as most from counter join "
        "counter_track on track_id = counter_track.id group by name",
        "select name, value from stats where severity != 'info' and value > 0",
    )
    assert problems == []
    assert [row["name"] for row in tracks] == [*UNITS, "critical path"]
    cycle_ns = 1e3 / weightless.clock_mhz
    for row, unit in zip(tracks[1:], UNITS[1:], strict=False):
        # a slice lasts while the engine has the instruction, waits for DRAM included
        assert row["ns"] >= weightless.engine_busy[unit] * cycle_ns
    instructions = sum(layer.instructions for layer in weightless.layers)
    assert tracks[0]["slices"] == sum(row["slices"] for row in tracks[1:-1]) == instructions
    assert tracks[-1]["ns"] == pytest.approx(weightless.cycles * cycle_ns)
    assert {row["pad"] for row in loads} == {"uop", "inp", "wgt", "par"}
    (trace,) = weightless._traces(1)
    assert sum(row["bytes"] for row in loads if row["pad"] == "wgt") == sum(
        trace.moved_bytes[trace.memories == "wgt"]
    )
    assert len(values) == 8
    assert all(1 < row["changes"] <= 2001 for row in values)
    bandwidth = next(row["most"] for row in values if row["name"].startswith("DRAM"))
    assert 0 < bandwidth <= weightless.hardware.dram.bytes_per_cycle


def test_a_long_program_is_aggregated(profile, tmp_path):
    profile.to_trace(tmp_path / "all.json")
    profile.to_trace(tmp_path / "few.json", max_slices=5, max_bins=4)
    every, _ = read(tmp_path / "all.json")
    few, counters = read(tmp_path / "few.json")
    assert len(few) < len(every) / 2
    assert len(counters) <= 8 * (4 + 2) * len(profile._traces(1))
    for track in {e["tid"] for e in every}:
        first = [min(e["ts"] for e in slices if e["tid"] == track) for slices in (every, few)]
        assert first[0] == first[1]


def test_all_tracks_of_a_long_layer_together_have_as_many_slices_as_allowed(profile):
    traces = [replace(trace, layers=np.zeros_like(trace.layers)) for trace in profile._traces(1)]
    for most in (10, 60):
        text = trace_json(traces, profile.hardware, profile.technology, most)
        slices = [e for e in json.loads(text)["traceEvents"] if e["ph"] == "X"]
        assert most / 3 < len(slices) <= most
        loads = [e["args"] for e in slices if e["tid"] == UNITS.index("load")]
        assert sum(args["bytes"] for args in loads) == sum(
            trace.moved_bytes[trace.engines == 0].sum() for trace in traces
        )


def test_the_limits_of_a_timeline_are_checked(profile, tmp_path):
    for limits in ({"max_slices": 0}, {"max_bins": 0}, {"max_bins": 10**7}, {"max_bins": 2.5}):
        with pytest.raises(InputError, match=f"{next(iter(limits))}="):
            profile.to_trace(tmp_path / "t.json", **limits)


@pytest.mark.parametrize("write", ["to_trace", "to_html"])
def test_a_file_that_cannot_be_written_is_named(profile, tmp_path, write):
    for path in (tmp_path / "nowhere" / "file", tmp_path):
        with pytest.raises(InputError, match=f"cannot write '{path}'"):
            getattr(profile, write)(path)
    with pytest.raises(InputError, match="a file name must be a str or a Path, not int"):
        getattr(profile, write)(5)


def test_a_pickled_profile_keeps_its_numbers(profile):
    copy = pickle.loads(pickle.dumps(profile))
    assert copy == profile
    assert str(copy) == str(profile)
    with pytest.raises(InputError, match="pickled"):
        copy.why()


def test_stalls_are_part_of_the_json(profile):
    layers = json.loads(profile.to_json())["layers"]
    assert layers[0]["stalls"][0].keys() == {"unit", "waits_for", "cause", "cycles"}
    assert np.isfinite(layers[0]["roofline"]["intensity"])
