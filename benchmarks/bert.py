"""What whole BERT encoders cost: cycles, MAC utilization, energy and DRAM traffic, with default schedules.

    python benchmarks/bert.py [--models MiniLM base large] [--tokens 128 384] [--rows 0 2]

Shapes only: weights are random and nothing is fitted, which changes none of these figures. Everything from
the first layer norm to the last one is on the chip (strict=True); the embedding is looked up by the host and
counted nowhere. MACs are those of all matrix products, attention's included, each pass over digits counted;
"array idle" is the share of cycles in which the array does not work. "+2" stands for precision_passes: 2; the
mix has products of two activations in 8/8/4/4 beside linear layers in 4/4/4/4. Area is that of docs/area.md.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from dataclasses import dataclass

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from rich.console import Console
from rich.table import Table
from transformers import BertConfig, BertModel

import tvm_vsq

MODELS = {"MiniLM": (384, 6, 12), "base": (768, 12, 12), "large": (1024, 24, 16)}
"""Width, layers and heads; the inner layers are four times as wide (Devlin et al., NAACL 2019)."""


@dataclass(frozen=True)
class Row:
    """A target, with passes or not, rules, and what is added to sums that are normalized."""

    target: str
    passes: int = 1
    rules: tuple[tvm_vsq.Rule, ...] = ()
    residuals: str = "auto"

    @property
    def hardware(self) -> tvm_vsq.HardwareConfig:
        return tvm_vsq.load_hardware(self.target).model_copy(update={"precision_passes": self.passes})

    @property
    def title(self) -> str:
        notation = "mix" if self.rules else self.hardware.notation
        passes = f" +{self.passes}" if self.passes > 1 else ""
        return notation + passes + (" residuals in vectors" if self.residuals == "vectors" else "")


ROWS = (
    Row("vsq-accel"),
    Row("vsq-accel", residuals="vectors"),
    Row("vsq-accel", 2, (tvm_vsq.Rule(layers="matmul*", formats="8/8/4/4"),)),
    Row("vsq-accel-w4a8"),
    Row("vsq-accel-w4a8", 2),
    Row("vsq-accel-int8"),
)


def encoders(name: str, layers: int | None = None) -> BertModel:
    """One of MODELS, with as many layers as it has if none are named; torch's seed makes its weights."""
    width, own, heads = MODELS[name]
    config = BertConfig(
        hidden_size=width,
        num_hidden_layers=own if layers is None else layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
    )
    return BertModel(config, add_pooling_layer=False).eval()


def compiled(model: torch.nn.Module, row: Row, given: object) -> tvm_vsq.Executable:
    """For the accelerator, calibrated on what it is given."""
    config = tvm_vsq.QuantConfig.of_hardware(row.hardware).unfitted()
    quant = config.model_copy(update={"rules": row.rules, "residuals": row.residuals})
    return tvm_vsq.compile(
        model,
        row.hardware,
        quant=quant,
        example_inputs=given,
        calibration=[given],
        strict=True,
        schedules="default",
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["MiniLM", "base"])
    parser.add_argument("--tokens", nargs="+", type=int, default=[128])
    parser.add_argument("--rows", nargs="+", type=int, default=range(len(ROWS)), help="numbers of rows")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    columns = (
        "model",
        "tokens",
        "W/A/ws/as",
        "MACs",
        "cycles",
        "MAC util.",
        "array idle",
        "energy mJ",
        "of DRAM",
        "DRAM MB",
        "area mm2",
        "run ms",
    )
    table = Table(*columns, title="BERT encoders, batch 1")
    for name in arguments.models:
        model = encoders(name)
        for tokens in arguments.tokens:
            ids = {"input_ids": torch.randint(0, model.config.vocab_size, (1, tokens))}
            for row in (ROWS[number] for number in arguments.rows):
                exe = compiled(model, row, ids)
                profile = exe.timing()
                busy = sum(layer.busy["compute"] for layer in profile.layers)
                dram = sum(
                    layer.energy["dram_read_bytes"] + layer.energy["dram_write_bytes"]
                    for layer in profile.layers
                )
                table.add_row(
                    name,
                    str(tokens),
                    row.title,
                    f"{sum(layer.macs for layer in profile.layers):,}",
                    f"{profile.cycles:,}",
                    f"{profile.utilization:.1%}",
                    f"{1 - busy / profile.cycles:.1%}",
                    f"{profile.energy_pj * 1e-9:.2f}",
                    f"{dram / profile.energy_pj:.0%}",
                    f"{profile.dram_bytes / 1e6:.1f}",
                    f"{row.hardware.area('open-45nm').mm2:.2f}",
                    f"{fastest(exe, ids) * 1e3:.0f}",
                )
    Console(width=150).print(table)


def fastest(exe: tvm_vsq.Executable, given: dict[str, torch.Tensor], runs: int = 3) -> float:
    """Seconds of the fastest of some inferences."""
    seconds = []
    for _ in range(runs + 1):
        begin = time.perf_counter()
        exe(**given)
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


if __name__ == "__main__":
    main()
