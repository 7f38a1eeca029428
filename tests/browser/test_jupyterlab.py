"""JupyterLab shows the report: of a notebook that it trusts, of one that it does not, and live."""

import copy
import re
import subprocess
import sys

import nbformat
import pytest
from conftest import is_profiled

# JupyterLab takes <svg> out where it does not trust: so this tells whether it does.
CANARY = '<p><svg class="canary" width="9" height="9"></svg></p>'
REPORT = '.jp-RenderedHTMLCommon[data-mime-type="text/html"] div.memprofile'

EVERY_IMAGE_IS_DRAWN = """report => Promise.all(
    [...report.querySelectorAll("img")].map(image => image.decode().then(() => image.naturalWidth))
)"""


OPEN_ALL = (
    "reports => reports.forEach(r => r.querySelectorAll('details').forEach(d => d.open = true))"
)


def write(lab, name, document, canary=True):
    document = copy.deepcopy(document)
    output = nbformat.v4.new_output("display_data", {"text/html": CANARY, "text/plain": name})
    if canary:
        document.cells.insert(0, nbformat.v4.new_code_cell(f"# {name}", outputs=[output]))
    nbformat.write(document, lab.folder / name)


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "untrusted"])
def test_an_executed_notebook_shows_its_reports(
    lab, page, quickstart, screenshots, trusted, accessible, labels_are_readable
):
    name = "trusted.ipynb" if trusted else "untrusted.ipynb"
    write(lab, name, quickstart.document)
    if trusted:
        command = [sys.executable, "-m", "jupyter", "trust", str(lab.folder / name)]
        subprocess.run(command, env=lab.environment, check=True, capture_output=True)
    page.goto(lab.url(name))
    reports = page.locator(REPORT)
    expected = sum(map(is_profiled, quickstart.document.cells))
    reports.nth(expected - 1).wait_for()
    assert reports.count() == expected
    assert page.locator(".canary").count() == int(trusted)
    drawn = []
    for number in range(expected):
        report = reports.nth(number)
        report.scroll_into_view_if_needed()
        assert report.is_visible()
        assert "peak" in report.inner_text().lower()
        drawn += report.evaluate(EVERY_IMAGE_IS_DRAWN)
    # The timeline and the icicle of every cell that was worth a plot.
    assert len(drawn) >= 10
    assert min(drawn) > 100
    largest = max(range(expected), key=lambda number: reports.nth(number).bounding_box()["height"])
    reports.evaluate_all(OPEN_ALL)
    accessible(page, REPORT)
    measured = [labels_are_readable(reports.nth(number)) for number in range(expected)]
    assert sum(map(len, measured)) == len(drawn)
    reports.nth(largest).screenshot(path=screenshots / f"report-{name.removesuffix('.ipynb')}.png")
    reports.nth(0).scroll_into_view_if_needed()
    page.screenshot(path=screenshots / name.replace(".ipynb", ".png"))


def test_a_cell_that_is_run_shows_its_report(lab, page, screenshots):
    cells = ["%load_ext memprofile", "%%memprofile\nkept = [bytes(1000) for _ in range(5000)]"]
    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    document.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    write(lab, "live.ipynb", document, canary=False)
    page.goto(lab.url("live.ipynb"))
    # The indicator is idle already before there is a kernel: what is run then is lost.
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    report = page.locator(REPORT)
    report.wait_for()
    assert "kept = [bytes(1000) for _ in range(5000)]" in report.inner_text()
    assert min(report.evaluate(EVERY_IMAGE_IS_DRAWN)) > 100
    page.screenshot(path=screenshots / "live.png")


def test_a_live_display_is_drawn_while_the_cell_runs(lab, page, screenshots, labels_are_readable):
    """It goes on until a file is there, so however slow the browser is, the cell still runs."""
    cells = [
        "%load_ext memprofile",
        "%%memprofile --live\n"
        "import os, time\n"
        "kept = []\n"
        "while not os.path.exists('end'):\n"
        "    kept = [*kept[-200:], bytearray(b'x' * 300_000)]\n"
        "    time.sleep(0.01)",
    ]
    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    document.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    write(lab, "going.ipynb", document, canary=False)
    page.goto(lab.url("going.ipynb"))
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    # A few updates later, its curve is one.
    display = page.locator(REPORT).filter(has_text=re.compile(r"MiB in use[\s\S]*line [456]"))
    display.wait_for()
    first = display.inner_text()
    for _ in range(4):
        page.wait_for_function(
            "([selector, before]) => document.querySelector(selector).innerText !== before",
            arg=[REPORT, first],
        )
        first = page.locator(REPORT).inner_text()
    assert min(display.evaluate(EVERY_IMAGE_IS_DRAWN)) > 100
    assert labels_are_readable(display)
    display.screenshot(path=screenshots / "live-display.png")
    (lab.folder / "end").touch()
    report = page.locator(REPORT).filter(has_text="Line by line")
    report.wait_for()
    assert page.locator(REPORT).count() == 1
