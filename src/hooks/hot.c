/* The hooks that are called all the time, as short as they can be: what is rare is in native.c and
 * pymem.rs.
 *
 * Between two allocations a program runs through more code than the first-level cache holds, so a hook
 * costs as many misses as it has lines. These stand in one section of their own, touch few lines and
 * pages of data (hot.rs), and leave everything but counting to a slow way that they jump to.
 *
 * Their place in a page is fixed: it says which sets of the caches they share with the interpreter's loop and
 * malloc, and is 3% of a loop of numpy's temporaries. Left to the linker, each change anywhere else would have
 * moved them. Of the sixteen places 256 bytes apart two cost 20 to 25 ns an iteration of 550 ns; this one and its
 * neighbours cost 4 to 10 (CPython 3.11, numpy 2, glibc 2.36, an EPYC). */
#include "hot.h"

#ifdef __ELF__
#define HOT __attribute__((section(".text.memprofile_hot"), visibility("hidden")))
__asm__(".pushsection .text.memprofile_hot,\"ax\",%progbits\n"
        ".balign 4096\n"
        ".skip 0xa00\n"
        ".popsection\n");
#else
#define HOT HIDDEN
#endif
#define FROM_A_LINE_ON __attribute__((aligned(64)))

#ifdef MEMPROFILE_PYTHON

/* In Rust: hooks/pymem.rs. `original` is the address of the allocator that ours stands around. */
extern HIDDEN void *memprofile_object_fired(void *original, size_t size);
extern HIDDEN void *memprofile_zeroed_object_fired(void *original, size_t count, size_t size);
extern HIDDEN void memprofile_free_near_a_sample(void *original, void *block);

/* Counts a request, and tells whether its block is to be noted. It comes before the request is served, so
 * that the hook has nothing left to do after it and jumps to the original allocator. */
static inline int fires(size_t size) {
    return size <= memprofile_hot.small && RARE((memprofile_hot.countdown -= (int64_t)size) < 0);
}

HOT FROM_A_LINE_ON void *memprofile_object_malloc(void *original, size_t size) {
    if (fires(size)) return memprofile_object_fired(original, size);
    return memprofile_hot.object_malloc(original, size);
}

HOT void memprofile_object_free(void *original, void *block) {
    if (RARE(may_be_near_a_sample(block))) return memprofile_free_near_a_sample(original, block);
    memprofile_hot.object_free(original, block);
}

#endif

#ifdef MEMPROFILE_NATIVE

/* In native.c. They are jumped to, so that they return to whoever called the hook, and that is who asks. */
extern HIDDEN void *memprofile_unusual_malloc(size_t size);
extern HIDDEN void *memprofile_unusual_calloc(size_t count, size_t size);
extern HIDDEN void *memprofile_fresh(void *block, size_t size);
extern HIDDEN void *memprofile_counted(void *block, size_t size);
extern HIDDEN void memprofile_free_slow(void *block);
extern HIDDEN void memprofile_free_counted(void *block);

/* Counts a block with which nothing else is to be done but perhaps a sample. */
static inline __attribute__((always_inline)) void *fresh(void *block, size_t size) {
    if (RARE(block == NULL) || RARE(memprofile_self.armed != memprofile_hot.fast))
        return memprofile_fresh(block, size);
    struct memprofile_slot *slot = memprofile_self.slot;
    size_t head = head_of(block);
    if (RARE(head & MAPPED)) return memprofile_fresh(block, size);
    slot->count += 1;
    slot->net += (int64_t)size_in(head);
    slot->countdown -= (int64_t)size;
    if (RARE(slot->countdown < 0) || RARE(slot->net > FLUSH_BYTES)) return memprofile_counted(block, size);
    return block;
}

HOT FROM_A_LINE_ON void *memprofile_malloc(size_t size) {
    if (RARE(size >= memprofile_hot.unusual)) return memprofile_unusual_malloc(size);
    return fresh(memprofile_hot.malloc(size), size);
}

HOT FROM_A_LINE_ON void memprofile_free(void *block) {
    if (RARE(block == NULL)) return;
    if (RARE(memprofile_self.armed != memprofile_hot.fast)) return memprofile_free_slow(block);
    struct memprofile_slot *slot = memprofile_self.slot;
    size_t head = head_of(block);
    if (RARE(head & MAPPED)) return memprofile_free_slow(block);
    slot->net -= (int64_t)size_in(head);
    if (RARE(may_be_near_a_sample(block)) || RARE(slot->net < -FLUSH_BYTES))
        return memprofile_free_counted(block);
    memprofile_hot.free(block);
}

HOT void *memprofile_calloc(size_t count, size_t size) {
    size_t bytes;
    /* A product that overflows makes calloc fail. */
    if (RARE(__builtin_mul_overflow(count, size, &bytes)) || RARE(bytes >= memprofile_hot.unusual))
        return memprofile_unusual_calloc(count, size);
    return fresh(memprofile_hot.calloc(count, size), bytes);
}

#endif

#ifdef MEMPROFILE_PYTHON

HOT void *memprofile_object_calloc(void *original, size_t count, size_t size) {
    /* A product that overflows makes calloc fail. */
    if (fires(count * size)) return memprofile_zeroed_object_fired(original, count, size);
    return memprofile_hot.object_calloc(original, count, size);
}

/* The same around an allocator that needs its context: another tool's, or CPython's debug hooks. */

struct allocator {
    void *context;
    void *(*malloc)(void *, size_t);
    void *(*calloc)(void *, size_t, size_t);
    void *(*realloc)(void *, void *, size_t);
    void (*free)(void *, void *);
};

HIDDEN void *memprofile_wrapped_malloc(void *original, size_t size) {
    const struct allocator *allocator = original;
    if (fires(size)) return memprofile_object_fired(original, size);
    return allocator->malloc(allocator->context, size);
}

HIDDEN void *memprofile_wrapped_calloc(void *original, size_t count, size_t size) {
    const struct allocator *allocator = original;
    if (fires(count * size)) return memprofile_zeroed_object_fired(original, count, size);
    return allocator->calloc(allocator->context, count, size);
}

HIDDEN void memprofile_wrapped_free(void *original, void *block) {
    const struct allocator *allocator = original;
    if (RARE(may_be_near_a_sample(block))) return memprofile_free_near_a_sample(original, block);
    allocator->free(allocator->context, block);
}

#endif
