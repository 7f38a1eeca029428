/* What a thread has: its slot, and whether it records now. Part of native.c, which alone includes it.
 *
 * What is true here:
 * - A slot has one owner, but for the last one. Its owner counts in it by plain additions; Rust reads it.
 * - A thread is armed when it has a slot of the recording that is on and runs none of our own code.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>

#define HIDDEN __attribute__((visibility("hidden")))
#define RARE(condition) __builtin_expect(!!(condition), 0)

/* Shared with Rust: see hooks/native.rs for what each is, kept in one layout by its tests. */
struct memprofile_slot {
    int64_t countdown; /* bytes until the next sample */
    int64_t net;       /* usable bytes allocated minus freed, not yet added to the footprint */
    uint64_t allocated; /* bytes requested since the recording began */
    uint64_t count;     /* allocations since the recording began */
    uint32_t recording; /* the recording that the figures above belong to */
    uint32_t epoch;     /* the sampling interval that `countdown` was drawn with */
    uint64_t unused[3];
} __attribute__((aligned(64)));

#define SLOTS 1024

extern HIDDEN uint32_t memprofile_recording; /* 0: off; else counts recordings */

HIDDEN struct memprofile_slot memprofile_slots[SLOTS];
HIDDEN uint32_t memprofile_slots_used;

static __thread struct memprofile_slot *own_slot;
static __thread uint32_t inside;

/* The recording that this thread records for as it is now: its slot is that recording's, and `inside`
 * is 0. A hook that finds it equal to memprofile_recording has nothing else to look at. */
#define NOT_ARMED UINT32_MAX /* never the number of a recording */
static __thread uint32_t armed = NOT_ARMED;

/* In this order: a signal's handler between the two may still record, since nothing of ours runs yet. */
static inline void enter(void) {
    inside++;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    armed = NOT_ARMED;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* The next hook arms the thread again. */
static inline void leave(void) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    inside--;
}

/* An address of the calling thread's own. */
HIDDEN const void *memprofile_thread(void) { return &inside; }

HIDDEN uint32_t memprofile_enter(void) {
    enter();
    return inside - 1;
}
HIDDEN void memprofile_leave(void) { leave(); }

/* Slots that a thread has. One that ends leaves its slot, with the figures and the countdown in it, to
 * the next: what it counted is part of the recording, and a countdown does not know whose bytes it counts. */
static uint8_t taken[SLOTS];
static pthread_key_t at_end;
static int has_key;

/* Of this one there are several owners at once, when more threads live than there are slots. Its figures
 * may lose an update, never more; and none of its blocks is a sample but the large ones, since two could
 * see a countdown run out at the same time. */
#define COMMON (&memprofile_slots[SLOTS - 1])

static void leave_slot(void *slot) {
    own_slot = NULL;
    armed = NOT_ARMED;
    __atomic_store_n(&taken[(struct memprofile_slot *)slot - memprofile_slots], 0, __ATOMIC_RELEASE);
}

/* Once, by a thread that holds the GIL. Without a key no slot is left to another. */
HIDDEN void memprofile_watch_threads(void) {
    if (!has_key) has_key = pthread_key_create(&at_end, leave_slot) == 0;
}

/* In a forked child: the other threads are not there. */
HIDDEN void memprofile_forget_threads(void) {
    for (uint32_t index = 0; index < SLOTS; index++)
        taken[index] = own_slot == &memprofile_slots[index];
}

static int take(uint32_t index) {
    return !__atomic_load_n(&taken[index], __ATOMIC_RELAXED) &&
           !__atomic_exchange_n(&taken[index], 1, __ATOMIC_ACQUIRE);
}

static struct memprofile_slot *take_slot(void) {
    uint32_t index = 0;
    while (index < SLOTS - 1 && !take(index)) index++;
    uint32_t used = __atomic_load_n(&memprofile_slots_used, __ATOMIC_RELAXED);
    while (used < index + 1 &&
           !__atomic_compare_exchange_n(&memprofile_slots_used, &used, index + 1, 0, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
    }
    own_slot = &memprofile_slots[index];
    int saved_errno = errno;
    if (has_key && own_slot != COMMON) pthread_setspecific(at_end, own_slot);
    errno = saved_errno;
    return own_slot;
}

static __attribute__((noinline, cold)) struct memprofile_slot *arm(uint32_t recording) {
    if (recording == 0 || inside != 0) return NULL;
    struct memprofile_slot *slot = own_slot != NULL ? own_slot : take_slot();
    if (slot->recording != recording) {
        slot->countdown = slot == COMMON ? INT64_MAX : 0;
        slot->net = 0;
        slot->allocated = slot->count = 0;
        slot->epoch = 0;
        slot->recording = recording;
    }
    armed = recording;
    return slot;
}

/* The calling thread's slot, or NULL when this call is not to be recorded. */
static inline struct memprofile_slot *slot_if_recording(void) {
    uint32_t recording = __atomic_load_n(&memprofile_recording, __ATOMIC_RELAXED);
    return RARE(armed != recording) ? arm(recording) : own_slot;
}

HIDDEN struct memprofile_slot *memprofile_own_slot(void) {
    return own_slot != NULL ? own_slot : take_slot();
}
