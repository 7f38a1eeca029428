/* CPython 3.12: as 3.11, with frames of the C stack in between. */
#include "internal/pycore_frame.h"

static inline _PyInterpreterFrame *head(PyThreadState *ts) {
    return ts->cframe != NULL ? ts->cframe->current_frame : NULL;
}

/* Where the pointer to the running frame is, of the state at `at`, of which `ts` is a copy. */
static inline const void *head_slot(const void *at, const PyThreadState *ts) {
    (void)at;
    return (const char *)ts->cframe + offsetof(_PyCFrame, current_frame);
}

static inline PyThreadState *own_thread_state(void) {
    /* Thread-local, and NULL while this thread is without the GIL. */
    PyThreadState *ts = _PyThreadState_UncheckedGet();
    return ts != NULL ? ts : PyGILState_GetThisThreadState();
}

static inline PyCodeObject *code_of(_PyInterpreterFrame *f) { return f->f_code; }

static inline _Py_CODEUNIT *instruction(_PyInterpreterFrame *f) { return f->prev_instr; }

static inline int is_python(_PyInterpreterFrame *f) {
    return f->owner == FRAME_OWNED_BY_THREAD || f->owner == FRAME_OWNED_BY_GENERATOR;
}

/* An address on the C stack, in the frame of the innermost evaluation loop; NULL without one. */
static inline const void *loop_of(PyThreadState *ts) {
    return ts->cframe != &ts->root_cframe ? ts->cframe : NULL;
}

/* The state that holds the GIL, where that may be this thread's own. */
static inline PyThreadState *holder(void) { return _PyThreadState_UncheckedGet(); }
