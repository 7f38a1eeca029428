"""Threads that allocate at once, with and without Python: nothing is lost, and each is named."""

import ctypes
import subprocess
import sysconfig
import threading
from pathlib import Path

import memprofile
import pytest

SOURCE = Path(__file__).parent / "native_threads.c"
BLOCK, COUNT, THREADS = 10_000, 500, 8
# Blocks of less than 1 MiB: of larger ones the pages count that are in use.
PIECE, PIECES = bytes(BLOCK), 80


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A C library that has threads of its own."""
    target = tmp_path_factory.mktemp("library") / "libworkers.so.1"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    # -ldl: a part of libc from glibc 2.34 on.
    command = [compiler, "-O2", "-shared", "-fPIC", "-pthread", "-o", target, SOURCE, "-ldl"]
    subprocess.run(command, check=True)
    library = ctypes.CDLL(str(target))
    library.allocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_size_t]
    yield library
    library.release()


def test_eight_python_and_eight_native_threads_lose_nothing(library):
    kept = [[] for _ in range(THREADS)]
    ready = threading.Barrier(THREADS + 1)

    def fill(blocks):
        ready.wait()
        for _ in range(COUNT):
            blocks.append(bytes(BLOCK))

    threads = [threading.Thread(target=fill, args=(blocks,)) for blocks in kept]
    for thread in threads:
        thread.start()
    with memprofile.profile(exact=True) as profile:
        ready.wait()
        assert library.allocate(THREADS, COUNT, BLOCK) == 0
        for thread in threads:
            thread.join()
    assert profile.exact
    (line,) = [line for line in profile.lines if "blocks.append(bytes(BLOCK))" in line.source]
    # Beside the blocks, the lists' own arrays.
    block = BLOCK + b"".__sizeof__()
    assert all(len(blocks) == COUNT for blocks in kept)
    arrays = sum(blocks.__sizeof__() - [].__sizeof__() for blocks in kept)
    assert line.surviving_bytes == THREADS * COUNT * block + arrays
    native = [site for site in profile.sites if site.native_thread]
    of_workers = [site for site in native if site.allocated_bytes >= BLOCK]
    assert sum(site.surviving_bytes for site in of_workers) == THREADS * COUNT * BLOCK
    assert sum(site.allocation_count for site in of_workers) == THREADS * COUNT
    library.release()


def test_eight_threads_that_grow_blocks_at_once_lose_nothing():
    grown = [bytearray() for _ in range(THREADS)]
    empty = sum(block.__sizeof__() for block in grown)
    ready = threading.Barrier(THREADS + 1)

    def grow(block):
        ready.wait()
        for _ in range(PIECES):
            block.extend(PIECE)

    threads = [threading.Thread(target=grow, args=(block,)) for block in grown]
    for thread in threads:
        thread.start()
    with memprofile.profile(exact=True) as profile:
        ready.wait()
        for thread in threads:
            thread.join()
    assert profile.exact
    (line,) = [line for line in profile.lines if "block.extend(PIECE)" in line.source]
    assert line.surviving_bytes == sum(block.__sizeof__() for block in grown) - empty
    assert line.surviving_bytes >= THREADS * PIECES * BLOCK
    assert line.allocation_count >= THREADS * 10


def test_a_native_thread_is_named_by_its_library_and_the_line_that_waited(library):
    with memprofile.profile() as profile:
        library.allocate(2, 100, 20_000)
    sites = [site for site in profile.sites if site.native_thread]
    (site,) = [site for site in sites if site.allocated_bytes >= 20_000]
    assert [function for function, _, _ in site.stack] == ["libworkers"]
    assert site.surviving_bytes == site.peak_bytes == 2 * 100 * 20_000
    filename, lineno = site.waiting
    assert filename == __file__
    source = Path(__file__).read_text().splitlines()[lineno - 1]
    assert "library.allocate(2, 100" in source
    html = profile.to_html()
    assert f"native threads of libworkers, while line {lineno} ran" in html
    # They are a row of their own and no part of the line's.
    (line,) = [line for line in profile.lines if line.lineno == lineno]
    assert line.allocated_bytes < 20_000
    library.release()


def test_a_library_that_asks_through_the_cpp_library_is_named_itself(library):
    if library.use_operator_new() != 0:
        pytest.skip("there is no libstdc++ here")
    with memprofile.profile() as profile:
        library.allocate(1, 100, 20_000)
    sites = [site for site in profile.sites if site.native_thread]
    (site,) = [site for site in sites if site.allocated_bytes >= 20_000]
    assert [function for function, _, _ in site.stack] == ["libworkers"]
    assert site.allocation_count == 100
    library.release()


def test_native_threads_add_up_with_all_else(library):
    with memprofile.profile() as profile:
        kept = bytearray(3_000_000)
        library.allocate(3, 10, 100_000)
    data = profile.to_dict()
    live = sum(site["peak"]["value"] for site in data["sites"])
    native = sum(site.peak_bytes for site in profile.sites if site.native_thread)
    lines = sum(line.peak_bytes for line in profile.lines)
    assert native >= 3_000_000
    assert lines + native == pytest.approx(live, abs=4096)
    assert live <= profile.peak_footprint + 512
    assert kept
    library.release()


def bytes_of_native_threads(profile):
    return sum(site.allocated_bytes for site in profile.sites if site.native_thread)


SIZES = range(8, 8000, 64)


def test_threads_that_come_and_go_wait_for_nobody_and_count_once(library):
    """No hook waits for a lock that the maker of a thread holds while it waits for ours."""
    library.use_operator_new()
    rounds = 100
    with memprofile.profile() as profile:
        assert library.make_and_end(rounds) == 0
    library.release()
    made = 16 * rounds * sum(SIZES)
    # Counted exactly, of the threads and of their maker; the samples are few, and a tenth wide.
    assert profile.total_allocated == pytest.approx(2 * made, rel=0.01)
    assert bytes_of_native_threads(profile) == pytest.approx(made, rel=0.6)


def test_more_threads_than_are_told_apart_are_not_counted_twice(library):
    threads = 2000
    with memprofile.profile() as profile:
        assert library.all_at_once(threads) == 0
    made = threads * sum(SIZES)
    # About a thousand threads have figures of their own; of the others samples are not taken.
    assert 0.4 * made < profile.total_allocated < 1.1 * made
    assert 0.2 * made < bytes_of_native_threads(profile) < 1.4 * made
    # They run again as ever.
    with memprofile.profile() as profile:
        assert library.make_and_end(10) == 0
    assert profile.total_allocated == pytest.approx(2 * 16 * 10 * sum(SIZES), rel=0.01)
