"""The page of --save report.html answers: to the mouse, to the keyboard, in light and in dark."""

import re

import pytest

PAGES = [
    "sampled_large",
    "many_lines",
    "forked_workers",
    "unicode",
    "tiny",
    "empty",
    "frees",
    "big",
]


@pytest.fixture(params=["light", "dark"])
def scheme(request):
    return request.param


@pytest.fixture
def visit(browser, gallery):
    """Opens a page of the gallery; whatever it asks of a network, or gets wrong, is a fault."""
    opened = []

    def go(name, **how):
        page = browser.new_page(**{"viewport": {"width": 1000, "height": 900}, **how})
        page.faults = []
        page.on("request", lambda it: page.faults.append(it.url) if it.url != url else None)
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("console", lambda it: page.faults.append(it.text) if it.type == "error" else None)
        url = (gallery / f"{name}.html").as_uri()
        page.goto(url)
        opened.append(page)
        return page

    yield go
    for page in opened:
        # Pictures are in the page itself.
        faults = [fault for fault in page.faults if not fault.startswith("data:")]
        page.close()
        assert faults == []


@pytest.mark.parametrize("name", PAGES)
def test_everything_is_drawn_and_accessible(visit, scheme, name, screenshots, accessible):
    page = visit(name, color_scheme=scheme)
    page.screenshot(path=screenshots / f"page-{name}-{scheme}.png", full_page=True)
    assert "memprofile" in page.title()
    for closed in page.locator("details").all():
        closed.evaluate("details => { details.open = true }")
    accessible(page)
    if name not in ("tiny", "empty"):
        assert page.locator("#timeline svg path").count() >= 3


@pytest.mark.parametrize("name", ["sampled_large", "unicode", "long_source"])
def test_nothing_is_wider_than_a_telephone(visit, name, screenshots, accessible):
    page = visit(name, viewport={"width": 390, "height": 800})
    page.screenshot(path=screenshots / f"page-{name}-narrow.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    accessible(page)


def test_a_moment_of_the_timeline(visit):
    page = visit("sampled_large")
    said = page.locator(".readout")
    assert "At 2.33 s: footprint (solid) 1.42 GiB" in said.inner_text()
    assert "line 7 912 MiB" in said.inner_text()
    assert page.locator("tr.running .source").inner_text().strip().startswith("wide = frame.pivot")
    box = page.locator("#timeline svg").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 100)
    assert "line 4 150 MiB" in said.inner_text()
    assert "line 7 0" in said.inner_text()
    assert page.locator("tr.running .source").inner_text().startswith("top = spread(df)")
    slider = page.get_by_role("slider", name="Moment")
    slider.press("Home")
    assert said.inner_text().startswith("At 0 ns")
    slider.press("ArrowRight")
    assert not said.inner_text().startswith("At 0 ns")
    assert slider.get_attribute("aria-valuetext").startswith("At ")


def labels(page):
    return page.get_by_role("treeitem").evaluate_all("boxes => boxes.map(b => b.textContent)")


def test_the_flame_graph_zooms_by_mouse_and_keyboard(visit):
    page = visit("sampled_large")
    graph = page.get_by_role("tree")
    whole = labels(page)
    wide = graph.bounding_box()["width"]
    agg = page.get_by_role("treeitem", name=re.compile("^DataFrameGroupBy.agg"))
    assert agg.bounding_box()["width"] < wide / 3
    agg.click()
    assert agg.bounding_box()["width"] == pytest.approx(wide, abs=2)
    # Whoever is above it is still there to go back to; whoever is beside it is not.
    assert labels(page)[0].startswith("cell [12]")
    assert not any(label.startswith("line 3") for label in labels(page))
    page.keyboard.press("Escape")
    assert labels(page) == whole
    page.keyboard.press("ArrowDown")
    focused = page.locator(":focus")
    assert focused.inner_text().startswith("line 7")
    page.keyboard.press("ArrowRight")
    assert focused.inner_text().startswith("line 3")
    page.keyboard.press("ArrowDown")
    assert focused.inner_text().startswith("read_csv")
    page.keyboard.press("Enter")
    assert focused.bounding_box()["width"] == pytest.approx(wide, abs=2)
    assert "read_csv" in page.locator(".said").inner_text()
    page.get_by_role("button", name="Show all").click()
    assert labels(page) == whole


def test_the_flame_graph_is_searched(visit):
    page = visit("sampled_large")
    search = page.get_by_role("searchbox", name="Search in the graph")
    search.fill("UNSTACK")
    status = page.get_by_role("status")
    # Both calls of unstack, once: 176 + 471 MiB.
    assert re.fullmatch(r"\d found, 647 MiB \(44\.\d%\)", status.inner_text())
    assert page.locator(".flame .match").count() >= 2
    search.press("Enter")
    assert "unstack" in page.locator(":focus").inner_text().lower()
    search.fill("nowhere")
    assert status.inner_text() == "nothing found"
    search.press("Escape")
    assert page.locator(".flame .match").count() == 0


def test_the_table_leads_to_the_graph(visit):
    page = visit("sampled_large")
    page.get_by_role("button", name="line 3: show who held it at the peak").click()
    shown = labels(page)
    assert shown[1].startswith("line 3")
    assert not any(label.startswith("line 7") for label in shown)


def test_tables_are_sorted_by_keyboard(visit):
    page = visit("sampled_large")
    first = page.locator("table.lines tbody tr .source").first
    assert first.inner_text() == "import pandas as pd"
    allocated = page.locator("table.lines thead").get_by_role("button", name="allocated")
    header = page.locator("table.lines th", has=page.get_by_role("button", name="allocated"))
    allocated.press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    assert first.inner_text().strip().startswith("wide = frame.pivot_table")
    allocated.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    assert first.inner_text() == "import pandas as pd"
    allocated.press("Enter")
    assert header.get_attribute("aria-sort") is None
    page.get_by_text("By allocator and size").click()
    table = page.locator(".sections table").first
    rows = table.locator("tbody th")
    before = rows.all_inner_texts()
    for _ in range(2):
        table.get_by_role("button", name="blocks").click()
    after = rows.all_inner_texts()
    assert sorted(after) == sorted(before)
    assert after != before
    assert after[-1] == "in all"


def test_names_are_text_and_nothing_else(visit):
    page = visit("unicode")
    assert page.evaluate("document.scripts.length") == 2
    assert "<script>alert" in page.locator("table.lines").inner_text()
    assert page.locator("table.lines script, .flame script").count() == 0


def test_without_scripts_it_is_still_a_report(browser, gallery):
    page = browser.new_page(java_script_enabled=False)
    page.goto((gallery / "sampled_large.html").as_uri())
    assert page.locator("img").count() == 2
    assert page.locator("img").first.get_attribute("alt")
    assert "wide = frame.pivot_table" in page.locator("#lines").inner_text()
    assert "unstack" in page.locator("#flame").text_content()
    page.close()
