"""Nothing that a program does while it is recorded hurts it."""

import pytest
from programs import run

TRACEMALLOC = """
    import memprofile, tracemalloc
    {before}
    with memprofile.profile() as first:
        {during}
        kept = [bytes(400) for _ in range(1000)]
        {after}
    {between}
    with memprofile.profile() as second:
        more = [bytes(400) for _ in range(1000)]
    for profile in (first, second):
        assert profile.surviving_bytes >= 1000 * 433, profile.surviving_bytes
        assert not profile.gaps, profile.gaps
    if tracemalloc.is_tracing():
        assert tracemalloc.get_traced_memory()[0] > 400_000
        tracemalloc.stop()
    with memprofile.profile() as third:
        last = [bytes(400) for _ in range(1000)]
    assert third.surviving_bytes >= 1000 * 433, third.surviving_bytes
    print("fine")
"""


@pytest.mark.parametrize(
    "where",
    [
        {"before": "tracemalloc.start()"},
        {"during": "tracemalloc.start()"},
        {"between": "tracemalloc.start()"},
        {"during": "tracemalloc.start()", "after": "tracemalloc.stop()"},
        {"during": "tracemalloc.start()", "between": "tracemalloc.stop()"},
    ],
    ids=lambda where: "-".join(f"{time}_{call[12:-2]}" for time, call in where.items()),
)
def test_tracemalloc_and_a_recording_live_together(where):
    slots = dict.fromkeys(("before", "during", "after", "between"), "pass") | where
    run(TRACEMALLOC.format(**slots))


def test_tracemalloc_that_stops_inside_takes_our_hooks_along_and_we_say_so():
    run(
        """
        import memprofile, tracemalloc
        tracemalloc.start()
        with memprofile.profile() as profile:
            tracemalloc.stop()
        assert any("tracemalloc" in gap for gap in profile.gaps), profile.gaps
        with memprofile.profile() as profile:
            kept = [bytes(400) for _ in range(1000)]
        assert profile.surviving_bytes >= 1000 * 433
        assert not profile.gaps
        print("fine")
        """
    )


def test_threads_that_allocate_while_recordings_start_and_stop():
    run(
        """
        import memprofile, threading
        ending = threading.Event()
        counted = [0] * 6

        def work(index):
            while not ending.is_set():
                kept = [bytes(i % 3000) for i in range(300)]
                counted[index] += len(kept)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for _ in range(300):
            with memprofile.profile() as profile:
                sum(len(bytes(2000)) for _ in range(20))
            assert profile.peak_footprint >= 0
        ending.set()
        for thread in threads:
            thread.join()
        assert all(counted)
        print("fine")
        """
    )


def test_native_threads_are_counted():
    run(
        """
        import ctypes, memprofile, threading
        # A thread whose Python releases the GIL around a native allocation.
        libc = ctypes.CDLL(None)
        libc.strdup.restype = ctypes.c_void_p
        libc.free.argtypes = [ctypes.c_void_p]
        text = b"x" * 5_000_000
        got = []
        with memprofile.profile() as profile:
            thread = threading.Thread(target=lambda: got.append(libc.strdup(text)))
            thread.start()
            thread.join()
        assert 5_000_000 <= profile.peak_footprint < 6_000_000, profile.peak_footprint
        libc.free(got[0])
        print("fine")
        """
    )


def test_a_fork_in_the_middle():
    run(
        """
        import memprofile, os, warnings
        warnings.simplefilter("error")
        with memprofile.profile() as profile:
            kept = bytearray(1_000_000)
            child = os.fork()
            if child == 0:
                more = [bytes(500) for _ in range(100_000)]
                del kept, more
                assert not memprofile._native.is_recording()
                with memprofile.profile() as own:
                    mine = bytearray(3_000_000)
                os._exit(0 if own.peak_footprint >= 3_000_000 else 1)
            _, status = os.waitpid(child, 0)
            after = bytearray(500_000)
        assert status == 0, status
        assert 1_500_000 <= profile.peak_footprint < 1_700_000, profile.peak_footprint
        print("fine")
        """
    )


