"""The page of a build in a real browser: Chromium without a window, and axe-core in it.

`python3 tools/axe.py` fetches axe-core. PERSONA_TEST_AXE names another one, and then a machine
without Chromium fails these tests in place of skipping them.
"""

import base64
import dataclasses
import os
from pathlib import Path

import pytest

from builder.evaluation.report import OwnAnswer
from builder.report import page
from tests.report.browser import Browser, find_chromium
from tests.report.pages import make_answer, make_contents, make_found
from tests.report.test_page import EVERY, HOSTILE, fill

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
FETCHED = sorted(CACHE.glob("persona/axe-core-*/node_modules/axe-core/axe.min.js"))
NAMED = os.environ.get("PERSONA_TEST_AXE")
AXE = Path(NAMED) if NAMED else next(reversed(FETCHED), None)
# WCAG 2.2 AA, as axe-core names what each version brought.
STANDARD = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
# A phone, a tablet, and a window; 320 is what WCAG asks a page to fit (1.4.10).
WIDTHS = (320, 390, 820, 1280)
TAB, ENTER = ("Tab", 9), ("Enter", 13, "\r")
PAGES = {**EVERY, "hostile": fill(HOSTILE["direction"] + HOSTILE["long"][:600])}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A Chromium of the tests' own."""
    if not NAMED and not find_chromium():
        pytest.skip("no Chromium here: apt install chromium")
    if not AXE:
        pytest.skip("no axe-core here: python3 tools/axe.py")
    with Browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture
def show(browser, tmp_path):
    """Open a page of these contents, and look on until the test ends."""
    path = tmp_path / "report.html"

    def open_page(contents):
        path.write_text(page.render(contents), "utf-8")
        browser.open(path)

    yield open_page
    assert set(browser.requests) <= {path.as_uri()}
    assert browser.complaints == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("contents", PAGES.values(), ids=PAGES)
def test_the_page_is_accessible(browser, show, contents, theme):
    """axe-core finds no violation of WCAG 2.2 AA on a phone and in a window, all of it unfolded."""
    browser.show_as(theme=theme)
    for width in (390, 1280):
        browser.resize(width)
        show(contents)
        browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        browser.run(f"{AXE.read_text('utf-8')}; 0")
        found = browser.run(
            f"axe.run({{runOnly: {list(STANDARD)}}}).then((found) => found.violations.map("
            "(one) => [one.id, one.nodes.map((node) => node.failureSummary)]))"
        )
        assert found == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("contents", PAGES.values(), ids=PAGES)
def test_nothing_is_cut_off(browser, show, contents, width):
    """No page is wider than its window, whatever its texts hold."""
    browser.resize(width)
    show(contents)

    assert browser.run("document.documentElement.scrollWidth") <= width
    wide = "[...document.querySelectorAll('main *')].filter((one) => one.scrollWidth > "
    wide += "one.clientWidth + 1 && getComputedStyle(one).overflowX !== 'visible').length"
    assert browser.run(wide) == 0


def test_the_keyboard_reaches_everything_in_reading_order(browser, show):
    """Tab goes from the link past the facts to the last fold, each with an outline to be seen."""
    browser.resize(1280)
    show(make_contents())
    every = "[...document.querySelectorAll('a, input, summary')]"
    count, reached, outlines = browser.run(f"{every}.length"), [], set()
    for _ in range(count):
        browser.press(*TAB)
        reached.append(browser.run(f"{every}.indexOf(document.activeElement)"))
        outlines.add(browser.run("getComputedStyle(document.activeElement).outlineStyle"))

    assert reached == list(range(count))
    assert outlines == {"solid"}
    assert browser.run("document.activeElement.getBoundingClientRect().bottom <= innerHeight")
    browser.press(*ENTER)
    assert browser.run("document.activeElement.parentElement.open")


def test_a_link_leads_to_its_section(browser, show):
    """Each link of the page shows the section that it names."""
    show(make_contents())
    links = browser.run("[...document.querySelectorAll('nav a')].map((one) => one.hash.slice(1))")
    sections = browser.run("[...document.querySelectorAll('section')].map((one) => one.id)")

    assert links == sections
    assert browser.run("document.querySelectorAll('nav a')[1].click(); location.hash") == "#gates"


def search(browser, words="", *, is_wrong_only=False):
    """Type into the search field, and give the questions that are left."""
    browser.run(
        f"search.value = {words!r}; search.dispatchEvent(new Event('input'));"
        f"if (wrong.checked !== {str(is_wrong_only).lower()}) wrong.click()"
    )
    return browser.run(
        "[...document.querySelectorAll('#answers li')].filter((one) => one.checkVisibility())"
        ".map((one) => one.querySelector('.ask').textContent)"
    )


def test_answers_are_found(browser, show):
    """Words are looked for in questions and answers alike; wrong answers can be shown alone."""
    asked = [
        make_answer(ask="Who are you?", text="I am Luma."),
        make_answer("retention", "What is 2+2?", "Four.", baseline="4"),
        dataclasses.replace(make_answer("retention", "And 3+3?", "LUMA"), is_right=False),
    ]
    hello = OwnAnswer("Hello", "Hi!", ended=True, baseline="Hello.", problem=None)
    show(make_contents(found=make_found(asked=asked, hello=hello)))

    assert search(browser) == ["Hello"]
    assert search(browser, "luma") == ["Who are you?", "And 3+3?"]
    assert browser.run("count.textContent") == "2 found"
    assert search(browser, "luma", is_wrong_only=True) == ["And 3+3?"]
    assert search(browser, "nobody says this") == []
    assert search(browser) == ["Hello"]


def test_the_page_can_be_printed(browser, show):
    """On paper everything is unfolded, and what can only be clicked is not there."""
    show(make_contents())
    browser.show_as(media="print")
    is_shown = "getComputedStyle(document.querySelector('{}')).display !== 'none'"

    assert not browser.run(is_shown.format("nav"))
    assert not browser.run(is_shown.format(".filter"))
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    browser.show_as()
    assert browser.run("document.querySelectorAll('details:not([open])').length") > 0
    printed = browser.call("Page.printToPDF", printBackground=False)
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")
    assert browser.run("document.querySelectorAll('details:not([open])').length") == 0
