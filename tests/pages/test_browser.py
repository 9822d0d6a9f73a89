"""What a reader sees and does, in a browser."""

from __future__ import annotations

import pytest
from tests.browser import browsers, check_page

from tvm_vsq.pages import (
    SERIES,
    Column,
    Details,
    Figure,
    Link,
    Page,
    Paragraph,
    Section,
    Table,
    new_figure,
)

HOSTILE = "conv</script><script>document.title='owned'</script>"
HEADS = "thead th:nth-child({}) button"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    yield from browsers(tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def parts():
    figure = new_figure()
    figure.add_scatter(
        x=[1, 2, 3],
        y=[3, 1, 2],
        text=[HOSTILE] * 3,
        mode="markers",
        marker={"color": SERIES[0], "size": 20},
        customdata=["point-0", "point-1", "point-2"],
    )
    figure.update_layout(xaxis_title=HOSTILE)
    columns = (Column("layer"), Column("n", ",d"), Column("share", ".1%", bar=True))
    rows = [["layer10", 1000, 0.5], ["layer9", 20, None], [Link(HOSTILE, "point-2"), 300, 0.25]]
    inner = new_figure()
    inner.add_bar(x=["a"], y=[1], marker_color=[SERIES[2]])
    details = [
        Details(f"Point {n}", (Paragraph("of it"), Figure(inner, "a bar")), name=f"point-{n}")
        for n in range(3)
    ]
    return Figure(figure, HOSTILE), Table("Layers", columns, rows), *details


@pytest.fixture
def page(parts, tmp_path):
    Page(HOSTILE, HOSTILE, (Section("Cost", parts),)).write(tmp_path / "page.html")
    return tmp_path / "page.html"


def test_a_page_is_drawn_in_the_readers_colours_at_any_width_without_a_network(browser, page):
    check_page(browser, page)
    assert browser.js("document.title") == HOSTILE
    assert browser.js("document.querySelector('h1').textContent") == HOSTILE
    assert browser.column(0) == ["layer10", "layer9", HOSTILE]


@pytest.mark.large
def test_the_library_may_lie_beside_the_pages(browser, parts, tmp_path):
    path = tmp_path / "page.html"
    Page("Title", "Summary.", (Section("Cost", parts),)).write(path, plotly="beside")
    browser.open(path)
    assert browser.js("document.querySelectorAll('.plot svg.main-svg').length") > 0
    assert browser.requests() == [path.with_name("plotly.min.js").as_uri()]
    assert browser.errors() == []
    assert path.stat().st_size < 100_000


def test_a_click_on_a_head_sorts_by_it_and_what_is_empty_stays_last(browser, page):
    browser.open(page)
    sorted_by = "document.querySelectorAll('thead th')[{}].ariaSort"
    orders = []
    for column in (1, 2, 3):
        for _ in range(2):
            browser.click(HEADS.format(column))
            orders.append((browser.js(sorted_by.format(column - 1)), browser.column(column - 1)))
    assert orders == [
        ("ascending", [HOSTILE, "layer9", "layer10"]),  # as a reader counts
        ("descending", ["layer10", "layer9", HOSTILE]),
        ("descending", ["1,000", "300", "20"]),
        ("ascending", ["20", "300", "1,000"]),
        ("descending", ["50.0%", "25.0%", "–"]),
        ("ascending", ["25.0%", "50.0%", "–"]),
    ]
    assert browser.js("document.querySelectorAll('[aria-sort]').length") == 1


@pytest.mark.large
def test_links_and_points_open_what_they_are_of_and_its_plots(browser, page):
    browser.open(page)
    opened = "[...document.querySelectorAll('details[open]')].map(d => d.id)"
    drawn = "document.querySelector('#{} .plot svg') !== null"
    assert browser.js(opened) == []
    browser.click("td a, tbody th a")
    browser.wait(f"{opened}.includes('point-2') && {drawn.format('point-2')}")
    # plotly places points under a layer that catches the mouse
    browser.js("scrollTo(0, 0)")
    x, y = browser.js(
        "(r => [r.x + r.width / 2, r.y + r.height / 2])"
        "(document.querySelector('.scatterlayer .point:nth-child(1)').getBoundingClientRect())"
    )
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        event = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
        browser.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)
    browser.wait(f"{opened}.includes('point-0') && {drawn.format('point-0')}")
    assert browser.js("location.hash") == "#point-0"
    assert browser.errors() == []


@pytest.mark.large
def test_a_printed_page_is_light_with_its_plots(browser, page):
    browser.open(page, scheme="dark")
    text = "getComputedStyle(document.querySelector('.plot .xtick text')).fill"
    dark = browser.js(text)
    browser.js("dispatchEvent(new Event('beforeprint'))")
    browser.wait(f"{text} !== {dark!r}")
    browser.show(scheme="dark", media="print")
    assert browser.js("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.js("getComputedStyle(document.querySelector('.table')).overflow") == "visible"
    browser.show(scheme="dark")
    browser.js("dispatchEvent(new Event('afterprint'))")
    browser.wait(f"{text} === {dark!r}")
