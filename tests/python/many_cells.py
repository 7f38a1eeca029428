"""Run by test_faults.py: many short cells in one shell, first bare and then profiled.

Prints what grew meanwhile, as JSON: {"bare": {...}, "profiled": {...}}.
"""

from __future__ import annotations

import gc
import json
import linecache
import os
import sys
from pathlib import Path

import memprofile
from IPython.core.interactiveshell import InteractiveShell

WARM = 500


def census(shell: InteractiveShell) -> dict[str, int]:
    gc.collect()
    here = Path("/proc/self")
    return {
        "resident": int((here / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        "objects": len(gc.get_objects()),
        "callbacks": len(gc.callbacks),
        "files": len(os.listdir(here / "fd")),
        "threads": len(os.listdir(here / "task")),
        "mappings": len((here / "maps").read_text().splitlines()),
        "attributes": len(shell.__dict__),
        "names": len(shell.user_ns),
        "hooks": sum(map(len, shell.events.callbacks.values())),
        "transformers": len(shell.input_transformers_cleanup),
        "linecache": len(linecache.cache),
        "modules": len(sys.modules),
    }


def growth(shell: InteractiveShell, magic: str, count: int) -> dict[str, int]:
    before: dict[str, int] = {}
    for turn in range(WARM + count):
        if turn == WARM:
            before = census(shell)
        # Every cell another text: a shell keeps each, and so might we.
        result = shell.run_cell(f"{magic}\nx = [{turn}] * 10", store_history=True)
        assert result.success, result
    after = census(shell)
    return {name: after[name] - before[name] for name in after}


def main(count: int) -> None:
    shell = InteractiveShell.instance(colors="nocolor", history_length=0, history_load_length=0)
    shell.history_manager.enabled = False
    memprofile.load_ipython_extension(shell)
    bare = growth(shell, "# bare", count)
    print(json.dumps({"bare": bare, "profiled": growth(shell, "%%memprofile -q", count)}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
