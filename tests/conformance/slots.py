"""Every slot of every library of a scientific environment: patched while a recording runs, and
then as before, byte for byte, and with the protections as before.

The slots are found by readelf, which knows nothing of how we find them.
"""

import ctypes
import hashlib
import re
import subprocess
import sysconfig
from pathlib import Path

import memprofile
import memprofile._native

FUNCTIONS = {
    *("malloc", "calloc", "realloc", "reallocarray", "free"),
    *("posix_memalign", "aligned_alloc", "memalign", "valloc", "pvalloc"),
    *("mmap", "mmap64", "munmap", "mremap"),
}
EXECUTABLE = str(Path("/proc/self/exe").readlink())
MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) \S+ \d+ +(/.*)")
RELOCATION = re.compile(r"([0-9a-f]{16}) +[0-9a-f]+ R_\w+_(?:GLOB_DA|JUMP_SL)\w* +[0-9a-f]+ (\w+)")
SEGMENT = re.compile(r"^ +LOAD +0x0+ 0x([0-9a-f]+) ", re.MULTILINE)


def load_all(folder):
    """Loads each library below a folder; returns those that cannot be, with the reason."""
    refused = {}
    for path in sorted(folder.rglob("*.so*")):
        try:
            ctypes.CDLL(str(path))
        except OSError as error:
            refused[path.name] = str(error)
    return refused


def mappings():
    """(start, end, protection, offset, file) of all that is mapped from libraries."""
    found = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        match = MAPPING.match(line)
        if match is None or not (".so" in match[5] or match[5] == EXECUTABLE):
            continue
        start, end, offset = (int(match[group], 16) for group in (1, 2, 4))
        before = found[-1] if found else None
        # The kernel may cut a range that is all alike.
        if before and before[1] == start and (before[2], before[4]) == (match[3], match[5]):
            found[-1] = (before[0], end, *before[2:])
        else:
            found.append((start, end, match[3], offset, match[5]))
    return found


def readelf(option, path):
    command = ["readelf", "--wide", option, path]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def slots(files):
    """The addresses of all slots, each with the names of its function and its library."""
    found = {}
    for path, start in files.items():
        first = SEGMENT.search(readelf("--segments", path))
        bias = start - int(first[1], 16)
        for offset, name in RELOCATION.findall(readelf("--relocs", path)):
            if name in FUNCTIONS:
                found[bias + int(offset, 16)] = (name, path)
    return found


def read(address):
    return ctypes.c_uint64.from_address(address).value


def digests(ranges):
    """Of all that may be read and not written: there the linker keeps most slots."""
    return {
        (start, path): hashlib.blake2b(ctypes.string_at(start, end - start)).hexdigest()
        for start, end, protection, _, path in ranges
        if protection == "r--p"
    }


def main():
    refused = load_all(Path(sysconfig.get_paths()["platlib"]))
    shown = mappings()
    files = {path: start for start, _, _, offset, path in shown if offset == 0}
    print(f"{len(files)} libraries are loaded, {len(refused)} are not: {sorted(refused)}")
    ours = memprofile._native.__file__
    own = [(start, end) for start, end, *_, path in shown if path == ours]
    found = slots(files)
    left_alone = {ours, *(path for path in files if Path(path).name.startswith("ld-"))}
    before = {address: read(address) for address in found if read(address)}
    bytes_before = digests(shown)
    assert len(files) > 300, "the libraries of the environment are loaded"
    assert len(before) > 300, "their slots are found"

    for turn in ("first", "second"):
        with memprofile.profile() as profile:
            during = {address: read(address) for address in before}
            protections = mappings()
        after = {address: read(address) for address in before}
        assert profile.allocation_count > 0
        for address, (name, path) in found.items():
            if address not in before:
                continue
            patched = any(start <= during[address] < end for start, end in own)
            assert patched == (path not in left_alone), (turn, name, path, hex(during[address]))
            assert after[address] == before[address], (turn, name, path)
        assert protections == shown, sorted(set(protections) ^ set(shown))
        assert mappings() == shown, sorted(set(mappings()) ^ set(shown))
        assert digests(shown) == bytes_before
    count = sum(path not in left_alone for address, (_, path) in found.items() if address in before)
    print(f"{count} slots in {len(files)} libraries were patched and put back, twice")


if __name__ == "__main__":
    main()
