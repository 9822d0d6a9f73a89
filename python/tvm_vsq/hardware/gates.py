"""What the parts of units take, in gate equivalents, from synthesis (docs/area.md)."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from pydantic import Field

from tvm_vsq.frozen import Frozen
from tvm_vsq.hardware.reading import read_mapping, targets_directory
from tvm_vsq.hardware.units import Unit

_Gates = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]


class Gates(Frozen):
    """Area of each part in gate equivalents: of a two-input NAND of the same library.

    adder: of a bit of an adder or comparator. product: of a pair of bits of a multiplier; compress: of adding
    it to others. register: a flip-flop. select: a bit of a choice between two. shift: a bit of a level of a
    shifter. trial: a bit of a subtraction whose sign decides. source: the library and the command.
    """

    example = "target_configs/technology/gates/osu018.yaml"

    name: str
    adder: _Gates
    product: _Gates
    compress: _Gates
    register_: _Gates = Field(alias="register")
    select: _Gates
    shift: _Gates
    trial: _Gates
    source: str

    def of(self, unit: Unit) -> float:
        """Area of a unit; 0 for what no part is declared of."""
        coefficients = self.model_dump(by_alias=True)
        return float(sum(count * coefficients[part] for part, count in unit.parts.items()))


PARTS = ("adder", "product", "compress", "register", "select", "shift", "trial")


@lru_cache(maxsize=8)
def load_gates(name: str) -> Gates:
    """The shipped coefficients of that name.

    Raises ConfigError if there are none, or they cannot be read.
    """
    path = targets_directory() / "technology" / "gates" / f"{name}.yaml"
    return Gates.checked(read_mapping(path), str(path))
