"""The quickstart notebook, executed once in a real kernel for all who look at its outputs."""

import json
import textwrap
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbclient import NotebookClient

TOP = Path(__file__).parent.parent

# Asks the kernel for the numbers of every profile that the notebook made.
QUESTION = textwrap.dedent(
    """
    import json, memprofile
    print(json.dumps({
        name: {
            **{field: getattr(profile, field) for field in
               ("exact", "peak_footprint", "footprint_delta", "surviving_bytes", "start_rss",
                "peak_rss", "total_allocated", "allocation_count", "duration")},
            "lines": [{field: getattr(line, field) for field in
                       ("lineno", "function", "source", "peak_bytes", "surviving_bytes",
                        "allocated_bytes", "allocation_count", "temporary_bytes", "relative_error")}
                      for line in profile.lines],
        }
        for name, profile in list(globals().items()) if isinstance(profile, memprofile.Profile)
    }))
    """
)


def is_profiled(cell):
    return cell.cell_type == "code" and cell.source.startswith("%%memprofile")


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory):
    """The executed `document`, and the `numbers` of its profiles by the id of their cell."""
    document = nbformat.read(TOP / "notebooks" / "00_quickstart.ipynb", as_version=4)
    names = {}
    for cell in filter(is_profiled, document.cells):
        magic, _, body = cell.source.partition("\n")
        if "-o " not in magic:
            magic += " -o profile_of_" + cell.id.replace("-", "_")
            cell.source = f"{magic}\n{body}"
        names[cell.id] = magic.split("-o ")[1].split()[0]
    document.cells.append(nbformat.v4.new_code_cell(QUESTION))
    folder = tmp_path_factory.mktemp("quickstart")
    NotebookClient(document, timeout=240, resources={"metadata": {"path": str(folder)}}).execute()
    answers = json.loads(document.cells.pop().outputs[0].text)
    numbers = {cell: answers[name] for cell, name in names.items()}
    return SimpleNamespace(document=document, numbers=numbers)
