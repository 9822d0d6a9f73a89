"""What quantization does to each layer, where that was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from tvm_vsq.errors import InputError, shown
from tvm_vsq.pages import Code, Paragraph, Section

if TYPE_CHECKING:
    from tvm_vsq.runtime.profile import Profile


@runtime_checkable
class Quality(Protocol):
    """What `tvm_vsq.quantization_report` returns, as far as a page is concerned."""

    def section(self) -> Section:
        """What stands in a page."""
        ...

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Of the layers that were measured."""
        ...


def quality_section(profile: Profile, quality: Quality | None) -> Section:
    """The report's own section, or how to get one.

    Raises InputError for what is no report, or one of other layers.
    """
    if quality is None:
        text = (
            "How far each layer's integers are from fp32 is not measured by a profile; "
            "`tvm_vsq.quantization_report` measures it, and `quality=` shows it here:"
        )
        commands = (
            f"tvm-vsq report net.pt2 --calibration samples.npy --quant {profile.notation} --json > q.json\n"
            "tvm-vsq profile net.so --html page.html --quality q.json"
        )
        return Section("Quantization quality", (Paragraph(text), Code(commands)))
    if not isinstance(quality, Quality):
        raise InputError(
            f"quality={shown(quality)}: give what tvm_vsq.quantization_report returns (QuantReport.from_json "
            "reads one from a file)"
        )
    own = {layer.name for layer in profile.layers}
    if own and own.isdisjoint(quality.layer_names):
        raise InputError(
            f"quality: a report of {shown(', '.join(quality.layer_names))}, none of which is a layer of this "
            f"profile ({shown(', '.join(sorted(own)))}); give the report of the same network"
        )
    return quality.section()
