"""Example pages: reports of two networks, made anew, and sweeps, of the results in docs/data."""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mkdocs.structure.files import File, Files

import tvm_vsq
from tvm_vsq.explore import SweepResult
from tvm_vsq.runtime.page import Quality, profile_page
from tvm_vsq.study.report import QuantReport

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
_FOLDER = tempfile.TemporaryDirectory(prefix="tvm_vsq-site-")


@dataclass(frozen=True)
class Example:
    """A page that stands by itself: its file, and what is said of it."""

    file: str
    title: str
    text: str


def on_files(files: Files, config: Any) -> Files:
    """Add the pages, a picture of each sweep, and a page that lists them."""
    data = Path(config.docs_dir, "data")
    files.append(File.generated(config, "examples.md", content="\n".join(_list(_made(data)))))
    for path in sorted(Path(_FOLDER.name).iterdir()):
        files.append(File.generated(config, f"examples/{path.name}", abs_src_path=str(path)))
    return files


@functools.cache
def _made(data: Path) -> tuple[Example, ...]:
    """The pages, in a folder that is there as long as this process: `mkdocs serve` makes them once."""
    folder = Path(_FOLDER.name)
    return *_reports(folder, data), *_sweeps(folder, data)


def _reports(folder: Path, data: Path) -> Iterator[Example]:
    sys.path += [str(EXAMPLES / name) for name in ("resnet8_mnist", "efficientnet_photos")]
    from data import load_digits
    from model import load_trained

    model, samples = load_trained(), load_digits().train_images[:64]
    given = {"example_inputs": torch.zeros(1, 1, 28, 28), "calibration": samples}
    exe = tvm_vsq.compile(model, "vsq-accel", **given)
    quality = tvm_vsq.quantization_report(model, "vsq-accel", **given)
    yield _report(folder, "resnet8", "ResNet-8 on digits", exe, quality)
    from lite0 import load_trained as load_lite0

    try:
        lite0 = load_lite0()
    except RuntimeError as error:  # its package cannot be fetched
        print(f"LEFT OUT: the report of EfficientNet-Lite0: {error}", file=sys.stderr)
        return
    # Cycles and energy do not depend on the integers; what fitting them brings took minutes to measure.
    quant, noise = tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted(), torch.rand(2, 3, 224, 224)
    given = {"example_inputs": noise[:1], "calibration": noise}
    exe = tvm_vsq.compile(lite0, "vsq-accel", quant=quant, check_import=False, **given)
    quality = QuantReport.from_json(data / "quality/efficientnet.json")
    yield _report(folder, "efficientnet", "EfficientNet-Lite0 on photos", exe, quality)


def _report(folder: Path, name: str, title: str, exe: tvm_vsq.Executable, quality: Quality) -> Example:
    profile, file = exe.timing(), f"{name}-report.html"
    profile_page(profile, quality, f"{title}, {profile.notation}").write(folder / file, "beside")
    return Example(file, f"Report: {title}", profile.summary)


def _sweeps(folder: Path, data: Path) -> Iterator[Example]:
    for path in sorted(data.glob("*-sweep.json*")):
        result, name = SweepResult.load(path), path.name.partition(".")[0]
        result.to_html(folder / f"{name}.html", plotly="beside")
        result.plot(folder / f"{name}.svg")
        yield Example(f"{name}.html", f"Sweep: {name.removesuffix('-sweep')}", result.summary)


def _list(examples: Sequence[Example]) -> Iterator[str]:
    yield "# Example pages\n"
    yield "What `Profile.to_html` and `SweepResult.to_html` write. Reports are made while this site is built;"
    yield "the results of sweeps are those of `benchmarks/sweep/`.\n"
    for example in examples:
        yield f"- [{example.title}](examples/{example.file}): {example.text}"
    for example in examples:
        if example.file.endswith("-sweep.html"):
            picture = example.file.replace(".html", ".svg")
            yield f"\n## {example.title}\n"
            yield f"[![{example.text}](examples/{picture})](examples/{example.file})"
