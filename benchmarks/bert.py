"""What whole BERT encoders cost: cycles, MAC utilization, energy and DRAM traffic, with default schedules.

    python benchmarks/bert.py [--models MiniLM base large] [--tokens 128 384]

Shapes only: weights are random and nothing is fitted, which changes none of these figures. Everything from
the first layer norm to the last one is on the chip (strict=True); the embedding is looked up by the host and
counted nowhere. MACs are those of all matrix products, attention's included; "linear" is the utilization of
the linear layers alone, which are compiled one behind the other as a network of their own
(benchmarks/simulator/models.py).
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from rich.console import Console
from rich.table import Table
from transformers import BertConfig, BertModel

import tvm_vsq

sys.path.append(str(Path(__file__).resolve().parent / "simulator"))
from models import BertLinear

MODELS = {"MiniLM": (384, 6, 12), "base": (768, 12, 12), "large": (1024, 24, 16)}
"""Width, layers and heads; the inner layers are four times as wide (Devlin et al., NAACL 2019)."""

TARGETS = ("vsq-accel", "vsq-accel-int8", "vsq-accel-w4a8")


def compiled(model: torch.nn.Module, target: str, given: object, strict: bool) -> tvm_vsq.Executable:
    """For the accelerator, calibrated on what it is given."""
    hardware = tvm_vsq.load_hardware(target)
    capacity = hardware.dram.model_copy(update={"capacity_mib": 512})
    hardware = hardware.model_copy(update={"dram": capacity})
    quant = tvm_vsq.QuantConfig.of_hardware(hardware).unfitted()
    return tvm_vsq.compile(
        model,
        hardware,
        quant=quant,
        example_inputs=given,
        calibration=[given],
        strict=strict,
        schedules="default",
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["MiniLM", "base"])
    parser.add_argument("--tokens", nargs="+", type=int, default=[128])
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
        "linear",
        "energy mJ",
        "DRAM MB",
    )
    table = Table(*columns, title="BERT encoders, batch 1")
    for name in arguments.models:
        width, layers, heads = MODELS[name]
        config = BertConfig(
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * width,
        )
        model = BertModel(config, add_pooling_layer=False).eval()
        linear = BertLinear(width, 4 * width, layers).eval()
        for tokens in arguments.tokens:
            ids = {"input_ids": torch.randint(0, config.vocab_size, (1, tokens))}
            for target in TARGETS:
                exe = compiled(model, target, ids, strict=True)
                profile = exe.timing()
                alone = compiled(linear, target, torch.randn(tokens, width), strict=False).timing()
                table.add_row(
                    name,
                    str(tokens),
                    tvm_vsq.load_hardware(target).notation,
                    f"{sum(layer.macs for layer in profile.layers):,}",
                    f"{profile.cycles:,}",
                    f"{profile.utilization:.1%}",
                    f"{alone.utilization:.1%}",
                    f"{profile.energy_pj * 1e-9:.2f}",
                    f"{profile.dram_bytes / 1e6:.1f}",
                )
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
