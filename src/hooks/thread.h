/* What a thread has: its slot, and whether it records now. Part of native.c, which alone includes it.
 *
 * What is true here:
 * - A slot has one owner, but for the last one. Its owner counts in it by plain additions; Rust reads it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>

#include "hot.h"

HIDDEN uint32_t memprofile_slots_used;

HIDDEN __thread struct memprofile_self memprofile_self = {.armed = NOT_ARMED};
#define self memprofile_self

/* In this order: a signal's handler between the two may still record, since nothing of ours runs yet. */
static inline void enter(void) {
    self.inside++;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    self.armed = NOT_ARMED;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* The next hook arms the thread again. */
static inline void leave(void) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    self.inside--;
}

/* An address of the calling thread's own. */
HIDDEN const void *memprofile_thread(void) { return &self; }

HIDDEN uint32_t memprofile_enter(void) {
    enter();
    return self.inside - 1;
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
#define COMMON (&memprofile_hot.slots[SLOTS - 1])

static void leave_slot(void *slot) {
    self.slot = NULL;
    self.armed = NOT_ARMED;
    __atomic_store_n(&taken[(struct memprofile_slot *)slot - memprofile_hot.slots], 0, __ATOMIC_RELEASE);
}

/* Once, by a thread that holds the GIL. Without a key no slot is left to another. */
HIDDEN void memprofile_watch_threads(void) {
    if (!has_key) has_key = pthread_key_create(&at_end, leave_slot) == 0;
}

/* In a forked child: the other threads are not there. */
HIDDEN void memprofile_forget_threads(void) {
    for (uint32_t index = 0; index < SLOTS; index++)
        taken[index] = self.slot == &memprofile_hot.slots[index];
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
    self.slot = &memprofile_hot.slots[index];
    int saved_errno = errno;
    if (has_key && self.slot != COMMON) pthread_setspecific(at_end, self.slot);
    errno = saved_errno;
    return self.slot;
}

static __attribute__((noinline, cold)) struct memprofile_slot *arm(uint32_t recording) {
    if (recording == 0 || self.inside != 0) return NULL;
    struct memprofile_slot *slot = self.slot != NULL ? self.slot : take_slot();
    if (slot->recording != recording) {
        slot->countdown = slot->drawn = slot == COMMON ? INT64_MAX : 0;
        slot->net = 0;
        slot->requested = slot->count = 0;
        slot->epoch = 0;
        slot->recording = recording;
    }
    self.armed = recording;
    return slot;
}

/* The calling thread's slot, or NULL when this call is not to be recorded. */
static inline struct memprofile_slot *slot_if_recording(void) {
    uint32_t recording = __atomic_load_n(&memprofile_hot.recording, __ATOMIC_RELAXED);
    return RARE(self.armed != recording) ? arm(recording) : self.slot;
}

HIDDEN struct memprofile_slot *memprofile_own_slot(void) {
    return self.slot != NULL ? self.slot : take_slot();
}
