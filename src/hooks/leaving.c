/* exit and _exit as the patched GOT slots call them: a forked child that is recorded tells what it has
 * before it goes. They do not return, which Rust could say too; C keeps them beside their like. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>

#include "hot.h"

/* In Rust. It waits for nothing but the lock of the recording. */
extern HIDDEN void memprofile_leaving(void);

static inline void tell(void) {
    if (__atomic_load_n(&memprofile_hot.recording, __ATOMIC_RELAXED) != 0) memprofile_leaving();
}

HIDDEN __attribute__((noreturn)) void memprofile_exit(int status) {
    tell();
    exit(status);
}

HIDDEN __attribute__((noreturn)) void memprofile_exit_at_once(int status) {
    tell();
    _exit(status);
}
