"""Notebooks as pages: each is executed, and what its cells print and show stands below them."""

from __future__ import annotations

import functools
import html
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from mkdocs.structure.files import File, Files

_PLOTLY = "application/vnd.plotly.v1+json"
_KINDS = (_PLOTLY, "text/html", "image/png", "text/plain")
"""What a cell may show, the richest first; the text of a plot is no substitute."""


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each notebook of docs/notebooks, and the library of their plots."""
    from plotly.offline import get_plotlyjs

    for path in sorted(Path(config.docs_dir, "notebooks").glob("*.ipynb")):
        page = f"notebooks/{path.stem}.md"
        files.append(File.generated(config, page, content="\n".join(_markdown(executed(path)))))
    files.append(File.generated(config, "notebooks/plotly.min.js", content=get_plotlyjs()))
    return files


@functools.cache
def executed(path: Path) -> Any:
    """The notebook with the outputs of its cells, which run in its folder. Raises CellExecutionError."""
    notebook = nbformat.read(path, as_version=4)
    options = ["--IPKernelApp.log_level=ERROR"]  # it says that its port is open to this machine
    resources = {"metadata": {"path": str(path.parent)}}
    client = nbclient.NotebookClient(notebook, timeout=600, extra_arguments=options, resources=resources)
    return client.execute()


def _markdown(notebook: Any) -> Iterator[str]:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield cell.source + "\n"
        elif cell.cell_type == "code":
            yield f"```python\n{cell.source}\n```\n"
            for output in cell.outputs:
                yield from _output(output)


def _output(output: Any) -> Iterator[str]:
    if output.output_type == "stream":
        if output.name == "stdout":
            yield f"```text\n{output.text}```\n"
        return
    kind = next(kind for kind in _KINDS if kind in output.data)
    data = output.data[kind]
    if kind == _PLOTLY:
        yield from _plot(data)
    elif kind == "text/html":
        yield f'<div class="output">{data}</div>\n'
    elif kind == "image/png":
        name = html.escape(output.data.get("text/plain", ""))
        yield f'<img alt="{name}" src="data:image/png;base64,{data}">\n'
    else:
        yield f"```text\n{data}\n```\n"


def _plot(figure: Any) -> Iterator[str]:
    """Drawn by the library beside the page, in colours that do in light and dark."""
    layout = figure["layout"]
    layout.pop("template", None)
    layout |= {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "font": {"color": "#888"}}
    data = json.dumps([figure["data"], layout, {"responsive": True, "displayModeBar": False}]).replace(
        "<", "\\u003c"
    )
    yield '<div class="plot"></div><script src="plotly.min.js"></script>'
    yield f"<script>Plotly.newPlot([...document.querySelectorAll('.plot')].pop(), ...{data})</script>\n"
