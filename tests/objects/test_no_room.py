"""A look at objects is refused before it takes the memory that is left."""

from control_groups import control_group
from programs import run


def test_a_look_that_would_take_too_much_is_refused_in_time():
    with control_group(300 << 20) as group:
        run(f"""
            import os, pathlib, sys
            pathlib.Path({str(group / "cgroup.procs")!r}).write_text(str(os.getpid()))
            import memprofile

            def peak():
                status = pathlib.Path("/proc/self/status").read_text()
                return int(status.split("VmHWM:")[1].split()[0]) << 10

            small = [[] for _ in range(1000)]
            large = [[] for _ in range(2_000_000)]
            before = peak()
            looks = [
                lambda: memprofile.heap(),
                lambda: memprofile.retained(large),
                lambda: memprofile.sizeof(large, detail=1),
                lambda: memprofile.why_alive(small),
            ]
            for look in looks:
                try:
                    look()
                except memprofile.MemprofileError as refused:
                    assert "half of the memory that is left" in str(refused), refused
                    assert "free something first" in str(refused), refused
                else:
                    raise AssertionError("not refused")
            assert peak() - before < 100 << 20, (before, peak())
            assert memprofile.sizeof(small, detail=1).count == 1001
            print("fine")
        """)
