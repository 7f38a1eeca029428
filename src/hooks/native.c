/* The malloc and mmap families as the patched GOT slots call them.
 *
 * This is C and not Rust for one reason: each call needs a thread-local variable, and only
 * the initial-exec TLS model makes that one instruction (`-ftls-model=initial-exec` in
 * build.rs). Stable Rust emits general-dynamic TLS, a function call, which costs 12-16% on a
 * loop that does nothing but allocate. The variables are 32 bytes, so that they fit into the
 * surplus that the dynamic linker keeps for libraries loaded late.
 *
 * What is true here:
 * - Calls to malloc, free, ... in this file reach the real functions: our own GOT is never
 *   patched.
 * - A block is forgotten *before* it is freed and noted *after* it was allocated, so that no
 *   other thread can be given an address that we still hold to be live.
 * - `inside` is set while our own code runs: what it allocates or frees passes through.
 * - errno is the caller's: every call into Rust is bracketed by saving and restoring it. A request that is
 *   refused sets it, as malloc does.
 * - When recording is off a hook costs one load and one branch; a hook may be entered at any
 *   time after it was removed, since another thread may have read the slot before.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "thread.h"

/* In Rust. What makes a request unusual: see memprofile_hot. */
extern HIDDEN uint64_t memprofile_large;   /* a block of this size is always noted */
extern HIDDEN uint64_t memprofile_askable; /* a request of this size may be refused */

/* Where this thread's last hook was entered: its frame and where it returns to. See hooks/asking.rs.
 * Written only when Rust is called. */
struct memprofile_entry {
    const void *frame;
    const void *caller;
};
static __thread struct memprofile_entry entry;
HIDDEN struct memprofile_entry *memprofile_entry(void) { return &entry; }
/* In the hook itself, or inline in it. */
#define ENTERED(own_frame, returns_to) (entry.frame = (own_frame), entry.caller = (returns_to))

/* In Rust. They are only called with `inside` set. */
extern HIDDEN int memprofile_refuses(size_t bytes, int zeroed);
extern HIDDEN void memprofile_noted(void *block, size_t size, struct memprofile_slot *slot);
extern HIDDEN void memprofile_forgotten(void *block, struct memprofile_slot *slot);
extern HIDDEN void memprofile_moving(void *block, size_t size, int mapped, uint64_t saved[4]);
extern HIDDEN void memprofile_stayed(void *block, const uint64_t saved[4]);
extern HIDDEN void memprofile_mapped(void *start, size_t length, int prot, int flags,
                                     const void *caller, struct memprofile_slot *slot);
extern HIDDEN size_t memprofile_going_back(void *start, size_t length);
extern HIDDEN void memprofile_gone_back(void *start, size_t length, size_t resident);
extern HIDDEN void memprofile_unmapped(void *start, size_t length);
extern HIDDEN void memprofile_remapped(void *old, size_t old_length, void *start, size_t length,
                                       struct memprofile_slot *slot);

/* 1: the word before a block says its size, 0: not known yet, -1: it does not (another malloc). */
static int header_known;

HIDDEN int memprofile_header_says_size(void) { return header_known > 0; }

static inline size_t usable_size(void *block) {
    size_t head = header_known > 0 ? head_of(block) : MAPPED;
    return head & MAPPED ? malloc_usable_size(block) : size_in(head);
}

/* Holds what the headers say against malloc_usable_size, once. Below the mmap threshold: freeing a
 * mapped chunk would raise that. */
HIDDEN void memprofile_learn_header(void) {
    static const size_t sizes[] = {1, 24, 25, 200, 1032, 1033, 5000, 100000};
    if (header_known != 0) return;
    int known = 1;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        void *blocks[] = {malloc(sizes[i]), memalign(256, sizes[i])};
        for (size_t kind = 0; kind < 2; kind++) {
            if (blocks[kind] == NULL) continue;
            size_t head = head_of(blocks[kind]);
            if (size_in(head) != malloc_usable_size(blocks[kind])) known = -1;
            free(blocks[kind]);
        }
    }
    header_known = known;
}

/* The header of a block; of another malloc's, where there may be no memory before a block, a plain one. */
static inline size_t header_of(void *block) { return header_known > 0 ? head_of(block) : 0; }

/* Bytes of chunks that malloc mapped, less those that it unmapped. See hooks/heap.rs. */
extern HIDDEN int64_t memprofile_chunks_mapped;

