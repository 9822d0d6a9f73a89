"""Print what one event costs on each accelerator: the table in docs/energy.md."""

from __future__ import annotations

from tvm_vsq.hardware import EVENTS, event_energy_pj, list_targets, load_hardware, load_technology


def table() -> str:
    """A Markdown table, a row for each kind of event and a column for each shipped accelerator, in pJ."""
    targets = [load_hardware(name) for name in list_targets()]
    columns = [event_energy_pj(target, load_technology(target.technology)) for target in targets]
    heading = ["event (pJ)", *(f"{target.name} {target.notation}" for target in targets)]
    rows = [[event, *(f"{column[event]:.4f}" for column in columns)] for event in EVENTS]
    return "\n".join(f"| {' | '.join(row)} |" for row in [heading, ["---"] + ["---:"] * len(targets), *rows])


if __name__ == "__main__":
    print(table())
