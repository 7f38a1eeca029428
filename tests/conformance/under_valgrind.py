"""Recordings of everything that the hooks know, to be run under valgrind; ends with "fine"."""

import asyncio
import ctypes
import gc
import mmap
import os
import threading

import memprofile

libc = ctypes.CDLL(None)
for name in ("malloc", "calloc", "realloc", "reallocarray", "aligned_alloc"):
    getattr(libc, name).restype = ctypes.c_void_p


def objects():
    kept = [[str(n), {n: (n, n)}] for n in range(2000)]
    ring = []
    ring.append(ring)
    del ring
    gc.collect()
    return kept


def native():
    blocks = [libc.malloc(n * 100) for n in range(1, 200)]
    blocks.append(libc.calloc(1000, 10))
    blocks.append(libc.aligned_alloc(ctypes.c_size_t(64), ctypes.c_size_t(6400)))
    blocks = [libc.realloc(ctypes.c_void_p(block), 30_000) for block in blocks]
    blocks = [libc.reallocarray(ctypes.c_void_p(block), 10, 20) for block in blocks]
    too_many = ctypes.c_size_t(1 << 62)
    assert libc.reallocarray(ctypes.c_void_p(blocks[0]), too_many, ctypes.c_size_t(8)) is None
    for block in blocks:
        libc.free(ctypes.c_void_p(block))


def large():
    kept = bytearray(3_000_000)
    kept.extend(bytes(9_000_000))
    with mmap.mmap(-1, 1 << 20) as mapping:
        mapping.write(b"x" * 10_000)
        mapping.resize(1 << 21)
    return kept


def threads():
    running = [threading.Thread(target=objects) for _ in range(3)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def forked():
    child = os.fork()
    if child == 0:
        objects()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def loads():
    import decimal
    import sqlite3

    sqlite3.connect(":memory:").close()
    return decimal.Decimal(1) / 3


async def waits():
    await asyncio.gather(*(asyncio.sleep(0, bytearray(1000)) for _ in range(10)))


def main():
    for exact in (False, True):
        with memprofile.profile(exact=exact) as profile:
            for part in (objects, native, large, threads, forked, loads):
                part()
            asyncio.run(waits())
        assert profile.allocation_count > 500
        assert len(profile.to_html()) > 1000
    print("fine")


main()
