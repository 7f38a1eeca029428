/* The references of an object that its tp_traverse leaves out, and its reference count.
 *
 * With the GIL, and without calling anything but the visitor. Each reference that is visited here is a
 * strong one and is visited once: what of a reference count is left over comes from outside.
 */
#define Py_BUILD_CORE 1
#include <Python.h>
#include <internal/pycore_dict.h>
#include <internal/pycore_gc.h>
#include <internal/pycore_interp.h>
#include <internal/pycore_object.h>
#include <stddef.h>
#include <stdint.h>
#if PY_VERSION_HEX < 0x030C0000
#include <structmember.h>
#endif

#define HIDDEN __attribute__((visibility("hidden")))

/* The reference count, or -1 of an object that lives for ever (PEP 683). */
HIDDEN Py_ssize_t memprofile_references(PyObject *op) {
#if PY_VERSION_HEX >= 0x030C0000
    if (_Py_IsImmortal(op)) return -1;
#endif
    return Py_REFCNT(op);
}

/* Types and reference counts of `count` objects; UINT32_MAX: it lives for ever, or as many refer to it. */
HIDDEN void memprofile_headers(PyObject *const *objects, size_t count, PyTypeObject **types, uint32_t *references) {
    const size_t ahead = 12;
    for (size_t i = 0; i < count; i++) {
        if (i + ahead < count) __builtin_prefetch(objects[i + ahead]);
        Py_ssize_t held = memprofile_references(objects[i]);
        references[i] = held < 0 || held > UINT32_MAX ? UINT32_MAX : (uint32_t)held;
        types[i] = Py_TYPE(objects[i]);
    }
}

/* The keys and values of an exact dict, each as often as the collector's visitor and visit_keys would see
 * it. Returns how many there may be, and writes nothing where that is more than `room`. Holes are NULL.
 * SIZE_MAX: the values lie in an instance (VALUES_OF_AN_INSTANCE in referents.rs). */
HIDDEN size_t memprofile_dict_referents(PyObject *op, PyObject **out, size_t room) {
    PyDictObject *dict = (PyDictObject *)op;
    PyDictKeysObject *keys = dict->ma_keys;
    size_t entries = (size_t)keys->dk_nentries;
    if (dict->ma_values != NULL) {
#if PY_VERSION_HEX >= 0x030D0000
        if (dict->ma_values->embedded) return SIZE_MAX;
#endif
        if (entries <= room)
            for (size_t i = 0; i < entries; i++) out[i] = dict->ma_values->values[i];
        return entries;
    }
    if (2 * entries > room) return 2 * entries;
    if (DK_IS_UNICODE(keys)) {
        const PyDictUnicodeEntry *entry = DK_UNICODE_ENTRIES(keys);
        for (size_t i = 0; i < entries; i++, entry++, out += 2) {
            out[0] = entry->me_key;
            out[1] = entry->me_value;
        }
    } else {
        const PyDictKeyEntry *entry = DK_ENTRIES(keys);
        for (size_t i = 0; i < entries; i++, entry++, out += 2) {
            out[0] = entry->me_value != NULL ? entry->me_key : NULL;
            out[1] = entry->me_value;
        }
    }
    return 2 * entries;
}

/* Calls `note` with every object that the collector knows, until it returns 0. */
HIDDEN void memprofile_each_collected(int (*note)(PyObject *, void *), void *arg) {
#if PY_VERSION_HEX >= 0x030C0000
    PyUnstable_GC_VisitObjects(note, arg);
#else
    struct _gc_runtime_state *state = &PyInterpreterState_Get()->gc;
    for (int i = 0; i < NUM_GENERATIONS; i++) {
        PyGC_Head *head = &state->generations[i].head;
        for (PyGC_Head *at = _PyGCHead_NEXT(head); at != head; at = _PyGCHead_NEXT(at))
            if (!note((PyObject *)(at + 1), arg)) return;
    }
#endif
}

/* Whether it is a str that all users of these characters share. */
HIDDEN int memprofile_is_interned(PyObject *op) {
    return PyUnicode_CheckExact(op) && PyUnicode_CHECK_INTERNED(op) != 0;
}

/* Keys that are all strs: the collector has no use for them (dict_traverse, dictobject.c). */
static void visit_keys(PyDictKeysObject *keys, visitproc visit, void *arg) {
    if (!DK_IS_UNICODE(keys)) return;
    PyDictUnicodeEntry *entries = DK_UNICODE_ENTRIES(keys);
    for (Py_ssize_t i = 0; i < keys->dk_nentries; i++)
        if (entries[i].me_key != NULL) visit(entries[i].me_key, arg);
}

/* A code object is none of the collector's, and refers to strs, bytes and tuples that are. */
static void visit_code(PyCodeObject *code, visitproc visit, void *arg) {
    PyObject *parts[] = {code->co_consts, code->co_names, code->co_exceptiontable, code->co_localsplusnames,
                         code->co_localspluskinds, code->co_filename, code->co_name, code->co_qualname,
                         code->co_linetable};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (parts[i] != NULL) visit(parts[i], arg);
}

