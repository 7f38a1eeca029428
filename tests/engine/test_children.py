"""Child processes: whoever starts them, each has a row with its true peak, and nobody else has one.

What a child holds it has touched before it says so, and it holds it until it is told to end.
"""

import pytest
from programs import run

WORK = '''
import mmap, os

SIZE = 100_000_000

def take(size=SIZE):
    """Memory of our own, every page of it written to."""
    block = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(0, size, 4096):
        block[page] = 1
    return block

def hold(barrier):
    block = take()
    barrier.wait()  # it is taken
    barrier.wait()  # it was seen
    return len(block) and os.getpid()

def private(process="self"):
    """What the kernel says of a process that no other has."""
    with open(f"/proc/{process}/smaps_rollup") as lines:
        found = [line.split() for line in lines if line.startswith("Private_")]
    return 1024 * sum(int(kib) for name, kib, *_ in found)

def touch(size):
    take(size).close()

def polls(process="self"):
    """How often the poll thread of a process has slept: it looks each time that it wakes up."""
    for task in os.listdir(f"/proc/{process}/task"):
        with open(f"/proc/{process}/task/{task}/status") as status:
            lines = status.read().splitlines()
        if lines[0].split()[1] == "memprofile":
            found = (line for line in lines if line.startswith("voluntary_ctxt_switches"))
            return int(next(found).split()[1])
    return 0

def wait_for_looks(count=60, process="self"):
    """Until the poll thread, which may have to come back after a fork, has looked often."""
    while polls(process) == 0:
        os.sched_yield()
    first = polls(process)
    while polls(process) < first + count:
        os.sched_yield()

def until_seen(taking=False):
    """In a child: until its parent, which records, has looked at it often."""
    block = take() if taking else None
    parent = os.getppid()
    while polls(parent) == 0:
        parent = int(open(f"/proc/{parent}/stat").read().rpartition(")")[2].split()[1])
    wait_for_looks(process=parent)
    del block

def marked():
    """This process, and the kernel's own mark of what it held at most."""
    with open("/proc/self/status") as status:
        kib, = (line.split()[1] for line in status if line.startswith("VmHWM"))
    return os.getpid(), 1024 * int(kib)

def marked_when_seen(_):
    block = take()
    until_seen()
    del block
    return marked()

def is_near(found, expected):
    return abs(found - expected) <= 0.05 * expected

def one(profile, pid):
    child, = (child for child in profile.children if child.pid == pid)
    assert len(child.seconds) == len(child.rss) == len(child.private) > 0
    assert sorted(child.seconds) == child.seconds
    assert child.peak_private == max(child.private)
    assert child.peak_rss >= max(child.rss)
    return child
'''


