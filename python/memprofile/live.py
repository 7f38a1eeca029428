"""``%%memprofile --live``: one display, updated while the cell runs, then replaced by the report.

In the memprofile kernel the supervisor updates it, whatever the cell does: it is told which display
that is. Elsewhere a thread of Python's does it, whenever the cell lets go of the GIL, at most four
times a second and for at most a hundredth of the time. It begins and ends with the cell. Before a
fork it ends, since from 3.12 on Python warns of a fork beside threads; it comes back when the fork
is over.

``%memprofile_live on`` does so for every cell. The memprofile kernel then also shows cells that
nobody profiles, if they take longer than a second, and puts how they went in that place.
"""

from __future__ import annotations

import contextvars
import linecache
import os
import sys
import threading
import time
import uuid
from typing import Any

from IPython.core.error import UsageError

from memprofile import _native
from memprofile.interrupts import Held
from memprofile.sources import Shell

PERIOD = 0.25
"""Seconds between two updates, at least."""

_PATIENCE = 100
"""An update waits so many times as long as the last one took."""

_WAIT = 2.0
"""Seconds that the cell waits for an update which is on its way when it ends."""


for_all = False
"""Whether every cell is shown live."""


def switch(shell: Shell, line: str) -> None:
    """``%memprofile_live``: on, off, or the state; says what is so afterwards."""
    global for_all
    match line.split():
        case ["on"]:
            for_all = True
        case ["off"]:
            for_all = False
        case []:
            pass
        case _:
            raise UsageError(
                f"%memprofile_live: it takes on, off or nothing, not {line.strip()!r}; "
                "for example: %memprofile_live on"
            )
    if not is_possible(shell):
        print("A terminal cannot take back what it shows: here no cell is shown while it runs.")
        return
    supervised = _native.tells()
    which = "cell that takes longer than a second" if supervised else "%%memprofile cell"
    if not for_all:
        print(f"Cells without --live are not shown while they run. To show every {which}:")
        print("    %memprofile_live on")
        return
    print(f"Every {which} is shown while it runs; %memprofile_live off ends that.")
    if not supervised:
        print(
            "This kernel can neither show other cells, nor one long call that keeps Python's lock: "
            'the kernel "Python 3 (memprofile)" can.'
        )


def is_possible(shell: Shell) -> bool:
    """Whether this front end can replace what it shows: a terminal cannot."""
    return list(shell.display_formatter.active_types) != ["text/plain"]


def new_display(shell: Shell) -> str | None:
    """The name of a display for a cell that nobody profiles; None where it cannot be shown."""
    return uuid.uuid4().hex if is_possible(shell) else None


def show_end(shell: Shell, display: str, cell_name: str) -> None:
    """Puts how a cell went that nobody profiled where the supervisor has shown it."""
    with Held():
        try:
            drawn = _native.live_end("".join(linecache.getlines(cell_name)))
            if drawn is not None:
                _send(shell.display_pub, display, "update_display_data", *drawn, _named(display))
        except Exception as problem:  # the cell's own outcome must not change
            print(f"memprofile: the live display has no end: {problem!r}", file=sys.stderr)


