"""How long reports take and how large they are, from a quick cell to one with thousands of stacks.

Prints, as JSON, for each cell: its `title`, `stacks` and `lines`, the seconds to make what a
notebook gets (`output`) and the page of `--save report.html` (`page`), each the median of several,
and the bytes of both.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell

REPEATS = 5

QUICK = """\
names = [str(number) for number in range(20_000)]
text = ",".join(names)
kept = text.split(",")
"""

# Of each line 60 stacks: it is reached by 60 ways, and calls into the standard library.
WAYS, LINES = 60, 100
STEPS = "\n".join(f"def step_{i}(way, work): return go(way, work)" for i in range(12))
BUSY = f"""\
import copy, json, random
def go(way, work): return steps[way[0]](way[1:], work) if way else work()
{STEPS}
steps = [step for name, step in globals().items() if name.startswith("step_")]
draw = random.Random(1)
tree = {{"a": [{{"b": (i, [str(i)] * 20)}} for i in range(5)], "c": {{"d": {{"e": "f" * 3000}}}}}}
said = json.dumps([tree] * 3)
ways = [[draw.randrange(12) for _ in range(draw.randrange(1, 9))] for _ in range({WAYS})]
kept = []
""" + "\n".join(
    f"for way in ways: kept.append(go(way, lambda: {work}))  # {i}"
    for i, work in zip(
        range(LINES),
        ["copy.deepcopy(tree)", "json.loads(said)", "bytes(20_000)", "[str(i) for i in way * 50]"]
        * (LINES // 4),
        strict=True,
    )
)


def timed(work):
    """The median of the seconds that it takes, and what it gave."""
    taken = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        made = work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken), made


def measured(shell, title, code):
    shell.run_cell(f"%%memprofile -q --exact -o _bench_profile\n{code}").raise_error()
    profile = shell.user_ns["_bench_profile"]
    output, (forms, _) = timed(profile._repr_mimebundle_)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "report.html")
        page, _ = timed(lambda: profile.save(file))
        page_bytes = file.stat().st_size
    # The picture as base64.
    sizes = {
        kind: len(body) * (4 if kind == "image/png" else 3) // 3 for kind, body in forms.items()
    }
    return {
        "title": title,
        "stacks": len({tuple(site.stack) for site in profile.sites}),
        "lines": len(profile.lines),
        "output": output,
        "output_bytes": sum(sizes.values()),
        "page": page,
        "page_bytes": page_bytes,
    }


def main():
    shell = InteractiveShell.instance()
    shell.display_pub = CapturingDisplayPublisher()
    shell.run_cell("%load_ext memprofile").raise_error()
    print(
        json.dumps([measured(shell, "quick", QUICK), measured(shell, "thousands of stacks", BUSY)])
    )


if __name__ == "__main__":
    main()
