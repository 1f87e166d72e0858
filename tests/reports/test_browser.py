"""Reports in a browser: they draw at every width, sort by mouse and keyboard, and fetch nothing. Needs Chromium."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from run_folders import KINDS, Folders

from hwsim.reports import html
from hwsim.reports.comparison import compare

webdriver: Any = pytest.importorskip("selenium.webdriver")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not CHROMIUM or not DRIVER, reason="no Chromium here")

FLAGS = (
    "headless",
    "no-sandbox",
    "disable-gpu",
    "disable-quic",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
    "disable-dev-shm-usage",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


class Shown:
    """A page in the browser."""

    def __init__(self, browser: Any, path: Path, width: int = 1280, **media: str) -> None:
        self.browser = browser
        features = [
            {"name": name.replace("_", "-"), "value": value} for name, value in media.items() if name != "media"
        ]
        self.tell("Emulation.setEmulatedMedia", media=media.get("media", ""), features=features)
        self.tell(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        for kind in ("browser", "performance"):
            browser.get_log(kind)
        browser.get(path.as_uri())

    def tell(self, command: str, **arguments: Any) -> Any:
        return self.browser.execute_cdp_cmd(command, arguments)

    def ask(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(f"return {script}", *arguments)

    @property
    def complaints(self) -> list[Any]:
        return self.browser.get_log("browser")

    @property
    def fetched(self) -> list[str]:
        """Addresses that the page asked for."""
        events = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="module")
def pages(folders: Folders, page: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind of run, and of some side by side."""
    folder = tmp_path_factory.mktemp("pages")
    made = {kind: page(kind) for kind in KINDS}
    made["comparison"] = html.of_comparison(compare([folders(kind) for kind in KINDS]))
    for name, text in made.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.mark.parametrize("width", [360, 1280])
def test_pages_draw_without_complaint_and_fetch_nothing(browser: Any, pages: dict[str, Path], width: int) -> None:
    for name, path in pages.items():
        shown = Shown(browser, path, width)
        assert shown.complaints == [], name
        assert [url for url in shown.fetched if not url.startswith("data:")] == [path.as_uri()], name
        assert shown.ask("document.documentElement.scrollWidth") <= width, name
        for box in shown.ask("[...document.querySelectorAll('svg')].map(e => e.getBoundingClientRect().toJSON())"):
            assert box["width"] > 200, name
            assert box["height"] > 60, name


def test_text_in_figures_can_be_read_on_a_phone(browser: Any, pages: dict[str, Path]) -> None:
    shown = Shown(browser, pages["full"], 360)
    sizes = shown.ask(
        "[...document.querySelectorAll('svg text')].map(e => parseFloat(getComputedStyle(e).fontSize)"
        " * e.getScreenCTM().a / Math.cos(Math.atan2(e.getScreenCTM().b, e.getScreenCTM().a)) || 99)"
    )
    assert min(sizes) > 7.5


def test_a_page_is_printed(browser: Any, pages: dict[str, Path]) -> None:
    shown = Shown(browser, pages["full"], media="print")
    assert shown.ask("getComputedStyle(document.querySelector('nav')).display") == "none"
    printed = base64.b64decode(shown.tell("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert printed.startswith(b"%PDF")
    assert 2 <= printed.count(b"/Type /Page\n") <= 14


def luminance(colour: str) -> float:
    channels = [float(part) / 255 for part in colour.strip("rgba()").split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("mode", "dark"), [("light", False), ("dark", True)])
def test_light_and_dark_have_contrast(browser: Any, pages: dict[str, Path], mode: str, dark: bool) -> None:
    shown = Shown(browser, pages["full"], prefers_color_scheme=mode)
    style = "getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    ground = shown.ask(style, "body", "backgroundColor")
    assert (luminance(ground) < 0.2) == dark
    card = shown.ask(style, "figure", "backgroundColor")
    for selector in ("figure svg text", "figcaption", "figure h3", "td small", ".warnings h2", ".said", "nav a"):
        names = ("fill",) if "text" in selector else ("color",)
        for name in names:
            colour = shown.ask(style, selector, name)
            assert contrast(colour, ground if selector in ("nav a",) else card) >= 4.5, selector
    for name in ("blue", "orange", "green", "purple", "sky", "brown", "rose", "slate"):
        colour = shown.ask(f"getComputedStyle(document.documentElement).getPropertyValue('--{name}').trim()")
        channels = ",".join(str(int(colour[place : place + 2], 16)) for place in (1, 3, 5))
        assert contrast(f"rgb({channels})", card) >= 2.9, name


ROWS = (
    "[...document.querySelector('#costs').parentElement.querySelector('table').tBodies[0].rows]"
    ".map(row => row.cells[1].dataset.value)"
)


def numbers(found: list[str | None]) -> list[float]:
    return [float(value) for value in found if value is not None]


def pressed(browser: Any, element: Any) -> None:
    """Click on an element once it can be clicked: a busy computer draws late what a page has just opened."""
    from selenium.common.exceptions import ElementNotInteractableException
    from selenium.webdriver.support.ui import WebDriverWait

    wait = WebDriverWait(browser, 30, ignored_exceptions=[ElementNotInteractableException])
    wait.until(lambda _: element.click() is None)


def test_tables_are_sorted_by_mouse_and_by_keyboard(browser: Any, pages: dict[str, Path]) -> None:
    from selenium.webdriver.common.keys import Keys

    shown = Shown(browser, pages["full"])
    shown.ask("document.querySelectorAll('details').forEach(e => e.open = true)")
    written = shown.ask(ROWS)
    heading = browser.find_element("css selector", "#costs ~ details th:nth-child(2)")
    button = heading.find_element("css selector", "button")
    assert numbers(written) != sorted(numbers(written), reverse=True)
    shown.ask("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", button)
    pressed(browser, button)
    assert heading.get_attribute("aria-sort") == "descending"
    assert numbers(shown.ask(ROWS)) == sorted(numbers(written), reverse=True)
    button.send_keys(Keys.ENTER)
    assert heading.get_attribute("aria-sort") == "ascending"
    assert numbers(shown.ask(ROWS)) == sorted(numbers(written))
    button.send_keys(Keys.SPACE)
    assert heading.get_attribute("aria-sort") == "none"
    assert shown.ask(ROWS) == written
    assert shown.complaints == []


def test_without_javascript_the_page_is_all_there(browser: Any, pages: dict[str, Path]) -> None:
    shown = Shown(browser, pages["full"])
    shown.tell("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.get(pages["full"].as_uri())
        assert browser.find_elements("css selector", "th button") == []
        assert len(browser.find_elements("css selector", "figure svg")) >= 9
        assert browser.find_element("css selector", "table").text
    finally:
        shown.tell("Emulation.setScriptExecutionDisabled", value=False)