HIDDEN void memprofile_more_referents(PyObject *op, visitproc visit, void *arg) {
    if (PyDict_Check(op)) {
        PyDictObject *dict = (PyDictObject *)op;
        if (dict->ma_values == NULL) visit_keys(dict->ma_keys, visit, arg);
    } else if (PyType_Check(op)) {
        PyTypeObject *type = (PyTypeObject *)op;
        if (type->tp_flags & Py_TPFLAGS_HEAPTYPE) {
            PyHeapTypeObject *heap = (PyHeapTypeObject *)type;
            if (heap->ht_cached_keys != NULL) visit_keys(heap->ht_cached_keys, visit, arg);
            if (heap->ht_name != NULL) visit(heap->ht_name, arg);
            if (heap->ht_qualname != NULL) visit(heap->ht_qualname, arg);
        }
    } else if (PyCode_Check(op)) {
        visit_code((PyCodeObject *)op, visit, arg);
    }
}

/* As Look in labels.rs: stops when it returns 0. */
typedef int (*look_at)(PyObject *name, PyObject *value, void *arg);

static void each_value(PyDictKeysObject *keys, const PyDictValues *values, look_at look, void *arg) {
    if (keys == NULL || values == NULL || !DK_IS_UNICODE(keys)) return;
    PyDictUnicodeEntry *entries = DK_UNICODE_ENTRIES(keys);
    for (Py_ssize_t i = 0; i < keys->dk_nentries; i++)
        if (entries[i].me_key != NULL && values->values[i] != NULL &&
            !look(entries[i].me_key, values->values[i], arg))
            return;
}

/* The attributes that an instance holds itself; returns its dict, borrowed, where it has one. */
HIDDEN PyObject *memprofile_attributes(PyObject *op, look_at look, void *arg) {
    PyTypeObject *type = Py_TYPE(op);
    if (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) {
        PyDictKeysObject *keys = ((PyHeapTypeObject *)type)->ht_cached_keys;
#if PY_VERSION_HEX < 0x030C0000
        each_value(keys, *_PyObject_ValuesPointer(op), look, arg);
        return *_PyObject_ManagedDictPointer(op);
#elif PY_VERSION_HEX < 0x030D0000
        PyDictOrValues held = *_PyObject_DictOrValuesPointer(op);
        if (!_PyDictOrValues_IsValues(held)) return _PyDictOrValues_GetDict(held);
        each_value(keys, _PyDictOrValues_GetValues(held), look, arg);
        return NULL;
#else
        if ((type->tp_flags & Py_TPFLAGS_INLINE_VALUES) && _PyObject_InlineValues(op)->valid)
            each_value(keys, _PyObject_InlineValues(op), look, arg);
        return (PyObject *)_PyObject_GetManagedDict(op);
#endif
    }
    Py_ssize_t offset = type->tp_dictoffset;
    return offset > 0 ? *(PyObject **)((char *)op + offset) : NULL;
}

/* The name, borrowed, of the field or slot of an object that holds `child`; NULL: of none. */
HIDDEN PyObject *memprofile_member(PyObject *op, PyObject *child) {
    PyObject *mro = Py_TYPE(op)->tp_mro;
    for (Py_ssize_t i = 0; mro != NULL && i < PyTuple_GET_SIZE(mro); i++) {
        PyTypeObject *type = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
#if PY_VERSION_HEX >= 0x030C0000
        PyObject *names = PyType_GetDict(type);
        Py_XDECREF(names); /* the type keeps it */
#else
        PyObject *names = type->tp_dict;
#endif
        PyObject *name, *value;
        Py_ssize_t at = 0;
        while (names != NULL && PyDict_Next(names, &at, &name, &value)) {
            if (!Py_IS_TYPE(value, &PyMemberDescr_Type)) continue;
            const PyMemberDef *member = ((PyMemberDescrObject *)value)->d_member;
            int is_object = member->type == 6 || member->type == 16; /* T_OBJECT, T_OBJECT_EX */
            if (is_object && *(PyObject **)((char *)op + member->offset) == child) return name;
        }
    }
    return NULL;
}

HIDDEN PyObject *memprofile_function_name(PyObject *function) {
    return ((PyFunctionObject *)function)->func_qualname;
}

/* The dict of an instance that still holds the values itself, borrowed or NULL: up to 3.13.0 at least the
 * collector is not told of it, since it refers to nothing by itself (PyObject_VisitManagedDict). */
HIDDEN PyObject *memprofile_dict_beside_values(PyObject *op) {
#if PY_VERSION_HEX >= 0x030D0000
    unsigned long wanted = Py_TPFLAGS_MANAGED_DICT | Py_TPFLAGS_INLINE_VALUES;
    if ((Py_TYPE(op)->tp_flags & wanted) == wanted && _PyObject_InlineValues(op)->valid)
        return (PyObject *)_PyObject_GetManagedDict(op);
#else
    (void)op;
#endif
    return NULL;
}
