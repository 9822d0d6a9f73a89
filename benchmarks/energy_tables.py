"""ResNet-50's energy on the shipped accelerators under every table, and where it goes: docs/energy.md.

The weights are random (seeded): energy depends on shapes alone.
"""

from __future__ import annotations

import argparse

import torch
from resnet50 import ResNet50

import tvm_vsq
from tvm_vsq.hardware import PARTS_OF_ENERGY, list_drams, list_targets, list_technologies
from tvm_vsq.runtime import Profile, compare_tables

BASELINE = "vsq-accel-int8"


def profiles() -> dict[str, Profile]:
    """One inference on each target, the 8-bit one first."""
    torch.manual_seed(0)
    model, image = ResNet50().eval(), torch.randn(1, 3, 224, 224)
    found = {}
    for target in sorted(list_targets(), key=lambda name: name != BASELINE):
        hardware = tvm_vsq.load_hardware(target)
        quant = tvm_vsq.QuantConfig.of_hardware(hardware).unfitted()  # weights are random
        exe = tvm_vsq.compile(
            model, hardware, quant=quant, calibration=image.numpy(), example_inputs=(image,)
        )
        found[target] = exe.timing()
    return found


def parts(found: dict[str, Profile], technology: str) -> str:
    """A Markdown table: shares of each target's energy by part."""
    columns = {name: p.with_technology(technology) for name, p in found.items()}
    lines = [f"| {technology} | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    shares = {name: p.energy_by_part() for name, p in columns.items()}
    for part in PARTS_OF_ENERGY:
        if any(part in share for share in shares.values()):
            cells = [f"{share.get(part, 0.0) / columns[n].energy_pj:.1%}" for n, share in shares.items()]
            lines.append(f"| {part} | " + " | ".join(cells) + " |")
    lines.append("| all, mJ | " + " | ".join(f"{p.energy_pj / 1e9:.2f}" for p in columns.values()) + " |")
    return "\n".join(lines)


def main() -> None:
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    found = profiles()
    print(compare_tables(found), end="\n\n")
    on_chip = {name: {t: p.with_technology(t) for t in list_technologies()} for name, p in found.items()}
    print("without DRAM, ratios to the first:")
    for technology in list_technologies():
        energies = {
            name: sum(pj for part, pj in tables[technology].energy_by_part().items() if "DRAM" not in part)
            for name, tables in on_chip.items()
        }
        first = next(iter(energies.values()))
        print(f"  {technology}: " + ", ".join(f"{name} {pj / first:.2f}" for name, pj in energies.items()))
    print("open-45nm with other kinds of DRAM, mJ:")
    for dram in list_drams():
        row = [
            f"{name} {p.with_technology('open-45nm', dram).energy_pj / 1e9:.2f}" for name, p in found.items()
        ]
        print(f"  {dram}: " + ", ".join(row))
    for technology in list_technologies():
        print()
        print(parts(found, technology))


if __name__ == "__main__":
    main()
