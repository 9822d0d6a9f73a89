"""An accelerator as a target of TVM. The target itself holds the whole description, as JSON in its `model`.

So targets of different accelerators are never mixed up, whatever their names, and one that was printed or
written means the same in another process. TVM's own target kinds are C++, so the kind is that of the host.
"""

from __future__ import annotations

from typing import Any

from tvm_vsq.errors import ConfigError
from tvm_vsq.hardware.config import HardwareConfig

TARGET_KEY = "vsq_accel"
"""Among the keys of every target that stands for an accelerator."""


def target_options(hardware: HardwareConfig, host: str = "llvm") -> dict[str, Any]:
    """What `tvm.target.Target` takes; host: the target kind of the operators that stay on the CPU."""
    return {"kind": host, "keys": [TARGET_KEY, "cpu"], "model": hardware.model_dump_json()}


def hardware_of(target: Any) -> HardwareConfig | None:
    """The accelerator that a tvm.target.Target stands for; None if it is not one of ours.

    Raises ConfigError for a description that was damaged.
    """
    if target is None or TARGET_KEY not in target.keys:
        return None
    text = str(target.attrs.get("model", ""))
    try:
        return HardwareConfig.model_validate_json(text)
    except ConfigError:
        raise ConfigError(
            f"the target's model is no accelerator description: {text[:80]!r}; "
            f"make the target with HardwareConfig.tvm_target()"
        ) from None
