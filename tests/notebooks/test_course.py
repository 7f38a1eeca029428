"""Every lesson runs, its facts are true, and its checks take the solutions and nothing before."""

import itertools
import json
import re
import sys

import course
import nbformat
import pytest
from conftest import TOP
from jupyter_client.kernelspec import find_kernel_specs

KERNELS = ["python3", "memprofile"]
LESSONS = [path.name for path in course.lessons()]
MARKS = re.compile(f"^([{course.RIGHT}{course.WRONG}{course.OPEN}]) .*$", re.MULTILINE)
# `1,234.5` and `-3`, but neither the 64 of `int64` nor the 3 of `x[3]`.
NUMBER = re.compile(r"(?<![\w.\[-])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")
# Folders, and addresses of objects.
THIS_MACHINE = rf"{re.escape(str(TOP))}|/(?:tmp|home|root|usr|opt)/|0x[0-9a-f]{{6,}}"


def lesson(name):
    return course.read(course.FOLDER / name)


def solution(name):
    return course.answers(course.read(course.SOLUTIONS / name))


def tempting(name):
    """Answers that are wrong, from the solutions, by the id of the exercise."""
    cells = course.read(course.SOLUTIONS / name).cells
    wrong = [cell for cell in cells if "wrong" in course.tags(cell)]
    return {cell.id.removesuffix("-wrong"): cell.source for cell in wrong}


def code(document):
    return [cell for cell in document.cells if cell.cell_type == "code"]


def text(cell):
    """All that a cell printed and showed, as plain text."""
    return "".join(
        output.get("text", "") or output.get("data", {}).get("text/plain", "") + "\n"
        for output in cell.outputs
    )


def groups(document):
    """Each exercise with the checks that follow it."""
    found = []
    for cell in document.cells:
        tags = course.tags(cell)
        if "exercise" in tags:
            found.append((cell, []))
        elif "check" in tags:
            found[-1][1].append(cell)
    return found


def with_answers(document, **answers):
    """The lesson where each exercise comes again with each kind of answer, which becomes a tag."""
    last = {[exercise, *checks][-1].id: exercise.id for exercise, checks in groups(document)}
    again = {exercise: [] for exercise in last.values()}
    for kind, given in answers.items():
        for exercise, checks in groups(course.answered(document, given)):
            name = exercise.id
            for cell in (exercise, *checks) if name in given else ():
                again[name].append(cell)
                cell.id += f"-{kind}"
                cell.metadata.tags.append(kind)
    document.cells = [
        cell for first in document.cells for cell in (first, *again.get(last.get(first.id), []))
    ]
    return document


@pytest.fixture(scope="module", params=[(k, n) for k in KERNELS for n in LESSONS], ids="-".join)
def executed(request):
    """A lesson with its solutions, executed in one kernel."""
    kernel, name = request.param
    if kernel not in find_kernel_specs():
        pytest.skip(f"there is no kernel {kernel} in this environment")
    document = lesson(name)
    for module in document.metadata.get("memprofile", {}).get("needs", []):
        pytest.importorskip(module)
    document = with_answers(document, wrong=tempting(name), solved=solution(name))
    with pytest.MonkeyPatch.context() as environment:
        # The capstone's file has 750 MB; its own text says that it is smaller here.
        environment.setenv("COURSE_SCALE", "0.1")
        return course.execute(document, kernel=kernel, keep_going=True)


def test_no_cell_complains(executed):
    for cell in code(executed):
        for output in cell.outputs:
            assert output.output_type != "error", (cell.id, output.evalue)
            assert output.get("name") != "stderr", (cell.id, output.text)


def test_the_facts_are_true(executed):
    for cell in code(executed):
        if "fact" not in course.tags(cell):
            continue
        bounds = cell.metadata.memprofile.facts
        if isinstance(bounds, dict):
            known = [tuple(map(int, version.split("."))) for version in bounds]
            newest = max(version for version in known if version <= sys.version_info)
            bounds = bounds[".".join(map(str, newest))]
        numbers = [float(number.replace(",", "")) for number in NUMBER.findall(text(cell))]
        assert len(numbers) >= len(bounds) > 0, (cell.id, text(cell))
        for number, (low, high) in zip(numbers, bounds, strict=False):
            assert low is None or number >= low, (cell.id, low, text(cell))
            assert high is None or number <= high, (cell.id, high, text(cell))


