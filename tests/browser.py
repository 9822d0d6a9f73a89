"""A browser that opens pages: Debian's Chromium without a screen and without a network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = {"chromium": "chromium", "chromedriver": "chromium-driver"}
"""What has to be installed, and Debian's packages of it."""
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


class Browser:
    """One window. `open` shows a page; `js` asks it."""

    def __init__(self, profile: Path) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        self.driver.set_script_timeout(60)

    def open(self, page: Path, *, width: int = 1200, scheme: str = "light") -> None:
        """Open a file in a window of this width, and wait until its plots are drawn."""
        self.show(width=width, scheme=scheme)
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(page.as_uri())
        self.wait("document.documentElement.dataset.ready")

    def show(self, *, width: int = 1200, scheme: str = "light", media: str = "") -> None:
        """Another width, or what the reader prefers, or paper (media "print"): the page stays."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def js(self, expression: str) -> Any:
        """The value of an expression in the page."""
        return self.driver.execute_script(f"return ({expression})")

    def wait(self, condition: str) -> Any:
        """Wait, some seconds at most, until an expression is true; its value."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, 20, poll_frequency=0.02).until(lambda _: self.js(condition))

    def errors(self) -> list[str]:
        """What the console said since `open` that is more than information."""
        return [row["message"] for row in self.driver.get_log("browser") if row["level"] != "INFO"]

    def requests(self) -> list[str]:
        """Everything that the page has asked for since `open`, but itself and what it holds."""
        messages = [json.loads(row["message"])["message"] for row in self.driver.get_log("performance")]
        urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        own = self.js("location.href.split('#')[0]")
        return [url for url in urls if url != own and not url.startswith(("data:", "blob:", "about:"))]

    def column(self, number: int, table: str = "table") -> list[str]:
        """The texts of a table's column, as they stand."""
        rows = f"[...document.querySelector({table!r}).tBodies[0].rows]"
        return [str(text) for text in self.js(f"{rows}.map(row => row.cells[{number}].textContent)")]

    def click(self, css: str) -> None:
        """Click the first element of this selector."""
        self.js(f"document.querySelector({css!r}).scrollIntoView({{block: 'center'}})")
        self.driver.find_element("css selector", css).click()


def browsers(folder: Path) -> Iterator[Browser]:
    """One browser; the test is skipped where there is none."""
    missing = sorted(package for program, package in PROGRAMS.items() if shutil.which(program) is None)
    if missing:
        pytest.skip(f"needs a browser: apt-get install {' '.join(missing)}")
    pytest.importorskip("selenium", reason="needs selenium: pip install 'tvm-vsq[dev]'")
    browser = Browser(folder)
    yield browser
    browser.driver.quit()


def check_page(browser: Browser, page: Path) -> None:
    """What holds of every page: it draws its plots in the reader's colours, in a window of any width, and
    asks nobody for anything."""
    browser.open(page)
    plots = browser.js("document.querySelectorAll('.plot').length")
    shown = "[...document.querySelectorAll('.plot')].filter(p => !p.closest('details:not([open])'))"
    assert plots > 0
    assert browser.js(f"{shown}.every(p => p.querySelector('svg.main-svg .xy, svg.main-svg .plot'))")
    light = json.dumps(browser.js(_COLOURS))
    browser.show(scheme="dark")
    browser.wait(f"{_COLOURS}.every((colour, at) => colour !== {light}[at])")
    for width in (375, 1200):
        browser.show(width=width)
        browser.wait(f"innerWidth === {width} && document.documentElement.clientWidth <= {width}")
        widths = browser.js("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert widths[0] <= widths[1]
    assert browser.errors() == []
    assert browser.requests() == []


# Of the page, of its text, and of the first plot's text.
_COLOURS = (
    "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,"
    "getComputedStyle(document.querySelector('.plot .xtick text, .plot .ytick text')).fill]"
)
