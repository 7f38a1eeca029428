"""The fragment as a browser lays it out: accessible, and every label readable."""

import pytest

NAMES = [
    "sampled_large",
    "many_lines",
    "forked_workers",
    "unicode",
    "threads",
    "long_source",
    "big",
]


@pytest.fixture
def index(page, gallery):
    page.set_viewport_size({"width": 700, "height": 900})
    page.goto((gallery / "index.html").as_uri())
    return page


@pytest.mark.parametrize("name", NAMES)
def test_labels_neither_overlap_nor_leave_the_picture(index, name, labels_are_readable):
    card = index.locator(f"#{name} ~ div.memprofile").first
    pictures = labels_are_readable(card)
    assert pictures
    # At 700 pixels a picture is shown at nearly its own size.
    assert min(picture["width"] for picture in pictures) >= 600


@pytest.mark.parametrize(("paper", "width"), [("light", 700), ("dark", 700), ("light", 480)])
def test_the_fragment_is_accessible(index, paper, width, accessible):
    # What is scrolled sideways where it is narrow is reached by the keyboard too.
    index.set_viewport_size({"width": width, "height": 900})
    if paper == "dark":
        index.evaluate("document.body.classList.add('dark')")
    for closed in index.locator(".memprofile details").all():
        closed.evaluate("details => { details.open = true }")
    accessible(index, ".memprofile")
