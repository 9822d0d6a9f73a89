"""The front of a sweep as a picture."""

from __future__ import annotations

from typing import Any

from tvm_vsq.errors import InputError
from tvm_vsq.explore.goals import COSTS, Objective
from tvm_vsq.explore.result import SweepResult, dominant
from tvm_vsq.files import PLOTS, check_output, replacing

_DPI = 150
_MARKERS = "osD^vP*X<>"


def plot(
    result: SweepResult, path: Any, x: str | None = None, y: str | None = None, by: str | None = None
) -> None:
    """Write a scatter plot (.png, .svg, .pdf) of all points, with a line through the front of `x` and `y`.

    x, y: quantities; default: energy, and the first objective. by: an axis, whose values have a colour and
    a marker each; default: the first. Raises InputError for what is no quantity, and if no point has both.
    """
    check_output(path, *PLOTS)
    x, y = axes_of(result, x, y)
    by = result.axes[0] if by is None else by
    if by not in result.axes:
        raise InputError(f"by={by!r} is no axis of the sweep; they are {', '.join(result.axes)}")
    rows = [row for row in result.rows if row.get(x) is not None and row.get(y) is not None]
    if not rows:
        raise InputError(f"no point has both {x} and {y}; there is nothing to plot")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes: Any = figure.add_subplot()
    labels = list(dict.fromkeys(row.get(by) for row in rows))
    for number, label in enumerate(labels):
        own = [row for row in rows if row.get(by) == label]
        marker = _MARKERS[number // 10 % len(_MARKERS)]
        points = [row[x] for row in own], [row[y] for row in own]
        axes.scatter(*points, s=22, marker=marker, color=f"C{number % 10}", label=str(label), alpha=0.85)
    front = front_of(result, rows, x, y)
    axes.plot(
        [row[x] for row in front], [row[y] for row in front], color="0.35", lw=1, zorder=0, label="front"
    )
    if y in result.fp32:
        axes.axhline(result.fp32[y], color="0.6", lw=1, ls="--", label="fp32")
    axes.set_xlabel(titled(x))
    axes.set_ylabel(titled(y))
    axes.grid(alpha=0.25)
    axes.legend(
        fontsize=7, title=by, title_fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False
    )
    with replacing(path) as draft:
        figure.savefig(draft, dpi=_DPI, format=draft.suffix[1:])


def axes_of(result: SweepResult, x: str | None = None, y: str | None = None) -> tuple[str, str]:
    """What a picture of the front shows: to the right energy, or another objective, upwards the first one."""
    names = [each.name for each in result.objectives] or list(COSTS)
    y = names[0] if y is None else y
    others = [name for name in ("energy_uj", *names, *result.metrics, *COSTS) if name != y]
    x = others[0] if x is None else x
    for name in (x, y):
        if name not in (*result.metrics, *COSTS):
            raise InputError(f"{name!r} is no quantity of the sweep: {', '.join((*result.metrics, *COSTS))}")
    return x, y


def front_of(result: SweepResult, rows: list[Any], x: str, y: str) -> list[Any]:
    """The feasible of `rows` that no other beats in these two, from left to right."""
    known = {each.name: each for each in result.objectives}
    pair = [known.get(name, Objective(name, name in result.metrics)) for name in (x, y)]
    feasible = [row for row in rows if row["feasible"]]
    found = [row for row, best in zip(feasible, dominant(feasible, pair), strict=True) if best]
    return sorted(found, key=lambda row: (row[x], row[y]))


def titled(name: str) -> str:
    """A quantity with its unit, for an axis."""
    return COSTS[name].label if name in COSTS else name.replace("_", " ")