/* A block with this header came (1) or goes (-1). A mapped one is never counted on the fast way. */
static inline void count_mapped(size_t head, int64_t direction) {
    if (head & MAPPED)
        __atomic_fetch_add(&memprofile_chunks_mapped, direction * (int64_t)(head & ~(size_t)7),
                           __ATOMIC_RELAXED);
}

static __attribute__((noinline)) void note(void *block, size_t size, struct memprofile_slot *slot,
                                           const void *caller) {
    int saved_errno = errno;
    enter();
    ENTERED(__builtin_frame_address(0), caller);
    memprofile_noted(block, size, slot);
    leave();
    errno = saved_errno;
}

static inline void allocated(void *block, size_t size, int64_t growth, struct memprofile_slot *slot,
                             const void *caller) {
    slot->count += 1;
    slot->net += growth;
    slot->countdown -= (int64_t)size;
    if (RARE(slot->countdown < 0) || RARE(slot->net > FLUSH_BYTES) ||
        RARE(size >= __atomic_load_n(&memprofile_large, __ATOMIC_RELAXED)))
        note(block, size, slot, caller);
}

static inline void *fresh(void *block, size_t size, const void *caller) {
    struct memprofile_slot *slot;
    if (block != NULL && (slot = slot_if_recording()) != NULL) {
        count_mapped(header_of(block), 1);
        allocated(block, size, (int64_t)usable_size(block), slot, caller);
    }
    return block;
}

/* A new block, or NULL. */
HIDDEN void *memprofile_fresh(void *block, size_t size) {
    return fresh(block, size, __builtin_return_address(0));
}

/* A new block that is counted already. */
HIDDEN void *memprofile_counted(void *block, size_t size) {
    note(block, size, self.slot, __builtin_return_address(0));
    return block;
}

static __attribute__((noinline)) void forget(void *block, struct memprofile_slot *slot) {
    int saved_errno = errno;
    enter();
    memprofile_forgotten(block, slot);
    leave();
    errno = saved_errno;
}

/* See hooks/refusal.rs. All that was called since the interpreter's loop stands above this frame. */
static __attribute__((noinline, cold)) int refused(size_t bytes, int zeroed, const void *caller) {
    if (slot_if_recording() == NULL) return 0;
    int saved_errno = errno;
    enter();
    ENTERED(__builtin_frame_address(0), caller);
    int refuses = memprofile_refuses(bytes, zeroed);
    leave();
    errno = refuses ? ENOMEM : saved_errno;
    return refuses;
}

static inline int is_refused(size_t bytes, int zeroed, const void *caller) {
    return RARE(bytes >= __atomic_load_n(&memprofile_askable, __ATOMIC_RELAXED)) &&
           refused(bytes, zeroed, caller);
}

HIDDEN void *memprofile_unusual_malloc(size_t size) {
    const void *caller = __builtin_return_address(0);
    return is_refused(size, 0, caller) ? NULL : fresh(malloc(size), size, caller);
}

/* A product that overflows makes calloc fail, and then nothing is noted. */
HIDDEN void *memprofile_unusual_calloc(size_t count, size_t size) {
    const void *caller = __builtin_return_address(0);
    return is_refused(count * size, 1, caller) ? NULL : fresh(calloc(count, size), count * size, caller);
}

#define FRESH(block, size) fresh((block), (size), __builtin_return_address(0))

HIDDEN void *memprofile_memalign(size_t alignment, size_t size) {
    return FRESH(memalign(alignment, size), size);
}

HIDDEN void *memprofile_aligned_alloc(size_t alignment, size_t size) {
    return FRESH(aligned_alloc(alignment, size), size);
}

HIDDEN void *memprofile_valloc(size_t size) { return FRESH(valloc(size), size); }
HIDDEN void *memprofile_pvalloc(size_t size) { return FRESH(pvalloc(size), size); }

HIDDEN int memprofile_posix_memalign(void **out, size_t alignment, size_t size) {
    int status = posix_memalign(out, alignment, size);
    if (status == 0) FRESH(*out, size);
    return status;
}

HIDDEN void memprofile_free_slow(void *block) {
    struct memprofile_slot *slot;
    if (block != NULL && (slot = slot_if_recording()) != NULL) {
        slot->net -= (int64_t)usable_size(block);
        if (may_be_sampled(block) || slot->net < -FLUSH_BYTES) forget(block, slot);
        /* Now: what is looked up before a decrease may be the peak. */
        count_mapped(header_of(block), -1);
    }
    free(block);
}

/* A block of a plain header, whose bytes are counted already. */
HIDDEN void memprofile_free_counted(void *block) {
    if (may_be_sampled(block) || self.slot->net < -FLUSH_BYTES) forget(block, self.slot);
    free(block);
}

