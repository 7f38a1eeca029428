"""Makes docs/report.png anew: the report of one cell of the quickstart as `make demo` ran it.

python docs/picture.py [EXECUTED_NOTEBOOK] [CELL]
"""

import base64
import sys
from pathlib import Path

import nbformat

HERE = Path(__file__).parent
DEFAULTS = ["build/demo/00_quickstart.ipynb", "csv-read"]


def picture(notebook: Path, cell: str) -> bytes:
    """The PNG that stands under a cell."""
    cells = {cell.id: cell for cell in nbformat.read(notebook, as_version=4).cells}
    for output in cells[cell].outputs:
        if "image/png" in output.get("data", {}):
            return base64.b64decode(output.data["image/png"])
    sys.exit(f"{cell} of {notebook} shows no picture: run make demo first")


if __name__ == "__main__":
    given = sys.argv[1:]
    notebook, cell = given + DEFAULTS[len(given) :]
    png = picture(HERE.parent / notebook, cell)
    (HERE / "report.png").write_bytes(png)
    print(f"docs/report.png: {len(png) / 1000:.0f} kB, of {cell}")
