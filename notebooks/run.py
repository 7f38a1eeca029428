"""Runs a notebook in a real Jupyter kernel and keeps what came out, as a notebook and as HTML.

python notebooks/run.py NOTEBOOK OUTPUT_FOLDER
"""

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter


def run(notebook: Path, folder: Path) -> tuple[Path, Path]:
    """Executes the notebook beside a copy of itself and returns the copy and its HTML page."""
    document = nbformat.read(notebook, as_version=4)
    cells = [cell for cell in document.cells if cell.cell_type == "code"]
    started = {}

    def begin(cell: nbformat.NotebookNode, cell_index: int) -> None:
        started[cell.id] = time.monotonic()
        first = next(
            (line for line in cell.source.splitlines() if line and not line.startswith("%%")), ""
        )
        print(f"[{cells.index(cell) + 1}/{len(cells)}] {first[:68]:<68}", end=" ", flush=True)

    def end(cell: nbformat.NotebookNode, cell_index: int, execute_reply: dict) -> None:
        print(f"{time.monotonic() - started[cell.id]:6.1f} s", flush=True)

    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / notebook.name
    client = NotebookClient(
        document,
        timeout=600,
        resources={"metadata": {"path": str(folder)}},
        on_cell_execute=begin,
        on_cell_executed=end,
    )
    try:
        client.execute()
    finally:
        # Also after a cell that failed: what it printed is what one wants to read then.
        nbformat.write(document, copy)
    page = copy.with_suffix(".html")
    page.write_text(HTMLExporter().from_notebook_node(document)[0], encoding="utf-8")
    return copy, page


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    copy, page = run(Path(sys.argv[1]), Path(sys.argv[2]).resolve())
    print(f"\nThe executed notebook: {copy}\nThe same as a page:    {page}")
