"""The built site in a real browser. `UPSAMPLE_TEST_SITE` names the folder of the site; without it, nothing is tested.

Screenshots go to `UPSAMPLE_TEST_SCREENSHOTS`, a folder, for people to look at.
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SITE = os.environ.get("UPSAMPLE_TEST_SITE")
PAGES = [
    "index.html",
    "choose.html",
    "howto/thumbnails.html",
    "api/generated/upsample.max_unpool2d.html",
    "benchmarks.html",
]
SIZES = {"desktop": (1400, 900), "phone": (390, 844)}


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and logs nothing."""

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve the site on a free port of this machine."""
    if SITE is None:
        pytest.skip("the site is not installed: UPSAMPLE_TEST_SITE names no built site")
    handler = functools.partial(Quiet, directory=SITE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed, which drives a browser")
    driver = shutil.which("chromedriver")
    if driver is None:
        pytest.skip("no chromium: chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        f"--user-data-dir={tmp_path_factory.mktemp('browser')}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    browser.set_page_load_timeout(60)
    yield browser
    browser.quit()


def complaints(browser: Any) -> list[str]:
    """Return what the console says of pages and scripts of the site."""
    found = [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "ERROR")]
    return [entry["message"] for entry in found if "127.0.0.1" in entry["message"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows(page: str, size: str, theme: str, address: str, browser: Any) -> None:
    browser.set_window_size(*SIZES[size])
    browser.get(f"{address}/search.html")
    browser.execute_script(f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')")
    complaints(browser)
    browser.get(f"{address}/{page}")
    assert browser.execute_script("return document.documentElement.dataset.theme") == theme
    broken = browser.execute_script(
        "return [...document.images].filter(i => i.complete && i.offsetParent && i.naturalWidth === 0).map(i => i.src)"
    )
    assert broken == []
    assert complaints(browser) == []
    assert browser.find_elements("css selector", "main h1")
    wide = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 2, f"the page is {wide} pixels wider than the window"
    folder = os.environ.get("UPSAMPLE_TEST_SCREENSHOTS")
    if folder:
        browser.save_screenshot(str(Path(folder) / f"{page.replace('/', '-')}-{size}-{theme}.png"))


def test_search_finds_a_function(address: str, browser: Any) -> None:
    ui = pytest.importorskip(
        "selenium.webdriver.support.ui", reason="selenium is not installed, which drives a browser"
    )
    browser.set_window_size(*SIZES["desktop"])
    browser.get(f"{address}/search.html?q=max_unpool2d")
    found = ui.WebDriverWait(browser, 30).until(
        lambda b: [a.get_attribute("href") for a in b.find_elements("css selector", "#search-results li a")]
    )
    assert any("max_unpool2d" in link for link in found)
