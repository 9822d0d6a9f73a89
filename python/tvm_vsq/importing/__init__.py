"""From the user's model to the canonical graph, checked against the model itself."""

from tvm_vsq.importing.checked import import_checked, import_note

__all__ = ["import_checked", "import_note"]
