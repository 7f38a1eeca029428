/* The Python stack of the calling thread, read from the interpreter's own frames.
 *
 * It is called inside of malloc, with or without the GIL. What makes it sound:
 * - The frames of a thread are changed by that thread alone, and it is here, inside a call
 *   that it made; so the chain stands still, GIL or not.
 * - A code object on that chain is alive, since its frame owns a reference, and the fields read
 *   here (names, line table) are set when it is made and never change.
 * - No reference count is touched, nothing is allocated, nothing of the public API is called that
 *   could do either: PyGILState_GetThisThreadState reads a thread-specific value.
 */
#define Py_BUILD_CORE 1
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "layout.h"

#define HIDDEN __attribute__((visibility("hidden")))

/* As RawFrame in frames/mod.rs. The last five fields tell one code object from a later one that
 * was given the same address. */
struct memprofile_frame {
    const PyCodeObject *code;
    const void *qualname;
    const void *filename;
    uint64_t lines; /* digest of the line table */
    int32_t first_line;
    int32_t offset; /* of the running instruction, in bytes; below 0: not begun */
};

/* The length of a line table, its first 32 bytes and its last 8. IPython compiles each statement of a
 * cell by itself, and the next but one is given the places of all that the first one was made of:
 * by addresses alone they are the same. What they differ in is the line, which comes first. */
static uint64_t digest(PyObject *table) {
    /* Odd numbers without a pattern. No product waits for another: this is done for each frame of a stack. */
    static const uint64_t odd[] = {0x9e3779b97f4a7c15u, 0xbf58476d1ce4e5b9u, 0x94d049bb133111ebu,
                                   0xd6e8feb86659fd93u, 0xff51afd7ed558ccdu};
    const char *data = PyBytes_AS_STRING(table);
    size_t length = (size_t)PyBytes_GET_SIZE(table);
    uint64_t words[5] = {0};
    for (size_t at = 0; at < 4 && 8 * at + 8 <= length; at++) memcpy(&words[at], data + 8 * at, 8);
    if (length >= 8) memcpy(&words[4], data + length - 8, 8);
    else memcpy(&words[4], data, length);
    uint64_t sum = length;
    for (size_t at = 0; at < 5; at++) sum += (words[at] ^ words[at] >> 32) * odd[at];
    return sum;
}

/* The running frame of this thread, to be given as `stop` later; NULL without one. */
HIDDEN const void *memprofile_current_frame(void) {
    PyThreadState *ts = own_thread_state();
    _PyInterpreterFrame *f = ts != NULL ? head(ts) : NULL;
    while (f != NULL && !is_python(f)) f = f->previous;
    return f;
}

/* Where on this thread's C stack the innermost evaluation loop is; NULL without one. */
HIDDEN const void *memprofile_loop(void) {
    PyThreadState *ts = own_thread_state();
    return ts != NULL ? loop_of(ts) : NULL;
}

HIDDEN int memprofile_holds_gil(void) {
    PyThreadState *ts = own_thread_state();
    return ts != NULL && ts == holder();
}

/* Writes the frames, innermost first, up to and without the frame `stop`.
 *
 * Returns how many there are; where that is more than `room`, the first room - tail and the last
 * `tail` are written. Returns -1 where the thread runs no Python. */
HIDDEN ptrdiff_t memprofile_walk(struct memprofile_frame *out, size_t room, size_t tail,
                                 const void *stop) {
    PyThreadState *ts = own_thread_state();
    if (ts == NULL) return -1;
    size_t count = 0;
    for (_PyInterpreterFrame *f = head(ts); f != NULL && (const void *)f != stop; f = f->previous) {
        if (is_python(f)) {
            PyCodeObject *code = code_of(f);
            size_t at = count < room ? count : room - tail + (count - room) % tail;
            out[at].code = code;
            out[at].qualname = code->co_qualname;
            out[at].filename = code->co_filename;
            out[at].lines = digest(code->co_linetable);
            out[at].first_line = code->co_firstlineno;
            out[at].offset = (int32_t)((const char *)instruction(f) - (const char *)code->co_code_adaptive);
            count++;
        }
    }
    return (ptrdiff_t)count;
}

/* A str's characters: its kind (1, 2 or 4 bytes each), where they are and how many. */
struct memprofile_text {
    const void *data;
    size_t length;
    uint32_t kind;
};

static struct memprofile_text text_of(PyObject *string) {
    struct memprofile_text text = {0, 0, 1};
    if (string != NULL && PyUnicode_Check(string)) {
        text.data = PyUnicode_DATA(string);
        text.length = (size_t)PyUnicode_GET_LENGTH(string);
        text.kind = (uint32_t)PyUnicode_KIND(string);
    }
    return text;
}

/* What a frame on this thread's stack is called; borrowed from its code object. */
HIDDEN void memprofile_describe(const struct memprofile_frame *frame, struct memprofile_text *function,
                                struct memprofile_text *file, struct memprofile_text *lines) {
    *function = text_of(frame->code->co_qualname);
    *file = text_of(frame->code->co_filename);
    lines->data = PyBytes_AS_STRING(frame->code->co_linetable);
    lines->length = (size_t)PyBytes_GET_SIZE(frame->code->co_linetable);
    lines->kind = 1;
}
