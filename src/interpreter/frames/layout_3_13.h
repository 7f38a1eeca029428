/* CPython 3.13: the thread state names the running frame; f_executable may be None. */
#include "internal/pycore_frame.h"

static inline _PyInterpreterFrame *head(PyThreadState *ts) { return ts->current_frame; }

/* Where the pointer to the running frame is, of the state at `at`, of which `ts` is a copy. */
static inline const void *head_slot(const void *at, const PyThreadState *ts) {
    (void)ts;
    return (const char *)at + offsetof(PyThreadState, current_frame);
}

static inline PyThreadState *own_thread_state(void) {
    PyThreadState *ts = PyThreadState_GetUnchecked();
    return ts != NULL ? ts : PyGILState_GetThisThreadState();
}

static inline PyCodeObject *code_of(_PyInterpreterFrame *f) {
    return (PyCodeObject *)f->f_executable;
}

static inline _Py_CODEUNIT *instruction(_PyInterpreterFrame *f) { return f->instr_ptr; }

static inline int is_python(_PyInterpreterFrame *f) {
    return (f->owner == FRAME_OWNED_BY_THREAD || f->owner == FRAME_OWNED_BY_GENERATOR) &&
           f->f_executable != NULL && PyCode_Check(f->f_executable);
}

/* An address on the C stack, in the frame of the innermost evaluation loop: its chain of frames ends with
 * one that lies there. NULL without one. */
static inline const void *loop_of(PyThreadState *ts) {
    _PyInterpreterFrame *f = ts->current_frame;
    while (f != NULL && f->owner != FRAME_OWNED_BY_CSTACK) f = f->previous;
    return f;
}

/* The state that holds the GIL, where that may be this thread's own. */
static inline PyThreadState *holder(void) { return PyThreadState_GetUnchecked(); }
