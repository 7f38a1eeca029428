"""``%memvars``, ``%memwhy`` and ``%memheap``: looks at what holds the memory now."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from IPython.core.error import UsageError
from IPython.core.magic import needs_local_scope, no_var_expand

from memprofile import _native, objects, variables
from memprofile._native import bytes_text
from memprofile.errors import MemprofileError
from memprofile.options import OptionError, read_heap_options, read_variable_options
from memprofile.sources import Shell

_memories: WeakKeyDictionary[Shell, variables.Memory] = WeakKeyDictionary()


def _memory(shell: Shell) -> variables.Memory:
    return _memories.setdefault(shell, variables.Memory())


def _show(shell: Shell, listing: _native.Listing) -> None:
    bundle = {"text/plain": listing.to_text()}
    if "text/html" in shell.display_formatter.active_types:
        bundle["text/html"] = listing.to_html()
        shell.display_pub.publish(bundle)
    else:
        print(bundle["text/plain"], end="")


def _variables(shell: Shell, line: str) -> None:
    options = read_variable_options(line)
    if options.free is not None:
        variables.free(shell, options.free, print)
        return
    _show(shell, variables.listing(shell, _memory(shell), options.top))


def _heap(shell: Shell, line: str) -> None:
    options = read_heap_options(line)
    memory = _memory(shell)
    if options.since and memory.mark is None:
        raise OptionError("there is no mark yet; set one with: %memheap --mark")
    by: Any = options.by
    if options.since and memory.mark is not None and by in ("type", "module"):
        _show(shell, memory.mark.since().listing(by, options.top))
        return
    now = objects.heap(identities=options.mark)
    if options.mark:
        memory.mark = now
        marked = f"Marked {now.count:,} objects of {bytes_text(now.bytes)}"
        print(f"{marked}; %memheap --since shows what is new.")
        return
    if options.garbage:
        _show(shell, _garbage(now, options.top))
    elif options.since and memory.mark is not None:
        _show(shell, (now - memory.mark).listing(by, options.top))
    else:
        _show(shell, now.listing(by, options.top))


def _garbage(heap: objects.Heap, top: int) -> _native.Listing:
    """Cycles that nobody refers to, and what the collector has done so far."""
    rows = heap.garbage
    size, count = sum(row.bytes for row in rows), sum(row.count for row in rows)
    headline = f"{count:,} objects of {bytes_text(size)} are cycles that nobody refers to."
    facts = "gc.collect() frees them." if count else ""
    if not gc.isenabled():
        facts = f"The collector is off: gc.enable() turns it on. {facts}".strip()
    table = [[row.name, f"{row.count:,}", bytes_text(row.bytes)] for row in rows[:top]]
    sections: list[Any] = []
    if table:
        sections.append(("", ["type", "objects", "bytes"], 1, table, ""))
    sections.append(_collector())
    rings, not_drawn = _rings()
    return _native.Listing(headline, f"{facts} {not_drawn}".strip(), sections, [], rings)


def _collector() -> tuple[str, list[str], int, list[list[str]], str]:
    """What the collector has done so far, and how long it took in the last profile."""
    columns = ["collector", "count of threshold", "runs", "freed objects", "uncollectable"]
    rows = [
        [
            f"generation {number}",
            f"{young:,} of {threshold:,}",
            *(f"{done[name]:,}" for name in ("collections", "collected", "uncollectable")),
        ]
        for number, (young, threshold, done) in enumerate(
            zip(gc.get_count(), gc.get_threshold(), gc.get_stats(), strict=True)
        )
    ]
    runs = _native.collector_runs()
    if runs is None:
        return "The collector", columns, 1, rows, "%%memprofile tells how long its runs take"
    took = {generation: figures for generation, *figures in runs}
    for number, row in enumerate(rows):
        count, seconds, longest = took.get(number, (0, 0.0, 0.0))
        row += [f"{count:,}", f"{1000 * seconds:.1f} ms", f"{1000 * longest:.1f} ms"]
    columns += ["runs*", "took*", "longest*"]
    return "The collector", columns, 1, rows, "* in the last profile"


_MOST_RINGS = 5
"""Kinds of cycles that are drawn."""


def _rings() -> tuple[list[tuple[str, list[tuple[str, str]]]], str]:
    """The largest cycles that nobody refers to, each with its caption and the objects of a ring;
    and what is not among them.
    """
    knots, kinds = _native.garbage_knots(_MOST_RINGS)
    rings = []
    for alike, count, size, hanging, ring in knots:
        keep = "1 object refers to itself" if count == 1 else f"{count:,} objects keep each other"
        if alike > 1:
            keep = f"{alike:,} rings like this one, of {count:,} objects"
        caption = f"{keep}: {bytes_text(size)}"
        if hanging >= variables.WORTH_A_ROW:
            caption += f", and {bytes_text(hanging)} hang on {'it' if count == 1 else 'them'}"
        rings.append((caption, objects.ring_in_words(ring)))
    more = kinds - len(knots)
    kinds_more = (
        "1 kind of smaller cycles is" if more == 1 else f"{more:,} kinds of smaller cycles are"
    )
    return rings, f"{kinds_more} not drawn." if more else ""


def _checked(name: str, run: Callable[[Shell, str], None], shell: Shell, line: str) -> None:
    try:
        run(shell, line)
    except (OptionError, MemprofileError) as error:
        raise UsageError(f"%{name}: {error}") from None


def magics_for(shell: Shell) -> dict[str, Callable[..., Any]]:
    """The line magics of a shell, by name."""

    @no_var_expand
    def memvars(line: str) -> None:
        """Shows what the notebook's names hold in memory, and what hides.

        %memvars [--top N] [--free history|traceback|inputs|cycles]

        own: the object's own bytes; deep: all that it reaches; freed by del: what nothing
        else reaches. Below: results in Out[n], the last traceback, the text of the cells, cycles,
        closures, each with the line that frees it.

          --top N      show N names (20), the rest as one row
          --free WHAT  says what it drops, and drops it: results (history), the last exception
                       (traceback), the text of the cells (inputs), cycles that nobody refers to
                       (cycles)
        """
        _checked("memvars", _variables, shell, line)

    @no_var_expand
    def memheap(line: str) -> None:
        """Shows all objects, counted.

        %memheap [--by type|module|referrer|size] [--top N] [--mark | --since | --garbage]

          --by WHAT  what they are counted by (type)
          --top N    show N rows (20), the rest as one
          --mark     remember which objects there are now (24 bytes each)
          --since    show which are new and gone since the mark; by referrer and size, how the
                     counts differ
          --garbage  show cycles that nobody refers to, drawn, and what the collector has done;
                     nothing is collected
        """
        _checked("memheap", _heap, shell, line)

    @no_var_expand
    @needs_local_scope
    def memwhy(line: str, local_ns: Any = None) -> None:
        """Shows what keeps an object alive: the shortest ways to it.

        %memwhy EXPRESSION

        For example: %memwhy df, or %memwhy cache.entries[0]
        """
        if not line.strip():
            raise UsageError("%memwhy needs an expression; for example: %memwhy df")
        value = eval(line, shell.user_ns, local_ns)
        try:
            alive = objects.why_alive(value, namespace=shell.user_ns)
        except MemprofileError as error:
            raise UsageError(f"%memwhy: {error}") from None
        alive.refcount -= 1
        _show(shell, alive.listing())

    return {"memvars": memvars, "memheap": memheap, "memwhy": memwhy}
