"""A report in JupyterLab: dark and light, wide and narrow, in a notebook that it does not trust."""

import base64
import mmap

import memprofile
import nbformat
import numpy
import pytest

REPORT = 'div[data-mime-type="text/html"] div.memprofile'
# The notebook's own part of the window: what it cannot show without scrolling sideways.
OVERFLOWS = """() => [document.scrollingElement, ...document.querySelectorAll(
    ".jp-Notebook, .jp-WindowedPanel-outer, .jp-OutputArea-output, .jp-RenderedHTMLCommon"
)].filter(part => part.scrollWidth > part.clientWidth + 1).map(part => part.className)"""
DRAWN = """reports => Promise.all(reports.flatMap(report => [...report.querySelectorAll("img")]
    .map(image => image.decode().then(() => [image.naturalWidth, image.clientWidth]))))"""
PAPER = "getComputedStyle(document.body).getPropertyValue('--jp-layout-color0').trim()"


def several_lines():
    table = numpy.ones(3_000_000)
    rows = [{"name": str(n), "value": float(n)} for n in range(60_000)]
    doubled = table * 2 + table
    del table
    text = ", ".join(row["name"] for row in rows)
    return rows, doubled, text


@pytest.fixture(scope="module")
def notebook(lab):
    """Its name: a report with every part, one of a cell that fills old memory, and a tiny one."""
    # A mapping of its own: numpy's may be places in malloc's heap that were resident before.
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    old = numpy.frombuffer(mmap.mmap(-1, 40_000_000, flags=private))
    with memprofile.profile() as rich:
        kept = several_lines()
    with memprofile.profile() as fills:
        old[:] = 1
    with memprofile.profile() as tiny:
        little = [str(n) for n in range(10)]
    assert (len(kept), len(little)) == (3, 10)
    cells = []
    for profile in (rich, fills, tiny):
        data, metadata = profile._repr_mimebundle_()
        data["image/png"] = base64.b64encode(data["image/png"]).decode()
        output = nbformat.v4.new_output("display_data", data, metadata=metadata)
        cells.append(nbformat.v4.new_code_cell("%%memprofile", outputs=[output]))
    name = "looks.ipynb"
    document = nbformat.v4.new_notebook(cells=cells)
    document.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(document, lab.folder / name)
    return name


def test_dark_and_light_wide_and_narrow(
    lab, page, notebook, screenshots, accessible, labels_are_readable
):
    page.set_viewport_size({"width": 1000, "height": 900})
    page.goto(lab.url(notebook))
    reports = page.locator(REPORT)
    reports.nth(2).wait_for()
    # The file browser would take half of a narrow window.
    page.keyboard.press("Control+b")
    page.locator("#jp-left-stack").wait_for(state="hidden")
    papers = set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        is_light = str(scheme == "light").lower()
        page.locator(f"body[data-jp-theme-light={is_light}]").wait_for(state="attached")
        papers.add(page.evaluate(PAPER))
        for width in (700, 480):
            page.set_viewport_size({"width": width, "height": 2600})
            assert page.evaluate(OVERFLOWS) == []
            shown = reports.evaluate_all(DRAWN)
            assert len(shown) >= 4
            # Below some width letters would be too small: then the picture is scrolled.
            assert min(map(min, shown)) >= 500
            for number in range(reports.count()):
                labels_are_readable(reports.nth(number))
                assert reports.nth(number).bounding_box()["width"] <= width
            accessible(page, REPORT)
            for number, name in enumerate(("rich", "fills", "tiny")):
                path = screenshots / f"look-{scheme}-{width}-{name}.png"
                reports.nth(number).screenshot(path=path)
            page.screenshot(path=screenshots / f"look-{scheme}-{width}.png")
    assert len(papers) == 2
