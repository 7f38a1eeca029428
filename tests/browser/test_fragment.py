"""The fragment as a browser lays it out: accessible, and every label readable."""

import itertools

import pytest

# Each text of each picture: its box, and that of the picture, in CSS pixels of the page.
TEXTS = """async card => {
  const found = [];
  for (const image of card.querySelectorAll("img")) {
    const source = atob(image.src.split(",")[1]);
    const bytes = Uint8Array.from(source, letter => letter.charCodeAt(0));
    const holder = document.createElement("div");
    holder.innerHTML = new TextDecoder().decode(bytes);
    const svg = holder.firstElementChild;
    svg.style.width = image.clientWidth + "px";
    svg.style.height = image.clientHeight + "px";
    document.body.append(holder);
    const paper = svg.getBoundingClientRect();
    const boxes = [...svg.querySelectorAll("text")].map(text => {
      const box = text.getBoundingClientRect();
      return [text.textContent, box.left - paper.left, box.top - paper.top, box.width, box.height];
    });
    found.push({ alt: image.alt, width: paper.width, height: paper.height, boxes });
    holder.remove();
  }
  return found;
}"""

NAMES = [
    "sampled_large",
    "many_lines",
    "forked_workers",
    "unicode",
    "threads",
    "long_source",
    "big",
]


def overlap(a, b):
    """By how many pixels two boxes cover each other, at the narrower side."""
    _, x, y, w, h = a
    _, u, v, s, t = b
    return min(min(x + w, u + s) - max(x, u), min(y + h, v + t) - max(y, v))


@pytest.fixture
def index(page, gallery):
    page.set_viewport_size({"width": 700, "height": 900})
    page.goto((gallery / "index.html").as_uri())
    return page


@pytest.mark.parametrize("name", NAMES)
def test_labels_neither_overlap_nor_leave_the_picture(index, name):
    card = index.locator(f"#{name} ~ div.memprofile").first
    pictures = card.evaluate(TEXTS)
    assert pictures
    for picture in pictures:
        assert picture["alt"]
        # At 700 pixels a picture is shown at nearly its own size, so that letters are readable.
        assert picture["width"] >= 600
        for label in picture["boxes"]:
            _text, x, y, width, height = label
            assert x >= -1, label
            assert x + width <= picture["width"] + 1, label
            assert y >= -1, label
            assert y + height <= picture["height"] + 1, label
            assert height >= 9, label
        for a, b in itertools.combinations(picture["boxes"], 2):
            # A line's box is higher than its letters.
            assert overlap(a, b) <= 3, (a, b)


@pytest.mark.parametrize("paper", ["light", "dark"])
def test_the_fragment_is_accessible(index, paper, accessible):
    if paper == "dark":
        index.evaluate("document.body.classList.add('dark')")
    for closed in index.locator(".memprofile details").all():
        closed.evaluate("details => { details.open = true }")
    accessible(index, ".memprofile")