def test_the_checks_are_open_at_first_and_take_the_solutions_alone(executed):
    for cell in code(executed):
        if "check" not in course.tags(cell):
            continue
        marks = {*MARKS.findall(text(cell))}
        if "wrong" in cell.metadata.tags:
            assert course.WRONG in marks, (cell.id, text(cell))
        else:
            expected = course.RIGHT if "solved" in cell.metadata.tags else course.OPEN
            assert marks == {expected}, (cell.id, text(cell))


def test_no_output_names_this_machine(executed):
    for cell in code(executed):
        for output in cell.outputs:
            words = {
                kind: body for kind, body in output.get("data", {}).items() if "image" not in kind
            }
            shown = re.sub(r"base64,[\w+/=]+", "", json.dumps([output.get("text"), words]))
            found = re.search(f".{{0,40}}(?:{THIS_MACHINE})", shown)
            assert not found, (cell.id, found)


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_is_committed_with_its_outputs_and_is_small(name):
    document = lesson(name)
    assert (course.FOLDER / name).stat().st_size < 500_000
    counts = [cell.execution_count for cell in code(document)]
    assert counts == [*range(1, len(counts) + 1)], "make course writes the outputs"
    assert course.normalised(nbformat.from_dict(document)) == document
    assert course.marks(document).keys() == {course.OPEN}


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_asks_before_it_tells(name):
    document = lesson(name)
    tags = [course.tags(cell) for cell in document.cells]
    assert sum("predict" in of for of in tags) >= 2
    for this, following in itertools.pairwise(tags):
        assert "predict" not in this or "reveal" in following
        assert "exercise" not in this or "check" in following
    assert sum("fact" in of for of in tags) >= 3
    exercises = {exercise.id: exercise.source for exercise, _ in groups(document)}
    assert 2 <= len(exercises) <= 6
    assert solution(name).keys() == exercises.keys()
    assert tempting(name).keys() <= exercises.keys()
    for given in exercises.values():
        assert "..." in given


@pytest.mark.parametrize("name", LESSONS)
def test_the_syllabus_has_each_lesson_with_its_title_and_time(name):
    title = lesson(name).cells[0].source
    heading = re.match(r"# (.+)\n", title)[1]
    minutes = re.search(r"\d+ minutes", title)[0]
    syllabus = (course.FOLDER / "README.md").read_text(encoding="utf-8")
    rows = [line for line in syllabus.splitlines() if f"({name})" in line]
    assert len(rows) == 1
    assert heading.split(". ", 1)[-1] in rows[0]
    assert minutes.split()[0] in rows[0]


def test_grading_counts_what_is_right_and_uses_its_own_checks(tmp_path, capsys):
    name = LESSONS[0]
    calls = {
        exercise.id: sum(cell.source.count("check(") for cell in checks)
        for exercise, checks in groups(lesson(name))
    }
    first, *others = calls
    given = course.answered(lesson(name), {first: solution(name)[first]})
    for cell in given.cells:
        if "check" in course.tags(cell):
            cell.source = "print('✓ all right')"
    nbformat.write(given, tmp_path / "ada.ipynb")
    course.grade(course.FOLDER / name, [tmp_path / "ada.ipynb"])
    row = capsys.readouterr().out.splitlines()[1].split(",")
    right, left_open = calls[first], sum(calls[name] for name in others)
    assert row == ["ada.ipynb", str(right), "0", str(left_open), ""]


def test_a_handout_tells_no_answers(tmp_path):
    course.handout(tmp_path)
    assert {path.name for path in tmp_path.glob("*.ipynb")} > {*LESSONS}
    assert not (tmp_path / "solutions").exists()
    for path in tmp_path.glob("*.ipynb"):
        for cell in code(course.read(path)):
            assert cell.outputs == []
    assert (tmp_path / "checks.py").exists()


def test_a_handout_keeps_what_was_answered(tmp_path, capsys):
    course.handout(tmp_path)
    given = course.answered(lesson(LESSONS[0]), {"freed-by-del": "freed = 5_000_000"})
    nbformat.write(given, tmp_path / LESSONS[0])
    course.handout(tmp_path)
    assert course.answers(course.read(tmp_path / LESSONS[0]))["freed-by-del"] == "freed = 5_000_000"
    assert LESSONS[0] in capsys.readouterr().out
