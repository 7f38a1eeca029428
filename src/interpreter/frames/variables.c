/* Variables of functions that run, and of generators and frames that are kept, by their names.
 *
 * With the GIL: the frames of all threads stand still. Nothing is called, changed or made, not even the
 * frame object that a running function may lack.
 */
#define Py_BUILD_CORE 1
#include <Python.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"
#include <internal/pycore_frame.h>
#if PY_VERSION_HEX >= 0x030E0000
#include <internal/pycore_stackref.h>
#endif
#if PY_VERSION_HEX >= 0x030D0000
#include <internal/pycore_genobject.h>
#endif

#define HIDDEN __attribute__((visibility("hidden")))

/* What stands in a place of a frame; NULL: nothing. From 3.14 on the lowest bits are flags. */
static PyObject *value_at(_PyInterpreterFrame *f, int at) {
#if PY_VERSION_HEX >= 0x030E0000
    return (PyObject *)(f->localsplus[at].bits & ~(uintptr_t)7);
#else
    return f->localsplus[at];
#endif
}

/* As Note in running.rs. */
typedef void (*note_variable)(PyObject *function, PyObject *file, PyObject *name, PyObject *value, int begins,
                              int own, void *arg);

/* Calls `note` with each variable of each function that runs in any thread; one of them `begins` a function. Those of a generator are left out:
 * the generator is an object, which has them. */
HIDDEN void memprofile_each_running_variable(note_variable note, void *arg) {
    PyThreadState *own = PyThreadState_Get();
    PyThreadState *ts = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
    for (; ts != NULL; ts = PyThreadState_Next(ts)) {
        for (_PyInterpreterFrame *f = head(ts); f != NULL; f = f->previous) {
            if (!is_python(f) || f->owner != FRAME_OWNED_BY_THREAD) continue;
            PyCodeObject *code = code_of(f);
            int begins = 1;
            for (int at = 0; at < code->co_nlocalsplus; at++) {
                PyObject *value = value_at(f, at);
                PyObject *name = PyTuple_GET_ITEM(code->co_localsplusnames, at);
                if (value == NULL) continue;
                note(code->co_qualname, code->co_filename, name, value, begins, ts == own, arg);
                begins = 0;
            }
        }
    }
}

/* Whether the function that runs holds its first argument without a reference of its own, as from 3.14 on it may
 * while its caller's variable has one (LOAD_FAST_BORROW). */
HIDDEN int memprofile_argument_is_lent(void) {
#if PY_VERSION_HEX >= 0x030E0000
    for (_PyInterpreterFrame *f = head(PyThreadState_Get()); f != NULL; f = f->previous)
        if (is_python(f)) return (f->localsplus[0].bits & Py_TAG_REFCNT) != 0;
#endif
    return 0;
}

static int is_generator(PyObject *op) {
    return PyGen_CheckExact(op) || PyCoro_CheckExact(op) || PyAsyncGen_CheckExact(op);
}

/* The frame of a frame object, generator or coroutine; NULL of anything else, and of one that has ended. */
static _PyInterpreterFrame *frame_of(PyObject *op) {
    if (PyFrame_Check(op)) return ((PyFrameObject *)op)->f_frame;
    if (!is_generator(op)) return NULL;
    PyGenObject *generator = (PyGenObject *)op;
    if (generator->gi_frame_state >= FRAME_CLEARED) return NULL;
    return (_PyInterpreterFrame *)(void *)&generator->gi_iframe;
}

/* The name, borrowed, of the variable of a frame or generator that is `child`; NULL: of none. */
HIDDEN PyObject *memprofile_variable(PyObject *op, PyObject *child) {
    _PyInterpreterFrame *f = frame_of(op);
    PyCodeObject *code = f != NULL ? code_of(f) : NULL;
    if (code == NULL || !PyCode_Check((PyObject *)code)) return NULL;
    for (int at = 0; at < code->co_nlocalsplus; at++)
        if (value_at(f, at) == child) return PyTuple_GET_ITEM(code->co_localsplusnames, at);
    return NULL;
}

/* The name, borrowed, of what a frame or generator runs; NULL of anything else. */
HIDDEN PyObject *memprofile_running_name(PyObject *op) {
    if (is_generator(op)) return ((PyGenObject *)op)->gi_qualname;
    _PyInterpreterFrame *f = frame_of(op);
    PyCodeObject *code = f != NULL ? code_of(f) : NULL;
    return code != NULL && PyCode_Check((PyObject *)code) ? code->co_qualname : NULL;
}
