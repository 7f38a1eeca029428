"""Lines of forked children: what each did is told to the parent, however the child ends."""

import textwrap

from programs import run

BEGIN = '''
import memprofile, multiprocessing, os, signal, sys, time

fork = multiprocessing.get_context("fork")

def work(size=3_000_000):
    block = bytearray(size)
    names = [str(i) for i in range(1000)]
    return len(block)

def lines(profile, function, source=""):
    return [
        line for line in profile.forked_lines
        if line.function == function and source in line.source
    ]

def in_child(body):
    """Runs it in a child of os.fork, which ends by os._exit."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            body()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    return pid
'''


def check(program, tmp_path):
    # A file, so that lines have their text.
    path = tmp_path / "program.py"
    path.write_text(BEGIN + textwrap.dedent(program) + '\nprint("fine")\n')
    run(f"import runpy; runpy.run_path({str(path)!r}, run_name='__main__')")


def test_every_byte_of_a_process_that_ends(tmp_path):
    check(
        """
        # What the first start imports takes an arena, where none has room left.
        first = fork.Process(target=int)
        first.start()
        first.join()
        with memprofile.profile() as profile:
            child = fork.Process(target=work)
            child.start()
            child.join()
        assert child.exitcode == 0
        block, = lines(profile, "work", "bytearray")
        assert block.pid == child.pid and block.sample_interval == 0
        assert 3_000_000 <= block.peak_bytes < 3_001_000, block.peak_bytes
        assert block.surviving_bytes == 0
        names, = lines(profile, "work", "str(i)")
        assert names.allocated_bytes >= 45_000 and names.peak_bytes <= names.allocated_bytes
        assert names.peak_bytes < 80_000 and names.allocation_count >= 990
        # Nothing of that happened here.
        assert profile.peak_footprint < 1_000_000
        assert not any(line.function == "work" for line in profile.lines)
        """,
        tmp_path,
    )


def test_a_library_that_allocates_around_a_fork(tmp_path):
    # Arrow's handlers were there first, and so run while our locks are held for the fork.
    check(
        """
        import pyarrow
        pyarrow.table({"x": range(50_000)}).take([1, 2])
        with memprofile.profile() as profile:
            child = fork.Process(target=work)
            child.start()
            child.join()
        assert child.exitcode == 0
        block, = lines(profile, "work", "bytearray")
        assert 3_000_000 <= block.peak_bytes < 3_001_000, block.peak_bytes
        """,
        tmp_path,
    )


def test_os_fork_and_what_is_left_at_the_end(tmp_path):
    check(
        """
        def keep():
            global kept
            kept = bytearray(2_000_000)

        with memprofile.profile() as profile:
            pids = {in_child(keep), in_child(keep)}
        found = lines(profile, "keep")
        assert {line.pid for line in found} == pids
        for line in found:
            assert 2_000_000 <= line.surviving_bytes < 2_001_000, line.surviving_bytes
        text = str(profile)
        assert "Lines in forked processes" in text and "kept = bytearray" in text, text
        loaded = memprofile.Profile._of(memprofile._native.Profile.from_json(profile.to_json()))
        assert [(l.pid, l.lineno, l.source, l.peak_bytes) for l in loaded.forked_lines] == [
            (l.pid, l.lineno, l.source, l.peak_bytes) for l in profile.forked_lines
        ]
        assert str(loaded) == text
        """,
        tmp_path,
    )


def test_a_child_that_is_killed_has_told_before(tmp_path):
    check(
        """
        def busy(tell):
            block = bytearray(5_000_000)
            while True:
                names = [str(i) for i in range(1000)]
                os.write(tell, b".")

        with memprofile.profile() as profile:
            hear, tell = os.pipe()
            pid = os.fork()
            if pid == 0:
                busy(tell)
            # It goes on allocating for longer than it may wait with its next letter.
            end = time.monotonic() + 2
            while time.monotonic() < end:
                assert os.read(hear, 100)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        block, = lines(profile, "busy", "bytearray")
        assert 5_000_000 <= block.surviving_bytes < 5_001_000, block.surviving_bytes
        names, = lines(profile, "busy", "str(i)")
        assert names.allocation_count > 10_000
        """,
        tmp_path,
    )


