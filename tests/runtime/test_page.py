"""The page of a profile: what it says, of networks of any size, and in a browser."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
import torch
from tests.browser import browsers, check_page
from torch import nn
from typer.testing import CliRunner

import tvm_vsq
from tvm_vsq.cli import app
from tvm_vsq.errors import InputError
from tvm_vsq.hardware.engines import ENGINES
from tvm_vsq.runtime.page import profile_page
from tvm_vsq.runtime.page.timeline import bars_of
from tvm_vsq.study.report import LayerReport, OperandReport, QuantReport

HOSTILE = "conv<b>&</script>"


@pytest.fixture(scope="module")
def exe():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 20, 3), nn.Softplus()
    )
    samples = torch.randn(4, 3, 12, 12)
    quant = tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted()
    return tvm_vsq.compile(model, example_inputs=samples[:1], calibration=samples, quant=quant)


@pytest.fixture(scope="module")
def profile(exe):
    return exe.timing()


@pytest.fixture(scope="module")
def report(profile):
    operand = OperandReport(sqnr_db=20.0, bits_per_element=4.5, clipped=0.01, codes=[1, 2, 1], lowest_code=-1)
    exact = OperandReport(sqnr_db=float("inf"), bits_per_element=8, clipped=0, codes=[1], lowest_code=0)
    layers = tuple(
        LayerReport(
            name=layer.name,
            formats="4/4/4/4",
            vector_size=16,
            padding=0.25,
            weights=operand if layer.macs else None,
            activations=exact,
            output_sqnr_db=12.5 + at,
        )
        for at, layer in enumerate(profile.layers)
    )
    return QuantReport(layers=layers, fp32={"softplus": "runs on the CPU"}, output_sqnr_db=15, samples=4)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    yield from browsers(tmp_path_factory.mktemp("browser"))


def page_of(profile, path, **options):
    profile.to_html(path / "p.html", **options)
    return unescape((path / "p.html").read_text(encoding="utf-8"))


def with_layers(profile, layers):
    """A profile of other layers, to which its instructions belong in turn."""
    (trace,) = profile._traces(1)
    names = tuple(layer.name for layer in layers)
    turns = np.arange(len(trace.layers)) % max(1, len(names))
    traces = [replace(trace, layer_names=names, layers=turns)] if names else []
    return replace(profile, layers=tuple(layers), _traces=lambda _: traces)


def test_a_page_begins_with_what_matters(profile, tmp_path):
    text = page_of(profile, tmp_path)
    summary = re.search(r'<p class="summary">(.*?)</p>', text)[1]
    count = sum(kind.count for kind in profile.not_counted.operators)
    assert summary.startswith(f"vsq-accel, 4/4/4/4, computes 3 layers in {profile.cycles:,} cycles, ")
    assert f"Not counted: {count} operators on the CPU" in summary
    bounds = {layer.roofline.bound for layer in profile.layers}
    assert all(bound in summary for bound in bounds)
    assert text.index(summary) < text.index("<h2>")


def test_a_page_has_every_layer_with_its_numbers(profile, tmp_path):
    text = page_of(profile, tmp_path)
    for layer in profile.layers:
        row = re.search(rf'<tr><th scope="row"[^>]*>{layer.name}</th>(<td.*?)</tr>', text)[1]
        cells = re.findall(r"<td[^>]*>([^<]*)</td>", row)
        assert cells[0] == f"{layer.cycles:,}"
        assert cells[5:9] == [
            f"{layer.macs:,}",
            f"{layer.energy_pj / 1e3:,.1f}",
            f"{layer.dram_bytes:,}",
            f"{layer.dram_ratio:.2f}",
        ]


def test_a_page_names_the_largest_waits_first_and_none_of_who_has_nothing_to_do(profile, tmp_path):
    text = page_of(profile, tmp_path)
    table = re.search(r'aria-label="Largest waits".*?</table>', text, re.DOTALL)[0]
    rows = [re.findall(r"<t[hd][^>]*>([^<]*)</t", row) for row in table.split("<tr>")[2:]]
    cycles = [int(row[3].replace(",", "")) for row in rows]
    assert cycles == sorted(cycles, reverse=True)
    waits = [stall for layer in profile.layers for stall in layer.stalls]
    first = sum(s.cycles for s in waits if [s.unit, s.waits_for, s.cause] == rows[0][:3])
    assert first == cycles[0] > 0
    everything = re.search(r'aria-label="All waits".*?</table>', text, re.DOTALL)[0]
    assert ">token from compute</td>" in everything
    assert not re.search("<td[^>]*>(instruction|finished)</td>", everything)
    assert {s.waits_for for s in waits} >= {"instruction", "finished"}


def test_a_page_says_what_ran_where_and_why(exe, profile, tmp_path):
    text = page_of(profile, tmp_path)
    for row in exe.explain():
        assert row.why in text
    assert profile.placements == tuple(exe.explain())


def test_a_page_has_the_areas_of_its_technology_or_says_that_there_are_none(profile, tmp_path):
    area = profile.hardware.area(profile.technology)
    assert profile.area_mm2 == area.mm2 == sum(area.by_group().values())
    assert f"{area.mm2:.4f}" in page_of(profile, tmp_path)
    bare = replace(profile, technology=profile.technology.model_copy(update={"logic": None, "name": "bare"}))
    reason = "technology bare has no areas; give it `logic`"
    assert bare.area_mm2 is None
    data = json.loads(bare.to_json())
    assert data["area_mm2"] is None
    assert data["no_area"].startswith(reason)
    assert "No areas: technology bare has no areas" in page_of(bare, tmp_path)
    assert json.loads(profile.to_json())["area_mm2"] == area.mm2


def test_quality_is_shown_by_layer_or_how_to_get_it(profile, report, tmp_path):
    assert "tvm-vsq profile net.so --html page.html --quality" in page_of(profile, tmp_path)
    text = page_of(profile, tmp_path, quality=report)
    assert "--quality" not in text
    assert "The network's results have 15.0 dB against fp32 (4 runs). Lowest of all layers: " in text
    for layer in report.layers:
        assert f'{layer.name}</th><td class="short">4/4/4/4</td>' in text


def test_a_report_goes_through_its_file(report, tmp_path):
    file = tmp_path / "q.json"
    file.write_text(report.to_json(), encoding="utf-8")
    assert json.loads(report.to_json())["layers"][0]["activations"]["sqnr_db"] is None
    assert QuantReport.from_json(file) == report
    file.write_text('{"layers": [], "fp32": {}, "samples": "many"}', encoding="utf-8")
    with pytest.raises(InputError, match=r"q.json': key 'output_sqnr_db' is missing"):
        QuantReport.from_json(file)


def test_quality_of_another_network_is_refused(profile, report, tmp_path):
    other = report.model_copy(update={"layers": (report.layers[0].model_copy(update={"name": "other"}),)})
    with pytest.raises(InputError, match="report of 'other', none of which is a layer of this profile"):
        profile.to_html(tmp_path / "p.html", quality=other)
    with pytest.raises(InputError, match=r"quality=7: give what tvm_vsq\.quantization_report"):
        profile.to_html(tmp_path / "p.html", quality=7)
    assert not (tmp_path / "p.html").exists()


def test_the_command_takes_a_report(exe, report, tmp_path):
    exe.save(tmp_path / "net.so")
    (tmp_path / "q.json").write_text(report.to_json(), encoding="utf-8")
    page = tmp_path / "p.html"
    options = ["--html", str(page), "--quality", str(tmp_path / "q.json")]
    assert CliRunner().invoke(app, ["profile", str(tmp_path / "net.so"), *options]).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert "<title>net on vsq-accel, 4/4/4/4</title>" in text
    assert "have 15.0 dB against fp32" in text
    refused = CliRunner().invoke(app, ["profile", str(tmp_path / "net.so"), *options[2:]])
    assert "give --html, too" in refused.output


def test_a_page_of_no_layers_of_one_and_without_programs_says_so(profile, tmp_path):
    empty = replace(with_layers(profile, []), placements=())
    text = page_of(empty, tmp_path)
    assert "Nothing runs on vsq-accel (4/4/4/4)." in text
    assert "No layer works on the accelerator." in text
    assert "No instruction runs." in text
    single = page_of(with_layers(profile, profile.layers[:1]), tmp_path)
    assert "vsq-accel, 4/4/4/4, computes 1 layer in" in single
    assert single.count("<figure>") == 3
    pickled = pickle.loads(pickle.dumps(profile))
    assert not pickled.has_programs
    assert "A profile that was pickled has no programs" in page_of(pickled, tmp_path)


def test_the_timeline_covers_the_work_of_every_engine_in_few_bars(profile):
    traces = profile._traces(1)
    engines = np.concatenate([trace.engines for trace in traces])
    times = np.concatenate([trace.times for trace in traces])
    for most in (1500, 12):
        bars, names = bars_of(traces, most)
        assert 0 < len(bars) <= most
        assert set(names) == {layer.name for layer in profile.layers}
        for engine in range(len(ENGINES)):
            own, found = times[engines == engine], bars.engine == engine
            if most == 1500 and len(own):
                assert (bars.begin[found].min(), bars.end[found].max()) == (own[0, 2], own[-1, 4])
                worked = (own[:, 4] - own[:, 2]).sum()
                drawn = (bars.end[found] - bars.begin[found]).sum()
                assert worked <= drawn <= worked + len(own) * max(1, profile.cycles // 4000)
        assert all((bars.begin[1:] >= bars.end[:-1])[bars.engine[1:] == bars.engine[:-1]])
    of_one_layer = [replace(trace, layers=np.zeros_like(trace.layers)) for trace in traces]
    bars, _ = bars_of(of_one_layer)
    assert set(bars.engine) == set(engines)
    assert (bars.begin < bars.end).all()


ROOFLINE = "[aria-label='Roofline of all layers'] .scatterlayer path.point"


def test_a_browser_shows_a_profile_with_its_quality(browser, profile, report, tmp_path):
    path = tmp_path / "p.html"
    profile.to_html(path, quality=report)
    check_page(browser, path)
    assert browser.js(f'document.querySelectorAll("{ROOFLINE}").length') == 3
    browser.click("[aria-label='Layers'] th:nth-child(2) button")
    cycles = [int(text.replace(",", "")) for text in browser.column(1, "[aria-label='Layers'] table")]
    assert cycles == sorted((layer.cycles for layer in profile.layers), reverse=True)


@pytest.mark.large
def test_a_browser_shows_300_layers_whatever_their_names(browser, profile, tmp_path):
    layers = [replace(profile.layers[at % 3], name=f"{HOSTILE}.{at}") for at in range(300)]
    path = tmp_path / "p.html"
    with_layers(profile, layers).to_html(path)
    browser.open(path, width=375)
    assert browser.js(f'document.querySelectorAll("{ROOFLINE}").length') == 300
    assert browser.column(0, "[aria-label='Layers'] table") == [layer.name for layer in layers]
    assert browser.js("document.documentElement.scrollWidth") == 375
    assert browser.errors() == []


def test_a_clock_that_is_not_met_is_said_in_print_and_on_the_page(profile):
    fast = profile.hardware.with_(clock_mhz=5000)
    found = replace(profile, hardware=fast, clock_mhz=5000).with_technology("open-45nm")
    note = "clock_mhz=5000 is taken as it is; the RTL meets 501 MHz in open-45nm"
    assert note in found.notes
    assert note in " ".join(found.to_str().split())
    assert note in profile_page(found).summary
    assert not any("clock_mhz" in each for each in profile.with_technology("open-45nm").notes)
