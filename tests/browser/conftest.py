"""A real JupyterLab on a free port of this machine, and Debian's Chromium to look at it."""

import itertools
import json
import os
import queue
import secrets
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import TOP
from playwright.sync_api import sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTINGS = {
    # All outputs exist at once, also those outside of the window.
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
    # Dark where the browser asks for it.
    "@jupyterlab/apputils-extension/themes": {"adaptive-theme": True},
}
DISABLED = {"@jupyterlab/apputils-extension:announcements": True}


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


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def said(stream, words, seconds=120):
    """Waits for a line that holds the words; returns the thread that reads on to the end."""
    lines = queue.SimpleQueue()

    def read():
        for line in stream:
            lines.put(line)
        lines.put(None)

    reader = threading.Thread(target=read)
    reader.start()
    heard = []
    while (line := lines.get(timeout=seconds)) is not None:
        heard.append(line)
        if words in line:
            return reader
    pytest.fail("JupyterLab did not start:\n" + "".join(heard))


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """The `url` of a notebook by its name, its `folder`, and the `environment` of the server."""
    home = tmp_path_factory.mktemp("lab")
    folder = home / "notebooks"
    folder.mkdir()
    for name, settings in SETTINGS.items():
        file = home / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    page_config = home / "config" / "labconfig" / "page_config.json"
    page_config.parent.mkdir(parents=True)
    page_config.write_text(json.dumps({"disabledExtensions": DISABLED}))
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    port, token = free_port(), secrets.token_hex()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        reader = None
        try:
            reader = said(server.stderr, "is running at")
            yield SimpleNamespace(
                folder=folder,
                environment=environment,
                url=lambda name: f"http://127.0.0.1:{port}/lab/tree/{name}?token={token}&reset",
            )
        finally:
            server.terminate()
            if reader:
                reader.join()


@pytest.fixture(scope="session")
def browser():
    found = subprocess.run(
        [TOP / "tests" / "browser" / "chromium"], capture_output=True, text=True, check=False
    )
    if found.returncode:
        # In CI a missing browser is a fault of the set-up, not a reason to look away.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(found.stderr)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found.stdout.strip(), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(60_000)
    yield page
    page.close()


@pytest.fixture(scope="session")
def screenshots():
    folder = Path(TOP / "build" / "screenshots")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(scope="session")
def gallery(tmp_path_factory):
    """The folder of the gallery: every kind of report, drawn from fixed profiles."""
    folder = tmp_path_factory.mktemp("gallery")
    command = ["cargo", "run", "--quiet", "--locked", "--example", "gallery", "--", str(folder)]
    drawn = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert drawn.returncode == 0, drawn.stderr
    return folder


@pytest.fixture(scope="session")
def accessible():
    """Holds a page, or a part of it, against the rules of WCAG A and AA that axe-core can check."""
    axe = Axe()

    def check(page, part=None):
        rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
        found = axe.run(page, context=part, options=rules).response
        assert found["passes"], "nothing was checked"
        faults = [
            (fault["id"], node["target"], node["any"] and node["any"][0]["message"])
            for fault in found["violations"]
            for node in fault["nodes"]
        ]
        assert faults == []

    return check


def overlap(a, b):
    """By how many pixels two boxes cover each other, at the narrower side."""
    _, x, y, w, h = a
    _, u, v, s, t = b
    return min(min(x + w, u + s) - max(x, u), min(y + h, v + t) - max(y, v))


@pytest.fixture(scope="session")
def labels_are_readable():
    """Measures the labels of the pictures of a card; returns the pictures."""

    def check(card):
        pictures = card.evaluate(TEXTS)
        for picture in pictures:
            assert picture["alt"]
            for label in picture["boxes"]:
                _text, x, y, width, height = label
                assert x >= -1, label
                assert x + width <= picture["width"] + 1, label
                assert y >= -1, label
                assert y + height <= picture["height"] + 1, label
                # The browser lays letters out in whole pixels, give or take a rounding error.
                assert height > 8.9, label
            for a, b in itertools.combinations(picture["boxes"], 2):
                # A line's box is higher than its letters.
                assert overlap(a, b) <= 3, (a, b)
        return pictures

    return check
