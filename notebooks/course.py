"""Runs the lessons, grades answers to them, and makes copies to hand out.

python notebooks/course.py run [LESSON ...]            executes lessons and writes them with outputs
python notebooks/course.py grade LESSON ANSWERED ...   a line of CSV for each answered notebook
python notebooks/course.py handout FOLDER              copies without outputs and solutions
"""

import csv
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import nbformat
from checks import OPEN, RIGHT, WRONG
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
SOLUTIONS = FOLDER / "solutions"
BESIDE = ("checks.py", "README.md")
"""What the lessons import, and what says how to run them."""


def lessons() -> list[Path]:
    """The lessons in their order; the quickstart, which has no exercises, is none of them."""
    return sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))[1:]


def read(path: Path) -> NotebookNode:
    """A notebook from a file."""
    return nbformat.read(path, as_version=4)


def tags(cell: NotebookNode) -> list[str]:
    """What a cell is for: ``exercise``, ``check``, ``predict``, ``reveal``, ``fact``."""
    return cell.metadata.get("tags", [])


def answers(document: NotebookNode) -> dict[str, str]:
    """The text of each exercise's cell, by the cell's id."""
    return {cell.id: cell.source for cell in document.cells if "exercise" in tags(cell)}


def answered(lesson: NotebookNode, given: dict[str, str]) -> NotebookNode:
    """The lesson with these answers in the place of its own exercises; all else is the lesson's."""
    document = nbformat.from_dict(lesson)
    for cell in document.cells:
        if "exercise" in tags(cell):
            cell.source = given.get(cell.id, cell.source)
    return document


def execute(
    document: NotebookNode, *, kernel: str = "", timeout: int = 600, keep_going: bool = False
) -> NotebookNode:
    """Runs all cells in a fresh kernel, in the folder of the lessons, and keeps what they show.

    Raises nbclient's CellExecutionError at a cell that fails, unless it is to ``keep_going``.
    """
    client = NotebookClient(
        document,
        timeout=timeout,
        allow_errors=keep_going,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(FOLDER)}},
        **({"kernel_name": kernel} if kernel else {}),
    )
    return client.execute()


def normalised(document: NotebookNode) -> NotebookNode:
    """Takes out what differs from one machine or run to the next and means nothing."""
    kept = {name: document.metadata[name] for name in ("memprofile",) if name in document.metadata}
    document.metadata = {
        **kept,
        "kernelspec": {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
    for cell in document.cells:
        for name in ("execution", "collapsed", "scrolled"):
            cell.metadata.pop(name, None)
    return document


def marks(document: NotebookNode) -> Counter[str]:
    """How many checks of an executed notebook are right, wrong and open."""
    shown = "".join(
        output.get("text", "")
        for cell in document.cells
        if "check" in tags(cell)
        for output in cell.outputs
    )
    return Counter(re.findall(rf"^([{RIGHT}{WRONG}{OPEN}]) ", shown, re.MULTILINE))


def run(paths: Iterable[Path]) -> None:
    """Executes lessons where they lie."""
    for path in paths:
        print(f"{path.name:32}", end=" ", flush=True)
        started = time.monotonic()
        document = normalised(execute(read(path)))
        nbformat.write(document, path)
        print(f"{time.monotonic() - started:5.1f} s {path.stat().st_size / 1000:6.0f} kB")


def grade(lesson: Path, given: Iterable[Path]) -> None:
    """Runs the answers of each notebook in the lesson itself, so that its checks are ours."""
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["notebook", "right", "wrong", "open", "remark"])
    for path in given:
        found = answers(read(path))
        remark = "" if found else "it has no cell of an exercise of this lesson"
        document = answered(read(lesson), found)
        try:
            execute(document, keep_going=True)
        except (DeadKernelError, TimeoutError) as error:
            remark = f"{type(error).__name__}: the checks after that did not run"
        mark = marks(document)
        table.writerow([path.name, mark[RIGHT], mark[WRONG], mark[OPEN], remark])
        sys.stdout.flush()


def handout(folder: Path) -> None:
    """Writes what learners get: no outputs, which would tell the answers, and no solutions.

    A lesson that is in the folder already may have answers in it, and stays as it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
    there = [path.name for path in paths if (folder / path.name).exists()]
    if there:
        print(f"In {folder} are already, and stay as they are: {', '.join(there)}")
    for path in (path for path in paths if path.name not in there):
        document = read(path)
        for cell in document.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(document, folder / path.name)
    for name in BESIDE:
        shutil.copy(FOLDER / name, folder / name)


def main(arguments: list[str]) -> None:
    """Does what the command line asks for."""
    match arguments:
        case ["run", *names]:
            run([*map(Path, names)] or lessons())
        case ["grade", lesson, *names] if names:
            grade(Path(lesson), map(Path, names))
        case ["handout", name]:
            handout(Path(name))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