def test_a_pool_and_the_next_recording(tmp_path):
    check(
        """
        with memprofile.profile() as first:
            pool = fork.Pool(2)
            sizes = pool.map(work, [4_000_000] * 8)
        assert sizes == [4_000_000] * 8
        blocks = lines(first, "work", "bytearray")
        assert 1 <= len(blocks) <= 2 and len({line.pid for line in blocks}) == len(blocks)
        for line in blocks:
            assert 4_000_000 <= line.peak_bytes < 4_100_000, line.peak_bytes
        # A worker is killed with its last letter unwritten, but never tells too much.
        assert sum(line.allocated_bytes for line in blocks) < 8 * 4_001_000
        with memprofile.profile() as second:
            sizes = pool.map(work, [4_000_000] * 8)
            with fork.Pool(1) as other:
                other.map(work, [1_000_000])
        assert sizes == [4_000_000] * 8
        pool.terminate()
        old = {line.pid for line in first.forked_lines}
        assert second.forked_lines and not old & {line.pid for line in second.forked_lines}
        """,
        tmp_path,
    )


def test_grandchildren_tell_too(tmp_path):
    check(
        """
        def inner():
            block = bytearray(9_000_000)

        def outer():
            block = bytearray(1_000_000)
            in_child(inner)

        with memprofile.profile() as profile:
            pid = in_child(outer)
        (mine,), (theirs,) = lines(profile, "outer", "bytearray"), lines(profile, "inner")
        assert mine.pid == pid != theirs.pid
        assert 9_000_000 <= theirs.peak_bytes < 9_001_000, theirs.peak_bytes
        """,
        tmp_path,
    )


def test_a_recording_of_the_childs_own_goes_first(tmp_path):
    check(
        """
        def own():
            with memprofile.profile() as profile:
                work()
                in_child(work)
            block, = [line for line in profile.lines if "bytearray" in line.source]
            assert 3_000_000 <= block.peak_bytes < 3_001_000
            assert len(lines(profile, "work", "bytearray")) == 1
            assert memprofile._native.is_recording() is False

        with memprofile.profile() as profile:
            in_child(own)
        assert not lines(profile, "work"), profile.forked_lines
        """,
        tmp_path,
    )


def test_what_executes_a_program_tells_nothing(tmp_path):
    check(
        """
        import subprocess

        with memprofile.profile() as profile:
            # With a function to call before, Python forks.
            done = subprocess.run([sys.executable, "-c", "x = [0] * 10**6"], preexec_fn=os.getpid)
        assert done.returncode == 0
        assert not any(line.peak_bytes > 1_000_000 for line in profile.forked_lines)
        """,
        tmp_path,
    )


def test_a_child_that_makes_many_blocks_samples(tmp_path):
    check(
        """
        COUNT = 1_000_000

        def many():
            global kept
            kept = [str(i).zfill(100) for i in range(COUNT)]

        with memprofile.profile() as profile:
            in_child(many)
        line, = lines(profile, "many", "zfill")
        assert line.sample_interval > 0
        # 149 bytes each, and the list's slots. A sum of samples misses by more once in 1,000 runs.
        truth = COUNT * 149 + sys.getsizeof([None] * COUNT)
        margin = 3.3 * (line.sample_interval * truth) ** 0.5
        assert margin < 0.3 * truth, line.sample_interval
        assert abs(line.surviving_bytes - truth) < margin, (line.surviving_bytes, truth, margin)
        """,
        tmp_path,
    )


def test_more_children_than_have_room_are_counted(tmp_path):
    check(
        """
        with memprofile.profile() as profile:
            for _ in range(260):
                in_child(work)
        assert len({line.pid for line in lines(profile, "work", "bytearray")}) == 256
        assert any("The lines of 4 forked processes are not shown" in gap for gap in profile.gaps)
        """,
        tmp_path,
    )