def test_a_child_that_leaves_the_block_is_told():
    run(
        """
        import memprofile, os
        try:
            with memprofile.profile() as profile:
                child = os.fork()
        except memprofile.MemprofileError as error:
            assert "fork" in str(error)
            os._exit(7)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 7
        print("fine")
        """
    )


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method, tmp_path):
    work = "def work(n):\n    return len([bytes(n) for _ in range(n)])\n"
    (tmp_path / "worker.py").write_text(work)
    run(
        f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import memprofile, multiprocessing, worker
        if __name__ == "__main__":
            with memprofile.profile() as profile:
                with multiprocessing.get_context({method!r}).Pool(2) as pool:
                    assert pool.map(worker.work, [1000, 2000, 3000]) == [1000, 2000, 3000]
            assert profile.duration > 0
            print("fine")
        """
    )


def test_libraries_that_are_imported_while_recording():
    run(
        """
        import memprofile
        with memprofile.profile() as profile:
            import numpy as np
            # The slots of a new library are patched at the first sample after a tick.
            for _ in range(3_000_000):
                bytes(20)
            late = np.ones(5_000_000)
        assert 40_000_000 <= profile.peak_footprint < 70_000_000, profile.peak_footprint
        print("fine")
        """
    )


def test_the_hooks_come_off():
    run(
        """
        import ctypes, memprofile, sys
        gets = ctypes.pythonapi.PyMem_GetAllocator
        gets.argtypes = [ctypes.c_int, ctypes.c_void_p]

        def allocators():
            found = []
            for domain in range(3):
                table = (ctypes.c_void_p * 5)()
                gets(domain, table)
                found.append(tuple(table))
            return found

        before = allocators()
        with memprofile.profile():
            assert allocators() != before
            assert allocators()[0] == before[0]
        assert allocators() == before
        print("fine")
        """
    )


def test_ten_thousand_recordings_leave_nothing():
    run(
        """
        import gc, memprofile, os, re, sys, threading
        from memprofile import _native

        def resident():
            return int(open("/proc/self/statm").read().split()[1]) * 4096

        def record():
            recording = _native.start(
                title="t", main_file=None, exact=False, library_paths=[], machinery_paths=[]
            )
            x = [1, 2, 3]
            recording.stop(lambda filename, lines: (filename, "user", {}))

        for _ in range(1000):
            record()
        gc.collect()
        callbacks, files = len(gc.callbacks), len(os.listdir("/proc/self/fd"))
        blocks, before = sys.getallocatedblocks(), resident()
        for _ in range(10_000):
            record()
        gc.collect()
        assert resident() - before < 2 << 20, resident() - before
        left = sys.getallocatedblocks() - blocks
        assert abs(left) < 50, left
        assert len(gc.callbacks) == callbacks
        assert len(os.listdir("/proc/self/fd")) == files
        assert len(os.listdir("/proc/self/task")) == 1
        print("fine")
        """
    )


def test_pythonmalloc_malloc_is_measured_too():
    import os

    os.environ["PYTHONMALLOC"] = "malloc"
    try:
        run(
            """
            import memprofile
            with memprofile.profile() as profile:
                kept = [bytes(400) for _ in range(1000)]
            assert profile.surviving_bytes >= 1000 * 433
            assert any("PYTHONMALLOC" in gap for gap in profile.gaps), profile.gaps
            print("fine")
            """
        )
    finally:
        del os.environ["PYTHONMALLOC"]


def test_the_debug_allocator_is_measured_too():
    run(
        """
        import memprofile
        with memprofile.profile() as profile:
            kept = [bytes(400) for _ in range(1000)]
        assert 1000 * 433 <= profile.surviving_bytes < 1000 * 520
        print("fine")
        """,
        "-X",
        "dev",
    )


def test_two_recordings_at_once_are_refused_and_the_first_goes_on():
    run(
        """
        import memprofile
        with memprofile.profile() as outer:
            try:
                with memprofile.profile():
                    raise AssertionError("a second recording began")
            except memprofile.MemprofileError as error:
                assert "already running" in str(error)
            kept = bytearray(700_000)
        # Of its line, since arenas from before may have gone meanwhile.
        assert any(line.peak_bytes >= 700_000 for line in outer.lines), outer
        print("fine")
        """
    )
