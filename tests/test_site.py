"""The site of docs/: what its pages have to list, its notebook, and how it looks in a browser."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs.hooks.arguments import markdown
from tests.browser import browsers
from tests.documents import PAGES, ROOT

import tvm_vsq

RESULTS = (ROOT / "docs/results.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))
ROWS = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in RESULTS.splitlines()
    if line.startswith("| [")
]


def test_every_public_name_is_in_the_reference():
    text = (ROOT / "docs/reference/python.md").read_text(encoding="utf-8")
    shown = re.findall(r"^::: tvm_vsq\.(\w+)$", text, re.M)
    assert sorted(shown) == sorted(tvm_vsq.__all__)


def test_every_page_is_in_the_navigation_once():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    listed = re.findall(r"[\w/-]+\.md$", text, re.M)
    assert sorted(listed) == sorted(set(listed))
    assert {str(page.relative_to("docs")) for page in PAGES if page.parts[0] == "docs"} <= set(listed)


@pytest.mark.parametrize(("pages", "_what", "command", "takes"), ROWS, ids=lambda value: value.strip("`"))
def test_the_commands_of_results_exist_and_stand_in_their_pages(pages, _what, command, takes):
    command = command.strip("`")
    for page in re.findall(r"\]\((.*?)\)", pages):
        assert command in (ROOT / "docs" / page).read_text(encoding="utf-8"), page
    if not command.startswith("make "):
        assert (ROOT / command).is_file()
        return
    target = re.search(rf"^{command.removeprefix('make ')}:.*?(?:\(about (.*)\))?$", MAKEFILE, re.M)
    assert target, command
    assert target[1] in (None, takes)


def test_every_benchmark_that_a_page_names_is_among_the_results():
    named = {
        script
        for page in PAGES
        for script in re.findall(r"benchmarks/[\w/]+\.py", (ROOT / page).read_text(encoding="utf-8"))
    }
    of_make = {name for name in named if name in MAKEFILE or f"{Path(name).parent}/$$" in MAKEFILE}
    assert len(named) > 20
    assert {name for name in named - of_make if name not in RESULTS} == set()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_committed_without_outputs(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, as `make docs` builds it: strict, so that a broken link or a page that is nowhere ends it."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-W",
        "ignore::DeprecationWarning",
        "-m",
        "mkdocs",
        "build",
        "--site-dir",
        folder,
    ]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    yield from browsers(tmp_path_factory.mktemp("browser"))


@pytest.mark.large
def test_pages_open_in_a_browser_and_ask_nobody_for_anything(site, browser):
    pages = sorted(path for path in site.rglob("*.html") if path.name != "404.html")
    assert len(pages) > len(PAGES)
    for width, scheme in ((1200, "light"), (375, "dark")):
        browser.show(width=width, scheme=scheme)
        for page in pages:
            browser.driver.get(page.as_uri())
            browser.wait("document.readyState === 'complete'")
            browser.wait(f"innerWidth === {width} && document.documentElement.scrollWidth <= {width}")
            assert browser.errors() == [], page
            assert [url for url in browser.requests() if url.startswith("http")] == [], page


@pytest.mark.large
def test_dark_is_what_the_reader_prefers(site, browser):
    colours = []
    for scheme in ("light", "dark"):
        browser.show(scheme=scheme)
        browser.driver.get((site / "index.html").as_uri())
        colours.append(browser.js("getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1]


@pytest.mark.large
def test_the_site_is_searched(site, browser):
    browser.driver.get((site / "index.html").as_uri())
    browser.js("document.querySelector('[data-md-toggle=search]').click()")
    browser.driver.find_element("css selector", ".md-search__input").send_keys("roofline")
    browser.wait("document.querySelectorAll('.md-search-result__link').length > 1")


@pytest.mark.large
def test_the_notebook_shows_its_tables_and_plots(site, browser):
    browser.driver.get((site / "notebooks/resnet8.html").as_uri())
    browser.wait("document.querySelector('.plot svg.main-svg')")
    assert browser.js("document.querySelectorAll('.md-content img').length") == 1
    text = browser.js("document.querySelector('.md-content').textContent")
    assert "Why it is slow" in text
    assert text.index("Why it is slow") < text.index("Layer by layer") < text.index("│ stage3.conv2")


@pytest.mark.parametrize(
    ("docstring", "shown"),
    [
        ("What it does.\n\nx: a number.", "What it does.\n\n\n- **x**: a number."),
        (
            "x: a number\n    of bits.\ny, z: others.",
            "\n- **x**: a number\n    of bits.\n- **y, z**: others.",
        ),
        (
            "x: goes on without\nan indent.\nThen a sentence.",
            "\n- **x**: goes on without\n    an indent.\n\nThen a sentence.",
        ),
        ("Raises a VsqError: no item.", "Raises a VsqError: no item."),
    ],
    ids=["one", "several", "sentence", "none"],
)
def test_docstrings_of_the_house_are_lists_of_arguments(docstring, shown):
    assert markdown(docstring) == shown