class LiveDisplay:
    """The display of one cell, of the request ``message``; of this name if it has one already."""

    def __init__(
        self, shell: Shell, cell_name: str, title: str, message: str, display: str | None = None
    ) -> None:
        self._publisher = shell.display_pub
        self._cell_name = cell_name
        self._title = title
        self._message = message
        self._id = display or uuid.uuid4().hex
        self._supervised = False
        # The cell's own thread, and what says whose outputs these are.
        self._cell_thread = threading.get_ident()
        self._context = contextvars.copy_context()
        self._process = os.getpid()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._cleared = False
        self._shadow: Any = None
        self.problem: Exception | None = None

    def begin(self) -> None:
        """Shows it above the cell's other outputs, and keeps it up to date from now on."""
        global _running
        begun = f"{self._title} has begun"
        self._send("display_data", f"<p>{begun}</p>", begun, _named(self._id))
        original = self._publisher.clear_output

        def clear_output(*args: Any, **kwargs: Any) -> None:
            # The cell wants its outputs gone. They come again without this one: it has no place.
            self._cleared = True
            original(*args, **kwargs)

        self._shadow = clear_output
        self._publisher.__dict__["clear_output"] = clear_output
        self._supervised = _native.show_cell(self._message, self._id)
        if not self._supervised:
            _watch_forks()
            _running = self
            self.resume()

    def end(self) -> bool:
        """Stops updating. Returns whether the display is still there, to be replaced."""
        global _running
        if self._supervised:
            # Before what follows is sent: it stays.
            _native.show_cell(self._message, None)
        else:
            _running = None
            self.pause()
        own = self._publisher.__dict__
        if own.get("clear_output") is self._shadow:
            own.pop("clear_output", None)
        if self.problem is not None:
            print(
                f"memprofile: the live display ended early: {self.problem!r}; "
                "the report is complete",
                file=sys.stderr,
            )
        if self._cleared:
            # Where only a widget's part of the outputs was cleared, it is there still.
            below = f"The report of {self._title} is below."
            self._send("update_display_data", f"<p>{below}</p>", below)
        return not self._cleared

    def replace(self, bundle: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Puts the report where the display was."""
        transient = {"display_id": self._id}
        self._publisher.publish(bundle, metadata, transient=transient, update=True)

    def pause(self) -> None:
        """Ends the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop.set()
            thread.join(_WAIT)

    def resume(self) -> None:
        """Begins it."""
        if os.getpid() != self._process:
            return
        self._stop = threading.Event()
        thread = threading.Thread(
            target=self._context.copy().run,
            args=(self._update, self._stop),
            name="memprofile live",
            daemon=True,
        )
        # A debugger has nothing to stop here.
        thread.pydev_do_not_trace = True  # type: ignore[attr-defined]
        self._thread = thread
        thread.start()

    def _update(self, stop: threading.Event) -> None:
        wait = PERIOD
        while not stop.wait(wait):
            began = time.thread_time()
            try:
                if not self._cleared:
                    self._send("update_display_data", *self._drawn())
            except Exception as problem:  # said when the cell has ended
                self.problem = problem
                return
            wait = max(PERIOD, _PATIENCE * (time.thread_time() - began))

    def _drawn(self) -> tuple[str, str]:
        frame = sys._current_frames().get(self._cell_thread)
        while frame is not None and frame.f_code.co_filename != self._cell_name:
            frame = frame.f_back
        place = source = None
        if frame is not None and frame.f_lineno is not None:
            place = f"at line {frame.f_lineno}"
            source = linecache.getline(self._cell_name, frame.f_lineno)
        del frame  # it holds the cell's variables
        return _native.live(self._title, place, source) or ("", "")

    def _send(self, kind: str, html: str, text: str, metadata: Any = None) -> None:
        _send(self._publisher, self._id, kind, html, text, metadata)


def _named(display: str) -> dict[str, str]:
    """The metadata by which the supervisor knows a display: whether it is there, it knows best."""
    return {"memprofile_display": display}


def _send(
    publisher: Any, display: str, kind: str, html: str, text: str, metadata: Any = None
) -> None:
    data = {"text/html": html, "text/plain": text}
    transient = {"display_id": display}
    socket = getattr(publisher, "pub_socket", None)
    if socket is None:
        publisher.publish(data, transient=transient, update=kind != "display_data")
        return
    # Not by `publish`: ipykernel keeps all that goes there in the notebook's history.
    content = {"data": data, "metadata": {}, "transient": transient}
    session = publisher.session
    message = session.msg(kind, content, parent=publisher.parent_header, metadata=metadata)
    session.send(socket, message, ident=publisher.topic)


_running: LiveDisplay | None = None
_watching = False


def _watch_forks() -> None:
    global _watching
    if not _watching:
        _watching = True
        os.register_at_fork(before=_before_fork, after_in_child=_in_child)


def _before_fork() -> None:
    if _running is not None:
        _running.pause()


def _in_child() -> None:
    global _running
    _running = None


def resume() -> None:
    """Called by the engine when the main thread is out of the call that forked."""
    running = _running
    if running is not None and running._thread is None:
        # An interrupt that comes now must not be lost to the engine.
        with Held():
            running.resume()