@pytest.fixture
def worker(tmp_path):
    """The beginning of a program that can import `work`, also in processes that it spawns."""
    (tmp_path / "work.py").write_text(WORK)
    return f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import memprofile, multiprocessing, os, subprocess, work
    """


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_two_workers_of_a_pool(method, worker):
    # What the interpreter itself takes, or writes to of what it shares.
    bare = 10_000_000
    run(
        f"""
        {worker}
        if __name__ == "__main__":
            context = multiprocessing.get_context({method!r})
            old = work.take(30_000_000)
            with context.Manager() as manager:
                barrier = manager.Barrier(3)
                with memprofile.profile() as profile:
                    with context.Pool(2) as pool:
                        result = pool.map_async(work.hold, [barrier] * 2)
                        barrier.wait()
                        work.wait_for_looks(200)  # at each one's pages in turn
                        barrier.wait()
                        pids = set(result.get())
            assert len(pids) == 2
            for pid in pids:
                child = work.one(profile, pid)
                assert work.SIZE < child.peak_private < 1.05 * work.SIZE + {bare}, child.private
                assert child.peak_rss >= child.peak_pss >= work.SIZE, child
                assert ({method!r} == "fork") == (child.peak_rss > work.SIZE + len(old)), child
                assert {method!r} in child.command.replace("fork", {method!r}), child.command
                assert 0 <= child.started < child.ended, child
            assert profile.peak_footprint < work.SIZE / 2
            assert not profile.gaps, profile.gaps
            assert "Two child processes held" in " ".join(str(profile).split())
            print("fine")
        """
    )


def test_what_runs_at_the_end_has_no_end(worker):
    run(
        f"""
        {worker}
        code = "import work; block = work.take(); print('taken', flush=True); input()"
        environment = os.environ | {{"PYTHONPATH": sys.path[0]}}
        with memprofile.profile() as profile:
            child = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
            )
            assert child.stdout.readline() == "taken\\n"
        child.communicate("\\n")
        found = work.one(profile, child.pid)
        assert found.ended is None and found.exit_status is None, found
        assert work.is_near(found.peak_private, work.SIZE + 6_000_000), found.peak_private
        assert found.command.startswith("python -c import work"), found.command
        assert "running" in str(profile), str(profile)
        print("fine")
        """
    )


@pytest.mark.parametrize(
    ("end", "status"), [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", -9)], ids=["exit", "kill"]
)
def test_how_a_child_ended_is_known(end, status, worker):
    run(
        f"""
        {worker}
        code = "import os, sys; input(); {end}"
        with memprofile.profile() as profile:
            child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
            work.wait_for_looks()
            child.communicate(b"\\n")
        found = work.one(profile, child.pid)
        assert found.exit_status == {status} == child.returncode, found.exit_status
        print("fine")
        """
    )


def test_a_grandchild(worker):
    run(
        f"""
        {worker}
        inner = "import work; block = work.take(); print('taken', flush=True); input()"
        code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {{inner!r}}])"
        environment = os.environ | {{"PYTHONPATH": sys.path[0]}}
        with memprofile.profile() as profile:
            child = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
            )
            assert child.stdout.readline() == "taken\\n"
            work.wait_for_looks()
            child.communicate("\\n")
        first, second = profile.children
        assert (first.pid, first.parent) == (child.pid, os.getpid())
        assert second.parent == child.pid
        assert first.peak_private < 20_000_000
        assert work.is_near(second.peak_private, work.SIZE + 6_000_000), second.peak_private
        print("fine")
        """
    )


def test_a_child_that_is_forked_while_the_main_thread_waits_for_it(worker):
    run(
        f"""
        {worker}
        import warnings
        warnings.simplefilter("error")  # from 3.12 on of a fork beside a thread: never of ours
        os.register_at_fork(before=int, after_in_parent=lambda: [bytes(n) for n in range(3000)])
        down, up = os.pipe(), os.pipe()
        with memprofile.profile() as profile:
            child = os.fork()
            if child == 0:
                block = work.take()
                os.write(up[1], b"x")
                os.read(down[0], 1)
                os._exit(7)
            os.read(up[0], 1)
            work.wait_for_looks()
            truth = work.private(child)
            os.write(down[1], b"x")
            os.waitpid(child, 0)
        found = work.one(profile, child)
        assert found.command == "python worker (fork)" and found.exit_status == 7
        assert truth > work.SIZE
        assert work.is_near(found.peak_private, truth), (found.peak_private, truth)
        print("fine")
        """
    )


def test_a_child_that_is_gone_at_once_is_a_sentence(worker):
    run(
        f"""
        {worker}
        ways = [
            lambda: subprocess.run(["true"]),
            lambda: os.system("true"),
            lambda: os.spawnlp(os.P_WAIT, "true", "true"),
        ]
        for way in ways:
            with memprofile.profile() as profile:
                way()
            # It may have been looked at after all; it is never passed over.
            gaps = [gap for gap in profile.gaps if "ended before it could be looked at" in gap]
            assert len(gaps) + len(profile.children) >= 1, (way, profile.gaps)
        print("fine")
        """
    )


def test_without_children_nothing_is_said_of_them(worker):
    run(
        f"""
        {worker}
        earlier = subprocess.run(["true"])
        idle = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        # Until it answers it loads its libraries, and grows by more than a mebibyte.
        idle.stdin.write(b"ready\\n")
        idle.stdin.flush()
        assert idle.stdout.readline() == b"ready\\n"
        with memprofile.profile() as profile:
            block = work.take()
            work.wait_for_looks()
        assert profile.children == [] and profile.gaps == [], (profile.children, profile.gaps)
        for text in (str(profile), profile.to_html(), profile._data.to_svg(20)):
            assert "child" not in text.lower().replace("wait_for_looks", ""), text
        assert list(profile.to_pandas("children").columns)[:2] == ["pid", "parent"]
        idle.communicate(b"")
        print("fine")
        """
    )


def test_a_worker_from_before_counts_by_its_growth(worker):
    run(
        f"""
        {worker}
        if __name__ == "__main__":
            context = multiprocessing.get_context("spawn")
            with context.Manager() as manager, context.Pool(1) as pool:
                barrier = manager.Barrier(2)
                pid = pool.apply(os.getpid)
                # Its largest size was before: that is not the recording's.
                pool.apply(work.touch, (2 * work.SIZE,))
                # What a barrier's proxy imports (5 MB in 3.15) is not the recording's either.
                pool.apply(id, (barrier,))
                with memprofile.profile() as idle:
                    pool.apply(os.getpid)
                    work.wait_for_looks(5)
                with memprofile.profile() as profile:
                    result = pool.apply_async(work.hold, (barrier,))
                    barrier.wait()
                    work.wait_for_looks()
                    barrier.wait()
                    result.get()
            assert pid not in [child.pid for child in idle.children], idle.children
            child = work.one(profile, pid)
            assert child.started is None and child.ended is None
            assert 5_000_000 < child.start_rss < 30_000_000, child.start_rss
            assert work.is_near(child.peak_private, work.SIZE), child.peak_private
            assert work.is_near(child.peak_rss - child.start_rss, work.SIZE), child.peak_rss
            assert "before to the end" in str(profile), str(profile)
            print("fine")
        """
    )


def test_a_command_of_the_notebook(worker):
    pytest.importorskip("IPython")
    run(
        f"""
        {worker}
        from IPython.testing.globalipapp import start_ipython
        shell = start_ipython()
        shell.run_line_magic("load_ext", "memprofile")
        code = "import work; block = work.take(); work.until_seen()"
        shell.user_ns.update(python=sys.executable, code=code)
        os.environ["PYTHONPATH"] = sys.path[0]
        shell.run_cell("%%memprofile -o kept\\n!{{python}} -c \\"{{code}}\\"\\nafter = 1")
        kept = shell.user_ns["kept"]
        largest = max(kept.children, key=lambda child: child.peak_private)
        assert work.is_near(largest.peak_private, work.SIZE + 6_000_000), largest.peak_private
        assert "hild process" in str(kept), str(kept)
        print("fine")
        """
    )


def test_joblib(worker):
    pytest.importorskip("joblib")
    run(
        f"""
        {worker}
        if __name__ == "__main__":
            import joblib
            os.environ["PYTHONPATH"] = sys.path[0]
            with memprofile.profile() as profile:
                calls = (joblib.delayed(work.marked_when_seen)(n) for n in range(2))
                marks = dict(joblib.Parallel(2)(calls))
            workers = [child for child in profile.children if child.command.endswith("(loky)")]
            assert len(workers) == 2, [child.command for child in profile.children]
            for child in workers:
                assert child.peak_private > work.SIZE, child.peak_private
                if child.pid in marks:
                    assert work.is_near(child.peak_rss, marks[child.pid]), (child.peak_rss, marks)
            assert marks
            print("fine")
        """
    )
