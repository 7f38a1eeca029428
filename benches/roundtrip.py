"""What a round trip takes through the stock kernel, ours and xeus-python, side by side.

All kernels are up at the same time and take turns, request by request, so that whatever the machine
does meanwhile it does to all: roundtrip.py [ROUNDS].
"""

import statistics
import sys
import time

from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.manager import start_new_kernel

KERNELS = {"ipykernel": "python3", "memprofile": "memprofile", "xeus-python": "xpython"}
WARM_UP = 20


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
    finally:
        for manager, client in running.values():
            client.stop_channels()
            manager.shutdown_kernel()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
