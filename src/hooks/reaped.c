/* waitpid as the patched GOT slots call it: it tells of each child that has ended.
 *
 * It is C for one reason: a thread may be cancelled in it, and that unwinds through this frame, which
 * Rust does not allow of its own. wait4 is what waitpid is made of, and a cancellation point as well.
 */
#define _GNU_SOURCE
#include <sys/resource.h>
#include <sys/wait.h>

#include "hot.h"

/* In Rust. It only writes to memory that is there already, and leaves errno alone. */
extern HIDDEN void memprofile_reaped(pid_t pid, int status, int64_t largest_kib);

HIDDEN pid_t memprofile_waitpid(pid_t pid, int *status, int options) {
    if (__atomic_load_n(&memprofile_hot.recording, __ATOMIC_RELAXED) == 0)
        return waitpid(pid, status, options);
    struct rusage usage;
    int how = 0;
    pid_t reaped = wait4(pid, &how, options, &usage);
    if (reaped > 0) {
        if (status != NULL) *status = how;
        if (WIFEXITED(how) || WIFSIGNALED(how)) memprofile_reaped(reaped, how, usage.ru_maxrss);
    }
    return reaped;
}