HIDDEN void *memprofile_realloc(void *old, size_t size) {
    struct memprofile_slot *slot = slot_if_recording();
    if (slot == NULL) return realloc(old, size);
    if (old == NULL) {
        if (is_refused(size, 0, __builtin_return_address(0))) return NULL;
        return FRESH(realloc(NULL, size), size);
    }
    int64_t before = (int64_t)usable_size(old);
    if (size > (size_t)before && is_refused(size - (size_t)before, 0, __builtin_return_address(0)))
        return NULL;
    size_t old_head = header_of(old);
    int sampled = may_be_sampled(old);
    uint64_t saved[4];
    if (RARE(sampled)) {
        enter();
        memprofile_moving(old, size, (old_head & MAPPED) != 0, saved);
        leave();
    }
    void *moved = realloc(old, size);
    if (moved == NULL) {
        if (size == 0) { /* realloc(p, 0) frees */
            slot->net -= before;
            count_mapped(old_head, -1);
        } else if (sampled) {
            int saved_errno = errno;
            enter();
            memprofile_stayed(old, saved);
            leave();
            errno = saved_errno;
        }
        return NULL;
    }
    int64_t growth = (int64_t)usable_size(moved) - before;
    count_mapped(old_head, -1);
    count_mapped(header_of(moved), 1);
    allocated(moved, size, growth, slot, __builtin_return_address(0));
    /* A block that shrank may pass the other threshold. */
    if (RARE(slot->net < -FLUSH_BYTES)) forget(NULL, slot);
    return moved;
}

HIDDEN void *memprofile_reallocarray(void *old, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return reallocarray(old, count, size);
    return memprofile_realloc(old, bytes);
}

static inline void *map(void *at, size_t length, int prot, int flags, int fd, off_t offset,
                        const void *caller) {
    void *start = mmap(at, length, prot, flags, fd, offset);
    struct memprofile_slot *slot;
    if (start != MAP_FAILED && (slot = slot_if_recording()) != NULL) {
        int saved_errno = errno;
        enter();
        ENTERED(__builtin_frame_address(0), __builtin_return_address(0));
        /* A fixed mapping replaces what was there. */
        if (flags & MAP_FIXED) memprofile_unmapped(start, length);
        memprofile_mapped(start, length, prot, flags, caller, slot);
        leave();
        errno = saved_errno;
    }
    return start;
}

HIDDEN void *memprofile_mmap(void *at, size_t length, int prot, int flags, int fd, off_t offset) {
    return map(at, length, prot, flags, fd, offset, __builtin_return_address(0));
}

HIDDEN void *memprofile_mmap64(void *at, size_t length, int prot, int flags, int fd, off64_t offset) {
    return map(at, length, prot, flags, fd, offset, __builtin_return_address(0));
}

/* Allocators give small ranges back all the time: these show at the next look at a region. */
#define WORTH_TELLING (256 * 1024)

/* Only MADV_DONTNEED takes the pages now. MADV_FREE lets the kernel take them when it needs some, and
 * until then they are in the resident set. */
HIDDEN int memprofile_madvise(void *start, size_t length, int advice) {
    if (advice != MADV_DONTNEED || length < WORTH_TELLING || slot_if_recording() == NULL)
        return madvise(start, length, advice);
    int saved_errno = errno;
    enter();
    size_t resident = memprofile_going_back(start, length);
    errno = saved_errno;
    int status = madvise(start, length, advice);
    saved_errno = errno;
    if (status == 0 && resident > 0) memprofile_gone_back(start, length, resident);
    leave();
    errno = saved_errno;
    return status;
}

HIDDEN int memprofile_munmap(void *start, size_t length) {
    if (slot_if_recording() != NULL) {
        int saved_errno = errno;
        enter();
        memprofile_unmapped(start, length);
        leave();
        errno = saved_errno;
    }
    return munmap(start, length);
}

HIDDEN void *memprofile_mremap(void *old, size_t old_length, size_t length, int flags, ...) {
    va_list more;
    va_start(more, flags);
    void *at = (flags & MREMAP_FIXED) ? va_arg(more, void *) : NULL;
    va_end(more);
    void *start = mremap(old, old_length, length, flags, at);
    struct memprofile_slot *slot;
    if (start != MAP_FAILED && (slot = slot_if_recording()) != NULL) {
        int saved_errno = errno;
        enter();
        ENTERED(__builtin_frame_address(0), __builtin_return_address(0));
        memprofile_remapped(old, old_length, start, length, slot);
        leave();
        errno = saved_errno;
    }
    return start;
}
