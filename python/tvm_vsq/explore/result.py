"""What a sweep found: a table of points, the Pareto front, and the details of each point."""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import InputError, first_line, shown
from tvm_vsq.explore.goals import COSTS, Constraint, Objective, pareto
from tvm_vsq.explore.space import QUANT, TARGET, Point
from tvm_vsq.explore.store import Store, read_header
from tvm_vsq.extras import extra
from tvm_vsq.files import as_path, parse_json, read_text, replacing, write_text
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.terminal import Column, Kind, Printed, Table

if TYPE_CHECKING:
    import pandas

RESULT = "result.json"
_VERSION = 1
_LIMIT = 1 << 30
_REASONS = 3
"""Why points have no costs, in print."""


@dataclass(frozen=True, repr=False)
class SweepResult(Printed):
    """The points of a sweep, in the order of the space, or in which a search proposed them.

    rows: of each point the labels of its axes, its metrics, what `goals.COSTS` lists, `technology`,
        `feasible` (it can be built, and meets all constraints), `pareto` (no feasible point is better in one
        objective and as good in the others), and `error`, the reason why it has no costs, or "". Besides, as
        plain data, `layers`, `energy_by_part_pj`, `area_by_group_mm2`, `not_counted` (what runs on the CPU
        and is in no cost), `config` and `hardware` (which `point` reads).
    axes, metrics: their names; metrics are what `evaluate` returned. fp32: what it returned for the network
        in fp32. notes: what has to be said beside the table.
    """

    rows: tuple[Mapping[str, Any], ...]
    axes: tuple[str, ...]
    metrics: tuple[str, ...]
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    fp32: Mapping[str, float]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        rows: Sequence[Mapping[str, Any]],
        axes: Sequence[str],
        metrics: Sequence[str],
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint],
        fp32: Mapping[str, float],
        notes: Sequence[str] = (),
    ) -> SweepResult:
        """Judge points by constraints and objectives; one that no point has is left out, with a note."""
        objectives, missing = _split(objectives, rows)
        notes = [*notes, *(f"{each.name} is no objective here: no point has it" for each in missing)]
        for key in ("area_note", "clock_note"):
            notes += list(dict.fromkeys(row[key] for row in rows if row.get(key)))
        feasible = [not row["error"] and all(each.holds(row, fp32) for each in constraints) for row in rows]
        full = [i for i, row in enumerate(rows) if feasible[i] and _has_all(row, objectives)]
        front = np.zeros(len(rows), bool)
        front[full] = dominant([rows[i] for i in full], objectives)
        judged = [
            {**row, "feasible": good, "pareto": bool(best)}
            for row, good, best in zip(rows, feasible, front, strict=True)
        ]
        return cls(
            tuple(judged),
            tuple(axes),
            tuple(metrics),
            objectives,
            tuple(constraints),
            dict(fp32),
            tuple(notes),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the table: axes, metrics, costs, and what is said of the point."""
        tuned = ("default_cycles",) if any(row.get("default_cycles") for row in self.rows) else ()
        found = (*self.axes, *self.metrics, *COSTS, *tuned, "technology", "feasible", "pareto", "error")
        return tuple(dict.fromkeys(found))

    @cached_property
    def table(self) -> pandas.DataFrame:
        """A row for each point. Raises ToolError without the extra [sweep]."""
        pandas = extra("pandas", "sweep", "tables of points")
        numbers = pandas.RangeIndex(len(self.rows), name="point")
        return pandas.DataFrame(
            [{name: row.get(name) for name in self.columns} for row in self.rows], numbers
        )

    @property
    def front(self) -> pandas.DataFrame:
        """The rows of `table` on the Pareto front, by the first objective, the best first."""
        return self.table.loc[self._best()]

    def point(self, index: int) -> Point:
        """How to quantize the network and what accelerator to build, for the point in that row of `table`.

        `tvm_vsq.compile(model, point.hardware, quant=point.config, ...)` compiles it. Raises InputError for a
        row that there is not, or that no accelerator can be built for.
        """
        if type(index) is not int or not 0 <= index < len(self.rows):
            raise InputError(f"there is no point {shown(index)}; there are 0 to {len(self.rows) - 1}")
        row = self.rows[index]
        if "hardware" not in row:
            raise InputError(f"point {index} was not built: {row['error']}")
        config = QuantConfig.checked_json(json.dumps(row["config"]), f"point {index}")
        return Point(config, HardwareConfig.checked(row["hardware"], f"point {index}"))

    def to_csv(self, path: Any) -> None:
        """Write `table` as CSV, the numbers of points in front. Raises InputError if it cannot be written."""
        write_text(path, self.table.to_csv())

    def to_parquet(self, path: Any) -> None:
        """Write `table` as Parquet; columns whose labels are of several types are strings there."""
        extra("pyarrow", "sweep", "Parquet files")
        table = self.table.copy()
        for name in table:
            kinds = {type(value) for value in table[name] if value is not None and value == value}
            if len(kinds) > 1 and not kinds <= {int, float}:
                table[name] = [None if value is None else str(value) for value in table[name]]
        with replacing(path) as draft:
            table.to_parquet(draft, index=True)

    def to_json(self) -> str:
        """Everything."""
        return json.dumps({"version": _VERSION, **asdict(self)}, indent=1)

    @classmethod
    def load(cls, path: Any) -> SweepResult:
        """What `to_json` wrote, in a file, which may be packed by gzip (.gz), or in the folder of a sweep.

        Raises InputError for a file that is none, ConfigError for a folder without a finished sweep.
        """
        file = as_path(path)
        if file.is_dir():
            read_header(file)
            file = file / RESULT
        if not file.is_file():
            raise InputError(f"there is no result in {shown(str(path))}; the sweep has to run to its end")
        data = parse_json(_text(file), str(file))
        if not isinstance(data, dict) or data.pop("version", None) != _VERSION:
            raise InputError(f"{shown(str(file))} holds no sweep of this version of tvm_vsq")
        try:
            _check_rows(data["rows"])
            data |= {
                "objectives": tuple(Objective(**each) for each in data["objectives"]),
                "constraints": tuple(Constraint(**each) for each in data["constraints"]),
                **{name: tuple(_list(data[name])) for name in ("rows", "axes", "metrics", "notes")},
            }
            if not all(isinstance(name, str) for name in (*data["axes"], *data["metrics"], *data["notes"])):
                raise TypeError("a name is no text")
            if any(not isinstance(value, int | float) for value in data["fp32"].values()):
                raise TypeError("a metric of fp32 is no number")
            return cls(**data)
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(f"{shown(str(file))} is damaged ({error}); sweep again") from None

    def plot(self, path: Any, *, x: str | None = None, y: str | None = None, by: str | None = None) -> None:
        """Write a picture of the front (`explore.plot`)."""
        from tvm_vsq.explore.plot import plot

        plot(self, path, x, y, by)

    def to_html(self, path: Any, *, plotly: Literal["inline", "beside"] = "inline") -> None:
        """Write a page of all points (`explore.page`)."""
        from tvm_vsq.explore.page import page_of

        page_of(self).write(path, plotly)

    def save(self, store: Store) -> None:
        """Write the result into the folder of its sweep, with the table as CSV and Parquet."""
        write_text(store.folder / RESULT, self.to_json())
        self.to_csv(store.folder / "points.csv")
        self.to_parquet(store.folder / "points.parquet")

    @property
    def summary(self) -> str:
        """One line."""
        feasible, front = (sum(row[name] for row in self.rows) for name in ("feasible", "pareto"))
        return f"{len(self.rows)} points, {feasible} feasible, {front} on the Pareto front"

    def _parts(self, wide: bool) -> Iterator[Table | str]:
        aims = ", ".join(("most " if each.maximize else "least ") + each.name for each in self.objectives)
        costs = [name for name in COSTS if name not in [each.name for each in self.objectives]]
        aimed = [each.name for each in self.objectives]
        names = [*self.axes, *aimed, *(name for name in (*self.metrics, *costs) if name not in aimed)]
        # what tells points apart is there first, then what is looked for, then what else was set
        apart = [name for name in self.axes if len({repr(row.get(name)) for row in self.rows}) > 1]
        kept = sorted(names, key=lambda name: (name not in apart, name not in aimed, name not in self.axes))
        columns = [Column("point")]
        columns += [Column(_short(name), kept.index(name), _kind(name)) for name in names]
        rows = [[str(i), *(_written(name, self.rows[i].get(name)) for name in names)] for i in self._best()]
        yield Table(f"{self.summary} of {aims or 'nothing'}", columns, rows)
        if self.fp32:
            yield "fp32: " + ", ".join(f"{name} {value:.4g}" for name, value in self.fp32.items())
        if self.constraints:
            yield "constraints: " + ", ".join(each.text for each in self.constraints)
        reasons = Counter(row["error"] for row in self.rows if row["error"])
        for reason, count in reasons.most_common(_REASONS):
            yield f"{count} without costs: {reason}"
        if len(reasons) > _REASONS:
            yield f"{len(reasons) - _REASONS} more reasons: the column error of the table"
        yield from self.notes
        said = dict.fromkeys(self.rows[i]["not_counted"] for i in self._best())
        yield from list(said)[:1]
        if len(said) > 1:
            yield f"that is of point {self._best()[0]}; what the CPU does of others differs"

    def _best(self) -> list[int]:
        """The points on the front, by the first objective, the best first."""
        places = [i for i, row in enumerate(self.rows) if row["pareto"]]
        if not self.objectives:
            return places
        first = self.objectives[0]
        return sorted(places, key=lambda i: self.rows[i][first.name], reverse=first.maximize)


def _short(name: str) -> str:
    # with spaces, so that a heading may be folded
    return name.rpartition(".")[2].replace("_", " ")


def _kind(name: str) -> Kind:
    return Kind.NAME if name in (QUANT, TARGET) else Kind.NUMBER


def _written(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name in COSTS:
        return format(value, COSTS[name].spec)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _list(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise TypeError("a list is none")
    return data


def _check_rows(rows: Any) -> None:
    """Raise TypeError for what is no list of judged points."""
    numbers = int, float, type(None)
    for row in rows:
        if not isinstance(row["error"], str) or {type(row[name]) for name in ("feasible", "pareto")} != {
            bool
        }:
            raise TypeError("a point is not judged")
        if any(not isinstance(row.get(name), numbers) for name in COSTS):
            raise TypeError("a cost is no number")


def _text(file: Path) -> str:
    if file.suffix != ".gz":
        return read_text(file, limit=_LIMIT)
    try:
        with gzip.open(file) as stream:
            return stream.read(_LIMIT).decode()
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"cannot read {shown(str(file))}: {first_line(error)}") from None


def dominant(rows: Sequence[Mapping[str, Any]], objectives: Sequence[Objective]) -> npt.NDArray[np.bool_]:
    """Which of `rows`, that have all `objectives`, no other one beats (`goals.pareto`)."""
    signs = np.array([-1.0 if each.maximize else 1.0 for each in objectives])
    values = np.array([[float(row[each.name]) for each in objectives] for row in rows])
    return pareto(values.reshape(len(rows), len(objectives)) * signs)


def _has_all(row: Mapping[str, Any], objectives: Sequence[Objective]) -> bool:
    return all(row.get(each.name) is not None for each in objectives)


def _split(
    objectives: Sequence[Objective], rows: Sequence[Mapping[str, Any]]
) -> tuple[tuple[Objective, ...], list[Objective]]:
    """Those that some point has, and the others."""
    there = [any(row.get(each.name) is not None for row in rows) for each in objectives]
    pairs = list(zip(objectives, there, strict=True))
    return tuple(each for each, is_there in pairs if is_there), [
        each for each, is_there in pairs if not is_there
    ]
