"""The front ends that people use, with the memprofile kernel in place of the stock one."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import papermill
import pexpect
import pytest
import websocket
from kernel_client import TIMEOUT
from supervised import until

HERE = Path(__file__).parent
PNG = next((HERE.parents[1] / "kernel-spec").rglob("logo-32x32.png")).read_bytes()
"""A picture."""


def test_jupyter_kernel_test_finds_what_it_finds_of_a_stock_kernel():
    """Two runs at once; both kernels have the machine's load."""
    command = [sys.executable, str(HERE / "capabilities.py")]
    runs = [
        subprocess.Popen([*command, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for name in ("python3", "memprofile")
    ]
    stock, ours = (json.loads(run.communicate(timeout=4 * TIMEOUT)[0]) for run in runs)
    assert len(stock) > 25
    assert list(stock.values()).count("ok") > 20
    assert ours == stock


def notebook(*cells: str) -> nbformat.NotebookNode:
    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    spec = {"name": "memprofile", "display_name": "Python 3 (memprofile)", "language": "python"}
    document.metadata["kernelspec"] = spec
    return document


def test_the_kernelspec_is_installed_with_its_logos():
    command = [sys.executable, "-m", "jupyter", "kernelspec", "list", "--json"]
    listed = subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT).stdout
    spec = json.loads(listed)["kernelspecs"]["memprofile"]
    assert spec["spec"]["display_name"] == "Python 3 (memprofile)"
    # Jupyter must not send keys that the supervisor would refuse.
    assert "supported_encryption" not in spec["spec"]["metadata"]
    files = {path.name for path in Path(spec["resource_dir"]).iterdir()}
    assert files == {"kernel.json", "logo-svg.svg", "logo-32x32.png", "logo-64x64.png"}


def test_nbclient_runs_a_notebook_with_widgets():
    cells = (
        "import ipywidgets; slider = ipywidgets.IntSlider(value=3); slider",
        "slider.value = 7; slider.value",
        "%%memprofile\nkept = [bytes(1000) for _ in range(5000)]",
        "%%bash\necho from bash",
        # As matplotlib's figures come: when the cell has run.
        "from IPython.display import Image, display\n"
        f"png = bytes.fromhex({PNG.hex()!r})\n"
        "get_ipython().events.register('post_execute', lambda: display(Image(png)))\n"
        "'value'",
        "%%memprofile\n'value'",
    )
    document = notebook(*cells)
    nbclient.NotebookClient(document, timeout=TIMEOUT, store_widget_state=True).execute()
    outputs = [cell.outputs for cell in document.cells]
    assert "application/vnd.jupyter.widget-view+json" in outputs[0][0].data
    assert outputs[1][0].data["text/plain"] == "7"
    assert "memprofile" in outputs[2][0].data["text/html"]
    assert outputs[3][0].text == "from bash\n"
    for shown in outputs[4:]:
        (value,) = [o.data["text/plain"] for o in shown if o.output_type == "execute_result"]
        (figure,) = [o.data["image/png"] for o in shown if {*o.data} == {"image/png", "text/plain"}]
        assert (value, base64.b64decode(figure)) == ("'value'", PNG)
    states = document.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    assert 7 in [state["state"].get("value") for state in states.values()]


def test_nbclient_is_told_of_a_death_and_the_notebook_has_the_report():
    document = notebook("import os; os.kill(os.getpid(), 9)", "never = 1")
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="KernelDied") as raised:
        nbclient.NotebookClient(document, timeout=TIMEOUT).execute()
    assert "SIGKILL" in str(raised.value)
    kinds = [output.output_type for output in document.cells[0].outputs]
    assert kinds == ["display_data", "error"]
    assert "SIGKILL" in document.cells[0].outputs[0].data["text/html"]


def test_papermill_runs_a_notebook(tmp_path):
    document = notebook("size = 1", "%%memprofile\nkept = bytearray(size)", "len(kept)")
    document.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(document, tmp_path / "in.ipynb")
    ran = papermill.execute_notebook(
        tmp_path / "in.ipynb", None, {"size": 5_000_000}, progress_bar=False
    )
    assert ran.cells[-1].outputs[0].data["text/plain"] == "5000000"


