"""Writes small profiles of real blocks for the fuzzer to begin with: seeds.py FOLDER."""

import contextlib
import gc
import json
import sys
from pathlib import Path

import memprofile


def nothing():
    pass


def lists_and_strings():
    kept = [str(n) * 10 for n in range(2000)]
    return len([word[:20] for word in kept]), kept


def large_blocks():
    kept = bytearray(20_000_000)
    return kept, len(bytes(5_000_000))


def collected():
    for _ in range(100):
        ring = []
        ring.append(ring)
    gc.collect()


def library():
    return json.loads(json.dumps([{"key": n, "text": str(n)} for n in range(3000)]))


def deep(levels=60):
    return bytearray(300_000) if levels == 0 else deep(levels - 1)


def failing():
    held = bytearray(3_000_000)
    raise KeyError(len(held))


def sampled():
    return sum(len(text) for text in [f"{n:050d}" for n in range(300_000)])


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for block in BLOCKS:
        kept = []
        with contextlib.suppress(KeyError), memprofile.profile(title=block.__name__) as profile:
            kept.append(block())
        data = profile.to_dict()
        # Small ones are changed and read sooner.
        points = data["timeline"]["points"]
        data["timeline"]["points"] = points[:: len(points) // 10 + 1]
        (folder / f"{block.__name__}.json").write_text(json.dumps(data))
    header = {"msg_id": "a_1", "msg_type": "execute_request", "session": "a", "subshell_id": None}
    frames = [b"client", b"D", b"00", json.dumps(header).encode(), b"{}", b"{}", b"{}", b"buffer"]
    (folder / "message").write_bytes(b"\xff".join(frames))


BLOCKS = [nothing, lists_and_strings, large_blocks, collected, library, deep, failing, sampled]

if __name__ == "__main__":
    main(Path(sys.argv[1]))
