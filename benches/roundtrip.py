"""What a round trip takes through the stock kernel, ours and xeus-python, side by side.

All kernels are up at the same time and take turns, request by request, so that whatever the machine
does meanwhile it does to all: roundtrip.py [ROUNDS]. Then ours is killed: how long until the report
is there, and until another Python has run a cell. And what cells take that nobody profiles: of
each, processor time by the kernel's own clock, in turns.
"""

import os
import random
import signal
import statistics
import sys
import time

from cells import CELLS
from copied import copied_library
from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.manager import start_new_kernel

KERNELS = {"ipykernel": "python3", "memprofile": "memprofile", "xeus-python": "xpython"}
WARM_UP = 20
DEATHS = 10
BARE = ("calls", "objects", "numpy-small", "numpy-large")
BARE_KERNELS, BARE_ROUNDS = 4, 4


def kernel_info(client):
    return client.kernel_info()


def execute(client):
    return client.execute("None", silent=False, store_history=False)


def output(client):
    return client.execute("print(1)", silent=False, store_history=False)


def seconds(client, request):
    """From the request to its reply and its ``idle``."""
    began = time.perf_counter()
    name = request(client)
    while client.get_shell_msg(timeout=60)["parent_header"].get("msg_id") != name:
        pass
    while True:
        message = client.get_iopub_msg(timeout=60)
        idle = message["content"].get("execution_state") == "idle"
        if idle and message["parent_header"].get("msg_id") == name:
            return time.perf_counter() - began


def death(client):
    """From the kill to the report, and to the end of a cell in the next Python."""
    client.execute("import os, time; print('pid', os.getpid(), flush=True); time.sleep(60)")
    while (message := client.get_iopub_msg(timeout=60))["msg_type"] != "stream":
        pass
    began = time.perf_counter()
    os.kill(int(message["content"]["text"].split()[1]), signal.SIGKILL)
    while client.get_iopub_msg(timeout=60)["msg_type"] != "display_data":
        pass
    reported = time.perf_counter()
    while client.get_iopub_msg(timeout=60)["content"].get("execution_state") != "starting":
        pass
    seconds(client, execute)
    return reported - began, time.perf_counter() - began


def answered(client, code, **options):
    """The reply to a cell, and what it was asked to evaluate."""
    name = client.execute(code, store_history=False, **options)
    while (reply := client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != name:
        pass
    assert reply["content"]["status"] == "ok", reply["content"]
    return reply["content"]


def processor_time(client):
    """Seconds that the kernel's process has taken so far, in all its threads."""
    asked = {"time": "__import__('time').process_time()"}
    found = answered(client, "", silent=True, user_expressions=asked)["user_expressions"]
    return float(found["time"]["data"]["text/plain"])


# Before each cell the kernel asks whether there is news of it; without news it does nothing.
WITHOUT = """
import memprofile._native, memprofile.telemetry
memprofile.telemetry.is_news = lambda is_watched: False
memprofile._native.end_black_box()
"""
WITH = "import importlib, memprofile.telemetry; importlib.reload(memprofile.telemetry)"


def in_turns(client, cell):
    """Seconds of processor time of the cell without the black box and with it, round by round."""
    answered(client, cell.setup)
    answered(client, cell.body)
    for _ in range(BARE_ROUNDS):
        took = {}
        for how in random.sample((WITHOUT, WITH), 2):
            answered(client, how)
            began = processor_time(client)
            answered(client, cell.body)
            took[how] = processor_time(client) - began
        yield took[WITHOUT], took[WITH]


def in_a_kernel(cell):
    with copied_library() as path:
        manager, client = start_new_kernel(kernel_name="memprofile", env=os.environ | path)
        try:
            return list(in_turns(client, cell))
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


def bare_cells():
    """Both in one process, since where that has its blocks is 3% of a cell; and in several."""
    print(
        "| cell that nobody profiles | without the black box, s | with it |",
        "|---|---|---|",
        sep="\n",
    )
    for cell in (CELLS[name] for name in BARE):
        rounds = [took for _ in range(BARE_KERNELS) for took in in_a_kernel(cell)]
        without = statistics.median(without for without, _ in rounds)
        low, ratio, high = statistics.quantiles((ours / bare for bare, ours in rounds), n=4)
        spread = f"{ratio:.3f} ± {(high - low) / 2:.3f}"
        print(f"| {cell.title} | {without:.2f} | {spread} |", flush=True)


def main(rounds):
    running = {}
    for label, name in KERNELS.items():
        try:
            running[label] = start_new_kernel(kernel_name=name)
        except NoSuchKernel:
            print(f"{label}: no kernel {name!r} is installed", file=sys.stderr)
    try:
        print("| ms, median (quartiles) |", " | ".join(running), "| memprofile less ipykernel |")
        print("|---" * (len(running) + 2) + "|")
        for request in (kernel_info, execute, output):
            taken = {label: [] for label in running}
            for turn in range(WARM_UP + rounds):
                for label, (_, client) in running.items():
                    took = seconds(client, request) * 1000
                    if turn >= WARM_UP:
                        taken[label].append(took)
            cells = []
            for times in taken.values():
                low, median, high = statistics.quantiles(times, n=4)
                cells.append(f"{median:.2f} ({low:.2f}–{high:.2f})")
            pairs = zip(taken["memprofile"], taken["ipykernel"], strict=True)
            added = statistics.median(ours - stock for ours, stock in pairs)
            print(f"| {request.__name__} |", " | ".join(cells), f"| {added:+.2f} |")
        print()
        bare_cells()
        _, client = running["memprofile"]
        reports, others = zip(*(death(client) for _ in range(DEATHS)), strict=True)
        print()
        print("| of memprofile, s | median | most |", "|---|---|---|", sep="\n")
        for what, times in (("kill to report", reports), ("kill to the next cell run", others)):
            print(f"| {what} | {statistics.median(times):.2f} | {max(times):.2f} |")
    finally:
        for manager, client in running.values():
            client.stop_channels()
            manager.shutdown_kernel()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
