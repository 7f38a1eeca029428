"""The memprofile kernel in JupyterLab: run, interrupt, restart, and what a user sees of a death."""

import os
import re
import signal
from pathlib import Path

import nbformat
import pytest

CELLS = {
    "set": "name = 1; print('set', name)",
    "profiled": "%%memprofile\nkept = [bytes(1000) for _ in range(5000)]",
    "endless": (
        "import os, time; print('pid', os.getpid(), flush=True)\nwhile True: time.sleep(0.1)"
    ),
    "held": (
        "import os, time\nheld = []\nprint('pid', os.getpid(), flush=True)\n"
        "while True:\n    held.append(b'x' * 10_000_000); time.sleep(0.04)\n"
        "    if len(held) == 30: print('held', flush=True)\n    del held[40:]"
    ),
    "live": (
        "%%memprofile --live\nimport ctypes, os\n"
        "fd, room = os.open('gate', os.O_RDWR), ctypes.create_string_buffer(1)\n"
        "print('before')\n"
        "kept = [bytes(1000) for _ in range(50_000)]\n"
        "ctypes.PyDLL(None).read(fd, room, 1)  # with Python's lock, until the test has written\n"
        "print('after it')"
    ),
    "after": "print('after')",
    "name": "name",
}
IDLE = "Python 3 (memprofile) | Idle"


class Notebook:
    def __init__(self, page, lab, name):
        cells = [nbformat.v4.new_code_cell(code) for code in CELLS.values()]
        document = nbformat.v4.new_notebook(cells=cells)
        spec = {"name": "memprofile", "display_name": "Python 3 (memprofile)", "language": "python"}
        document.metadata["kernelspec"] = spec
        nbformat.write(document, lab.folder / name)
        self.page = page
        page.goto(lab.url(name))
        self.idle()

    def idle(self):
        self.page.get_by_text(IDLE).wait_for()

    def cell(self, name):
        return self.page.locator(".jp-CodeCell").nth(list(CELLS).index(name))

    def run(self, name):
        self.cell(name).locator(".jp-InputPrompt").click()
        self.press("run-cell-and-select-next")

    def output(self, name, text):
        found = self.cell(name).locator(".jp-OutputArea-output").filter(has_text=text).first
        found.wait_for()
        return found

    def press(self, command):
        """A button of the notebook's toolbar."""
        self.page.locator(f'[data-command="notebook:{command}"]').first.click()

    def pid(self, name):
        return int(self.output(name, "pid ").inner_text().split()[1])


@pytest.fixture
def notebook(page, lab):
    return Notebook(page, lab, "kernel.ipynb")


def test_a_kernel_that_dies_is_explained_and_goes_on(notebook, screenshots):
    notebook.run("set")
    notebook.output("set", "set 1")
    notebook.run("profiled")
    notebook.output("profiled", "Line by line")
    notebook.run("held")
    pid = notebook.pid("held")
    notebook.run("after")
    notebook.output("held", "held")
    assert Path(f"/proc/{pid}").exists()
    os.kill(pid, signal.SIGKILL)
    report = notebook.output("held", "Python was killed from outside (SIGKILL)")
    notebook.output("held", "KernelDied")
    assert "All names are gone" in report.inner_text()
    width = report.locator("img").evaluate("i => i.decode().then(() => i.naturalWidth)")
    assert width > 100
    notebook.idle()
    notebook.page.screenshot(path=screenshots / "kernel-death.png")
    report.screenshot(path=screenshots / "kernel-death-report.png")
    # Lab has nothing to say of it.
    assert notebook.page.locator(".jp-Dialog").count() == 0
    # The queued cell did not run, and is not waiting.
    assert notebook.cell("after").locator(".jp-OutputArea-output").count() == 0
    assert "*" not in notebook.cell("after").locator(".jp-InputPrompt").inner_text()
    notebook.run("name")
    notebook.output("name", "NameError")
    notebook.run("after")
    notebook.output("after", "after")


def test_a_cell_that_holds_the_lock_is_shown_live_and_then_has_its_report(
    notebook, lab, screenshots
):
    gate = lab.folder / "gate"
    os.mkfifo(gate)
    try:
        notebook.run("live")
        plot = notebook.cell("live").locator('img[alt^="Memory in use over time"]')
        plot.wait_for()
        seen = {plot.get_attribute("src")}
        while len(seen) < 4:
            seen.add(plot.get_attribute("src"))
        shown = notebook.cell("live").locator(".jp-OutputArea-output").first
        assert re.search(r"cell \[\d+\] after [\d.]+ s: ", shown.inner_text())
        assert "kept = [bytes(1000)" in shown.inner_text()
        notebook.page.screenshot(path=screenshots / "kernel-live.png")
        shown.screenshot(path=screenshots / "kernel-live-display.png")
        with gate.open("w") as pipe:
            pipe.write("x")
    finally:
        gate.unlink()
    assert "Line by line" in notebook.output("live", "Line by line").inner_text()
    texts = notebook.cell("live").locator(".jp-OutputArea-output").all_inner_texts()
    assert len(texts) == 2
    assert texts[1].split() == ["before", "after", "it"]
    notebook.idle()
    notebook.page.screenshot(path=screenshots / "kernel-live-report.png")


def test_a_cell_is_interrupted_and_the_kernel_restarted(notebook, screenshots):
    notebook.run("endless")
    notebook.pid("endless")
    notebook.press("interrupt-kernel")
    notebook.output("endless", "KeyboardInterrupt")
    notebook.run("set")
    notebook.output("set", "set 1")
    notebook.press("restart-kernel")
    notebook.page.locator(".jp-Dialog .jp-mod-accept").click()
    notebook.idle()
    notebook.run("name")
    notebook.output("name", "NameError")
    notebook.page.screenshot(path=screenshots / "kernel-restarted.png")


def test_the_launcher_offers_it_with_its_logo(page, lab, screenshots):
    page.goto(lab.url("").replace("/tree/", ""))
    card = page.locator(".jp-LauncherCard").filter(has_text="Python 3 (memprofile)").first
    card.wait_for()
    assert card.locator("img").evaluate("i => i.decode().then(() => i.naturalWidth)") > 0
    page.screenshot(path=screenshots / "kernel-launcher.png")
