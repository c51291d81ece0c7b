"""The page in a real browser: no error, nothing loaded, sorting, searching, copying, and crystals that turn.

Chromium and its driver come from the system (`tests/run.sh` installs them where apt-get is there).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from aiida_icsg3d.report import write_report
from tests.aiida.discovery_graph import build_discovery

FLAGS = ("--headless=new", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--enable-unsafe-swiftshader",
         "--hide-scrollbars")  # fmt: skip


def program(*names: str) -> str:
    """Return the path of a program under the first of its names that is there."""
    for name in names:
        if (path := shutil.which(name)) is not None:
            return path
    raise FileNotFoundError(f"{names[0]} is not there: install the packages chromium and chromium-driver")


def start(*flags: str) -> webdriver.Chrome:
    """Return a browser that notes its console and its requests."""
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium", "chromium-browser", "google-chrome")
    for flag in (*FLAGS, *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(program("chromedriver")))


@pytest.fixture(scope="module")
def address(aiida_profile: object, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of the page of a run, moved away from everything written beside it."""
    run = build_discovery(tmp_path_factory.mktemp("run"), judged=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aiida_icsg3d.report.pictures.picture.DPI", 40)
        patch.setattr("aiida_icsg3d.report.page.PICTURE_DPI", 60)
        page = write_report(run.workchain, tmp_path_factory.mktemp("report"))["index"]
    alone = tmp_path_factory.mktemp("mailed") / "mailed.html"
    page.rename(alone)
    return alone.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """Return a running browser."""
    running = start()
    yield running
    running.quit()


def requested(browser: webdriver.Chrome) -> set[str]:
    """Return what was asked for since the last time, without what stands in the page itself."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return {url for url in sent if not url.startswith(("data:", "blob:"))}


def errors(browser: webdriver.Chrome) -> list[Any]:
    """Return what the console complains of; how fast this machine draws (`rendering`) is no fault of the page."""
    entries = browser.get_log("browser")
    return [e for e in entries if e["level"] == "SEVERE" or (e["level"] == "WARNING" and e["source"] != "rendering")]


def open_page(browser: webdriver.Chrome, address: str, width: int) -> None:
    """Open the page in a window, which phones have narrower than a desktop's may be."""
    metrics = {"width": width, "height": 1600, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(address)


def formulas(browser: webdriver.Chrome) -> list[str]:
    """Return the formulas of the rows that are shown, from top to bottom."""
    rows = browser.find_elements(By.CSS_SELECTOR, "#table tbody tr")
    return [str(row.get_attribute("data-text")).split()[0] for row in rows if row.is_displayed()]


@pytest.mark.parametrize("width", [1400, 420])
def test_page_loads_nothing_and_complains_of_nothing(browser: webdriver.Chrome, address: str, width: int) -> None:
    open_page(browser, address, width)
    cards = browser.find_elements(By.CLASS_NAME, "turn")
    assert len(cards) == 2
    for card in cards:
        browser.execute_script("arguments[0].scrollIntoView()", card)
        WebDriverWait(browser, 30).until(lambda _, card=card: card.find_elements(By.TAG_NAME, "canvas"))
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert requested(browser) == {address}
    assert errors(browser) == []
    assert browser.find_element(By.CLASS_NAME, "verdict").is_displayed()


def test_rows_are_sorted_and_searched(browser: webdriver.Chrome, address: str) -> None:
    open_page(browser, address, 1400)
    assert formulas(browser) == ["PbTiO3", "BaNbN3", "SrTiO3", "KMgF3"]  # the selected first
    (head,) = [h for h in browser.find_elements(By.CSS_SELECTOR, "#table th") if h.text.startswith("a, b, c")]
    head.click()
    assert formulas(browser) == ["PbTiO3", "SrTiO3", "KMgF3", "BaNbN3"]  # 3.88 by DFT, 3.93, 4.02, 4.12
    head.click()
    assert formulas(browser)[0] == "BaNbN3"
    search = browser.find_element(By.ID, "search")
    search.send_keys("ti o")
    assert set(formulas(browser)) == {"PbTiO3", "SrTiO3"}
    search.clear()
    search.send_keys("s000007")
    assert formulas(browser) == ["KMgF3"]
    search.clear()
    search.send_keys(" ")
    Select(browser.find_element(By.ID, "which")).select_by_value("failed")
    assert formulas(browser) == ["BaNbN3"]
    assert errors(browser) == []


def test_generated_and_relaxed_crystal_share_a_frame(browser: webdriver.Chrome, address: str) -> None:
    open_page(browser, address, 1400)
    card = browser.find_element(By.CLASS_NAME, "turn")
    browser.execute_script("arguments[0].scrollIntoView()", card)
    WebDriverWait(browser, 30).until(lambda _: card.find_elements(By.TAG_NAME, "canvas"))
    shown = "return [...new Set(document.querySelector('.plot').data.filter(t => t.visible).map(t => t.meta))]"
    assert browser.execute_script(shown) == ["relaxed"]
    card.find_element(By.CSS_SELECTOR, "[data-part=both]").click()
    assert set(browser.execute_script(shown)) == {"generated", "relaxed"}
    card.find_element(By.CSS_SELECTOR, "[data-part=field]").click()
    assert browser.execute_script(shown) == ["field"]
    assert errors(browser) == []


def said(browser: webdriver.Chrome) -> str:
    """Return what the page says of the last click; a loaded machine may draw it after the words have gone again."""
    toast = browser.find_element(By.ID, "toast")
    return str(WebDriverWait(browser, 30).until(lambda _: toast.get_attribute("textContent")))


def test_nodes_are_copied(browser: webdriver.Chrome, address: str) -> None:
    open_page(browser, address, 1400)
    browser.execute_script("document.addEventListener('copy', () => window.wasCopied = getSelection().toString())")
    button = browser.find_element(By.CSS_SELECTOR, "#table .copy")
    button.click()
    text = str(button.get_attribute("data-copy"))
    assert said(browser) == f"copied {text}"
    assert browser.execute_script("return window.wasCopied") == text
    assert button.text.startswith("PK ")


@pytest.mark.parametrize("refusal", ["() => false", "() => { throw new DOMException('denied') }"])
def test_a_browser_that_refuses_to_copy_is_named_with_the_text(
    browser: webdriver.Chrome, address: str, refusal: str
) -> None:
    open_page(browser, address, 420)
    browser.execute_script(f"document.execCommand = {refusal}")
    button = browser.find_element(By.CSS_SELECTOR, "#table .copy")
    browser.execute_script("arguments[0].click()", button)
    words = said(browser)
    assert words.startswith("not copied")
    assert words.endswith(str(button.get_attribute("data-copy")))
    WebDriverWait(browser, 15).until(lambda _: browser.find_element(By.ID, "toast").text == words)


def test_pictures_stand_in_where_webgl_is_missing(address: str) -> None:
    running = start("--disable-3d-apis")
    try:
        open_page(running, address, 420)
        for image in running.find_elements(By.CSS_SELECTOR, ".turn img"):
            assert image.is_displayed()
            assert running.execute_script("return arguments[0].naturalWidth", image) > 300
        assert not running.find_elements(By.CSS_SELECTOR, ".plot canvas")
        assert errors(running) == []
    finally:
        running.quit()


def test_page_prints_its_pictures(browser: webdriver.Chrome, address: str, tmp_path: Path) -> None:
    open_page(browser, address, 1400)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not browser.find_element(By.ID, "search").is_displayed()
        assert all(image.is_displayed() for image in browser.find_elements(By.CSS_SELECTOR, ".turn img"))
        assert not any(plot.is_displayed() for plot in browser.find_elements(By.CLASS_NAME, "plot"))
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_the_phase_diagram_is_drawn(browser: webdriver.Chrome, address: str) -> None:
    open_page(browser, address, 1400)
    section = browser.find_element(By.ID, "phases")
    assert "Pb-Ti-O, LDA, 7 phases" in section.text
    assert len(section.find_elements(By.CSS_SELECTOR, ".chart .scatterlayer .point, .chart .ternarylayer .point")) == 8
