/* Where another thread of this process is in its Python code, read while it runs.
 *
 * Nothing makes that thread stand still: its frames may change while they are read, and their memory may be
 * gone. So no pointer of its own is followed here. Each piece is copied by the kernel, which says so where
 * there is no memory (process_vm_readv of this very process), and a copy is believed only if it is what a
 * frame refers to: an object of the type code, an instruction inside of it, and the same code still when all
 * of it was read. What native code keeps from going on stands still, and is found as it is; of a thread that
 * runs, a place is found where it was a moment ago.
 */
#define Py_BUILD_CORE 1
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __linux__
#include <sys/uio.h>
#include <unistd.h>
#endif

#include "layout.h"

#define HIDDEN __attribute__((visibility("hidden")))

/* As RawText in frames/mod.rs. */
struct memprofile_text {
    const void *data;
    size_t length;
    uint32_t kind;
};

/* As Peeked in frames/elsewhere.rs. */
struct memprofile_peeked {
    const void *next; /* the frame around it */
    const void *code;
    const void *instruction;
    int32_t first_line;
    int32_t offset; /* of the running instruction, in bytes */
    struct memprofile_text file, function, lines; /* each in its room below */
    char file_room[1024];
    char function_room[1024];
    char lines_room[16384];
};

static int copy(int pid, void *to, const void *from, size_t size) {
#ifdef __linux__
    struct iovec here = {to, size}, there = {(void *)from, size};
    return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)size;
#else
    (void)pid, (void)to, (void)from, (void)size;
    return 0;
#endif
}

static int copy_frame(int pid, _PyInterpreterFrame *to, const void *frame) {
    return copy(pid, to, frame, offsetof(_PyInterpreterFrame, localsplus));
}

static int copy_code(int pid, PyCodeObject *to, const void *code) {
    return copy(pid, to, code, offsetof(PyCodeObject, co_code_adaptive)) && Py_TYPE(to) == &PyCode_Type;
}

/* The characters of the str at `string`, where they have room. */
static int copy_text(int pid, struct memprofile_text *text, const void *string, char *room, size_t size) {
    PyASCIIObject head;
    if (!copy(pid, &head, string, sizeof head)) return 0;
    if (Py_TYPE(&head) != &PyUnicode_Type || !head.state.compact) return 0;
    size_t width = head.state.kind, length = (size_t)head.length;
    size_t start = head.state.ascii ? sizeof(PyASCIIObject) : sizeof(PyCompactUnicodeObject);
    if (length > size / (width ? width : 1)) return 0;
    text->data = room;
    text->length = length;
    text->kind = (uint32_t)width;
    return copy(pid, room, (const char *)string + start, length * width);
}

/* The thread state of the calling thread: a number by which it is known. */
HIDDEN const void *memprofile_own_thread_state(void) { return own_thread_state(); }

/* The running frame of the thread with the state at `at`, of this process, `pid`; NULL without one. */
HIDDEN const void *memprofile_peek_head(int pid, const void *at) {
    PyThreadState ts;
    const void *frame;
    if (!copy(pid, &ts, at, sizeof ts) || !copy(pid, &frame, head_slot(at, &ts), sizeof frame)) return NULL;
    return frame;
}

/* Which code a frame runs, and the frame around it. Returns whether it could be read. */
HIDDEN int memprofile_peek(int pid, const void *at, struct memprofile_peeked *out) {
    _PyInterpreterFrame frame;
    if (!copy_frame(pid, &frame, at)) return 0;
    out->next = frame.previous;
    out->code = code_of(&frame);
    out->instruction = instruction(&frame);
    return 1;
}

/* The file of that code. Returns whether it is code of Python's, and runs. */
HIDDEN int memprofile_peek_file(int pid, struct memprofile_peeked *out) {
    PyCodeObject code;
    if (!copy_code(pid, &code, out->code)) return 0;
    out->first_line = code.co_firstlineno;
    out->offset = (int32_t)((const char *)out->instruction - (const char *)out->code -
                            (ptrdiff_t)offsetof(PyCodeObject, co_code_adaptive));
    if (out->offset < 0 || out->offset >= Py_SIZE(&code) * (Py_ssize_t)sizeof(_Py_CODEUNIT)) return 0;
    return copy_text(pid, &out->file, code.co_filename, out->file_room, sizeof out->file_room);
}

/* Its name and its lines. Returns whether the frame at `at` runs it still. */
HIDDEN int memprofile_peek_code(int pid, const void *at, struct memprofile_peeked *out) {
    _PyInterpreterFrame frame;
    PyCodeObject code;
    PyBytesObject table;
    const size_t start = offsetof(PyBytesObject, ob_sval);
    if (!copy_code(pid, &code, out->code) || !copy(pid, &table, code.co_linetable, start)) return 0;
    size_t length = (size_t)Py_SIZE(&table);
    if (Py_TYPE(&table) != &PyBytes_Type || length > sizeof out->lines_room) return 0;
    out->lines.data = out->lines_room;
    out->lines.length = length;
    out->lines.kind = 1;
    return copy(pid, out->lines_room, (const char *)code.co_linetable + start, length) &&
           copy_text(pid, &out->function, code.co_qualname, out->function_room, sizeof out->function_room) &&
           copy_frame(pid, &frame, at) && code_of(&frame) == out->code;
}
