"""What is left of a report where others clean it or convert it: its meaning."""

import copy
import re
import shutil
import subprocess
import sys

import bleach
import nbformat
import pytest
from conftest import is_profiled

# GitHub draws a notebook on its server and takes out all but these; data URIs go, and styles.
GITHUB_TAGS = {
    *("h1", "h2", "h3", "h4", "h5", "h6", "br", "b", "i", "strong", "em", "a", "pre", "code"),
    *("img", "tt", "div", "ins", "del", "sup", "sub", "p", "picture", "ol", "ul", "li", "table"),
    *("thead", "tbody", "tfoot", "blockquote", "dl", "dt", "dd", "kbd", "q", "samp", "var", "hr"),
    *("ruby", "rt", "rp", "tr", "td", "th", "s", "strike", "summary", "details", "caption"),
    *("figure", "figcaption", "abbr", "bdo", "cite", "dfn", "mark", "small", "source", "span"),
    *("time", "wbr"),
}
GITHUB_ATTRIBUTES = {
    "*": ["align", "alt", "colspan", "rowspan", "scope", "open", "title", "width", "height"],
    "a": ["href"],
    "img": ["src"],
}


def reports(document):
    for cell in filter(is_profiled, document.cells):
        for output in cell.outputs:
            if "text/html" in output.get("data", {}) and "memprofile" in output.data["text/html"]:
                yield cell, output.data


def words(html):
    text = re.sub(r"<[^>]*>", " ", html)
    for entity, letter in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#39;", "'")):
        text = text.replace(entity, letter)
    return re.sub(r"\s+", " ", text.replace("&amp;", "&").replace("\xa0", " "))


def test_github_leaves_the_meaning(quickstart):
    seen = 0
    for cell, data in reports(quickstart.document):
        html = data["text/html"]
        cleaned = bleach.clean(
            html,
            tags=GITHUB_TAGS,
            attributes=GITHUB_ATTRIBUTES,
            protocols={"http", "https"},
            strip=True,
        )
        assert "style=" not in cleaned
        assert "data:" not in cleaned
        # No tag went: nothing of the report stands or falls with one that GitHub does not know.
        assert [*re.findall(r"<(\w+)", cleaned)] == [*re.findall(r"<(\w+)", html)]
        assert words(cleaned) == words(html)
        assert re.search(r"Peak|Nothing worth a plot|Gives back", words(cleaned)), cell.id
        # The pictures go, their words do not.
        assert re.findall(r'alt="[^"]{20,}"', cleaned) == re.findall(r'alt="[^"]{20,}"', html)
        seen += 1
    assert seen >= 8


@pytest.fixture(scope="module")
def converted(quickstart, tmp_path_factory):
    """Converts the executed notebook by nbconvert; gives the file that it wrote."""
    folder = tmp_path_factory.mktemp("converted")
    nbformat.write(quickstart.document, folder / "quickstart.ipynb")
    # Markdown becomes LaTeX by way of pandoc, which need not be there: outputs do not need it.
    outputs_alone = copy.deepcopy(quickstart.document)
    outputs_alone.cells = [cell for cell in outputs_alone.cells if cell.cell_type == "code"]
    nbformat.write(outputs_alone, folder / "outputs.ipynb")

    def convert(to):
        name = "outputs" if to in ("latex", "pdf") else "quickstart"
        command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", to, f"{name}.ipynb"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
        suffix = {"latex": "tex", "markdown": "md", "slides": "slides.html"}.get(to, to)
        return folder / f"{name}.{suffix}"

    return convert


@pytest.mark.parametrize("to", ["html", "slides"])
def test_web_pages_keep_the_fragments(quickstart, converted, to):
    written = converted(to)
    page = written.read_text()
    fragments = [data["text/html"] for _, data in reports(quickstart.document)]
    assert page.count('<div class="memprofile"') == len(fragments)
    for fragment in fragments:
        for picture in re.findall(r'src="data:image/svg\+xml;base64,[^"]+"', fragment):
            assert picture in page
    # No file beside the page is asked for.
    assert not [path for path in written.parent.iterdir() if path.is_dir() and "html" in path.name]


def test_markdown_keeps_the_tables(quickstart, converted):
    text = converted("markdown").read_text()
    assert text.count('<div class="memprofile"') == len([*reports(quickstart.document)])
    assert "at the peak" in text


def test_latex_has_the_pictures_and_asks_for_no_inkscape(quickstart, converted):
    written = converted("latex")
    text = written.read_text()
    shown = re.findall(r"\\(?:adjustimage|includegraphics).*\{([^{}#]+\.png)\}", text)
    assert len(shown) >= len([*reports(quickstart.document)])
    for name in shown:
        assert (written.parent / name).read_bytes().startswith(b"\x89PNG")
    assert "svg" not in text
    if shutil.which("xelatex"):
        assert converted("pdf").read_bytes().startswith(b"%PDF")


def test_a_front_end_without_html_shows_picture_and_text(quickstart):
    for _, data in reports(quickstart.document):
        assert {"image/png", "text/plain"} <= set(data)
        assert re.search(r"\d (B|KiB|MiB|GiB)\b|nothing was allocated", data["text/plain"])


# The order in which VS Code looks for a form that it can show; in a folder that it does not trust
# it renders no HTML.
VS_CODE = ["application/json", "application/javascript", "text/html", "image/svg+xml"]
VS_CODE += ["text/latex", "text/markdown", "image/png", "image/jpeg", "text/plain"]
VS_CODE_RESTRICTED = [form for form in VS_CODE if form != "text/html"]


def test_vs_code_shows_the_fragment_and_where_it_does_not_trust_the_picture(quickstart):
    for cell in filter(is_profiled, quickstart.document.cells):
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" not in data:
                continue
            assert next(form for form in VS_CODE if form in data) == "text/html"
            assert next(form for form in VS_CODE_RESTRICTED if form in data) == "image/png"
            metadata = output.metadata
            assert metadata["vscode_altText"] == metadata["image/png"]["alt"]
            assert re.search(r"Peak|Nothing worth a plot|Gives back", metadata["vscode_altText"])
