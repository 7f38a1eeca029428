/* What the hooks read at every call: hooks/hot.rs says why it lies together, and defines it. */
#include <stddef.h>
#include <stdint.h>

#define HIDDEN __attribute__((visibility("hidden")))
#define RARE(condition) __builtin_expect(!!(condition), 0)

/* A thread's own figures. */
struct memprofile_slot {
    int64_t countdown; /* bytes until the next sample */
    int64_t net;       /* usable bytes allocated minus freed, not yet added to the footprint */
    uint64_t count;    /* allocations since the recording began */
    int64_t drawn;     /* the countdown when it was last set: what is gone of it was requested */
    uint64_t requested; /* bytes requested since the recording began, until it was last set */
    uint32_t recording; /* the recording that the figures above belong to */
    uint32_t epoch;     /* the sampling interval that `countdown` was drawn with */
    uint64_t unused[2];
} __attribute__((aligned(64)));

#define SLOTS 1024
#define FLUSH_BYTES (32 * 1024)

extern HIDDEN struct memprofile_hot {
    uint32_t recording; /* 0: off; else counts recordings */
    uint32_t fast;      /* the same while the word before a block says its size, else 0 */
    uint64_t unusual;   /* a request of this size or more takes the slow way */
    /* malloc's own functions: calling them by our global offset table would touch two more lines. */
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void (*free)(void *);
    uint64_t unused[3];

    int64_t countdown; /* bytes until the next sample of a small object */
    size_t small;      /* the largest request that pymalloc serves itself */
    /* pymalloc's own functions, which do not look at their context. */
    void *(*object_malloc)(void *, size_t);
    void *(*object_calloc)(void *, size_t, size_t);
    void (*object_free)(void *, void *);
    uint64_t unused_too[3];

    struct memprofile_slot slots[SLOTS];
} __attribute__((aligned(4096))) memprofile_hot;

_Static_assert(offsetof(struct memprofile_hot, countdown) == 64, "as in hooks/hot.rs");
_Static_assert(offsetof(struct memprofile_hot, slots) == 128, "as in hooks/hot.rs");

/* A bit for each hash of the address of a live sample: see hooks/mod.rs. */
#define FILTER_BITS 21
extern HIDDEN uint8_t memprofile_filter[(1 << FILTER_BITS) / 8];

/* Neighbouring 64 bytes have neighbouring bits: a run of frees stays in few cache lines. */
static inline uint8_t filter_byte(const void *block) {
    uint32_t index = (uint32_t)((uintptr_t)block >> 9) & ((1u << FILTER_BITS) / 8 - 1);
    return __atomic_load_n(&memprofile_filter[index], __ATOMIC_RELAXED);
}

/* Whether one of the blocks that share a byte may be: that is less to ask. */
static inline int may_be_near_a_sample(const void *block) { return filter_byte(block) != 0; }

static inline int may_be_sampled(const void *block) {
    return filter_byte(block) >> ((uintptr_t)block >> 6 & 7) & 1;
}

#ifdef MEMPROFILE_NATIVE

/* A thread is armed when it has a slot of the recording that is on and runs none of our own code. */
struct memprofile_self {
    struct memprofile_slot *slot; /* NULL until its first allocation */
    uint32_t inside;              /* how deep it is in our own code */
    /* The recording that it records for as it is now: its slot is that recording's, and `inside` is 0. */
    uint32_t armed;
};
#define NOT_ARMED UINT32_MAX /* never the number of a recording */
extern HIDDEN __thread struct memprofile_self memprofile_self;

/* glibc keeps a chunk's size in the word before its block, with three flags in the low bits of which
 * the second marks a mapped chunk (malloc/malloc.c, struct malloc_chunk). free reads that word next
 * anyway; malloc_usable_size also reads the header of the neighbour, which misses the cache. */
#define MAPPED 2

static inline size_t head_of(const void *block) {
    /* To the compiler malloc's blocks begin at their address: it must not know that this is one. */
    __asm__("" : "+r"(block));
    return ((const size_t *)block)[-1];
}

static inline size_t size_in(size_t head) { return (head & ~(size_t)7) - sizeof(size_t); }

#endif