def test_the_console_runs_and_interrupts_and_leaves():
    command = ["-m", "jupyter_console", "--kernel", "memprofile", "--simple-prompt"]
    environment = {**os.environ, "TERM": "dumb", "NO_COLOR": "1"}
    console = pexpect.spawn(
        sys.executable, command, env=environment, timeout=TIMEOUT, encoding="utf-8"
    )
    try:
        console.expect(r"In \[1\]")
        console.sendline("print('six', 2 * 3)")
        console.expect("six 6")
        console.expect(r"In \[2\]")
        console.sendline("import time; print('be' + 'gun', flush=True); time.sleep(60)")
        console.expect("begun")
        console.sendintr()
        console.expect("KeyboardInterrupt")
        console.expect(r"In \[3\]")
        console.sendline("input('name? ')")
        console.expect("name\\? ")
        console.sendline("Ada")
        console.expect("'Ada'")
        console.sendline("exit")
        console.expect(pexpect.EOF)
    finally:
        console.close(force=True)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A Jupyter server; its address and token."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex()
    folder = tmp_path_factory.mktemp("server")
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    environment = {**os.environ, "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "is running at" not in (line := process.stderr.readline()):
            assert line, "the server did not start"
        # Whatever it says later is read, so that it never waits for us.
        reader = threading.Thread(target=process.stderr.read)
        reader.start()
        # It says so a moment before it listens.
        until(lambda: listens(port))
        yield f"127.0.0.1:{port}", token
        process.send_signal(signal.SIGTERM)
        process.wait(TIMEOUT)
        reader.join()


def ask(server: tuple[str, str], path: str, body: dict[str, Any] | None = None) -> Any:
    address, token = server
    request = urllib.request.Request(
        f"http://{address}/api/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"token {token}"},
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        return json.loads(answer.read() or b"null")


class Notebook:
    """A kernel of a Jupyter server, by its websocket."""

    def __init__(self, server: tuple[str, str]) -> None:
        self._server = server
        self.kernel = ask(server, "kernels", {"name": "memprofile"})["id"]
        address, token = server
        self._socket = websocket.create_connection(
            f"ws://{address}/api/kernels/{self.kernel}/channels?token={token}", timeout=TIMEOUT
        )

    def close(self) -> None:
        self._socket.close()

    def send(self, code: str) -> str:
        name = secrets.token_hex(8)
        header = {"msg_id": name, "msg_type": "execute_request", "username": "", "session": "s"}
        content = {"code": code, "silent": False, "store_history": True, "stop_on_error": False}
        content |= {"user_expressions": {}, "allow_stdin": False}
        message = {"header": header | {"version": "5.3", "date": ""}, "parent_header": {}}
        message |= {"metadata": {}, "content": content, "channel": "shell", "buffers": []}
        self._socket.send(json.dumps(message))
        return name

    def until(self, **wanted: str) -> list[dict[str, Any]]:
        """All messages up to one whose content has these values."""
        seen: list[dict[str, Any]] = []
        while True:
            seen.append(json.loads(self._socket.recv()))
            if wanted.items() <= seen[-1]["content"].items():
                return seen

    def until_printed(self, text: str) -> None:
        """In one message or in several: where a kernel cuts is chance."""
        printed = ""
        while text not in printed:
            message = json.loads(self._socket.recv())
            if message["msg_type"] == "stream":
                printed += message["content"]["text"]

    def interrupt(self) -> None:
        ask(self._server, f"kernels/{self.kernel}/interrupt", {})

    def restart(self) -> None:
        ask(self._server, f"kernels/{self.kernel}/restart", {})

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = ask(self._server, f"kernels/{self.kernel}")
        return found


def test_a_jupyter_server_runs_interrupts_restarts_and_outlives_a_death(server):
    notebook = Notebook(server)
    notebook.send("import os, time; print('begun', flush=True); time.sleep(60)")
    notebook.until_printed("begun\n")
    notebook.interrupt()
    notebook.until(ename="KeyboardInterrupt", status="error")
    notebook.send("name = 1; print('set')")
    notebook.until_printed("set\n")
    notebook.restart()
    notebook.send("name")
    notebook.until(ename="NameError", status="error")
    notebook.send("import os; print('dying', flush=True); os.kill(os.getpid(), 9)")
    seen = notebook.until(execution_state="starting")
    assert "KernelDied" in [message["content"].get("ename") for message in seen]
    notebook.send("print('alive')")
    notebook.until_printed("alive\n")
    # The server never saw a kernel die.
    assert notebook.state()["id"] == notebook.kernel
    notebook.close()
