"""A lesson as it is handed out, in JupyterLab: nothing is told, and it runs."""

import course

FAULT = '[data-mime-type="application/vnd.jupyter.stderr"], .jp-RenderedText [class*=ansi-red]'


def test_a_lesson_is_run_and_answered(lab, page, screenshots):
    course.handout(lab.folder)
    name = course.lessons()[0].name
    document = course.read(lab.folder / name)
    page.goto(lab.url(name))
    cells = page.locator(".jp-Notebook-cell")
    cells.nth(len(document.cells) - 1).wait_for()
    assert page.locator(".jp-OutputArea-output").count() == 0
    # The indicator is idle already before there is a kernel: what is run then is lost.
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()

    given = next(i for i, cell in enumerate(document.cells) if "exercise" in course.tags(cell))
    exercise = document.cells[given]
    solved = course.answers(course.read(course.SOLUTIONS / name))[exercise.id]
    cells.nth(given).locator(".cm-content").fill(solved)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    checked = page.locator(".jp-OutputArea-output").get_by_text("not answered yet")
    checked.last.wait_for()
    assert cells.nth(given + 1).get_by_text("right.").is_visible()
    assert page.locator(FAULT).count() == 0
    page.screenshot(path=screenshots / "course.png")
