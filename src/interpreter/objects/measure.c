/* Which blocks of memory an object consists of, as CPython's own structures tell it.
 *
 * It runs with the GIL, changes nothing and calls no code of the user's: where a type has a `__sizeof__`,
 * it is called only when it is a C function of CPython itself (libpython or lib-dynload). What the
 * blocks really take is asked of the allocator's own headers, in blocks.rs.
 */
#define Py_BUILD_CORE 1
#define _GNU_SOURCE 1
#include <Python.h>
#include <dlfcn.h>
#include <internal/pycore_dict.h>
#include <internal/pycore_gc.h>
#include <internal/pycore_object.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if PY_VERSION_HEX >= 0x030D0000
#include <internal/pycore_moduleobject.h>
#endif

#define HIDDEN __attribute__((visibility("hidden")))

/* As Kind in measure.rs: what is known of a type's instances, decided once for each type. */
enum kind {
    PLAIN, INT, STR, BYTEARRAY, LIST, DICT, SET, TYPE, MODULE, ARRAY, MMAP, CTYPES, DEQUE, NDARRAY, BY_SIZEOF
};

/* As RawBlock in measure.rs. */
struct memprofile_block {
    const void *address; /* where it starts; NULL: only its size is known */
    size_t request;      /* bytes that were asked for */
    size_t count;        /* blocks of this size */
    uint32_t mapped;     /* made by mmap, not by an allocator */
};
#define ROOM 6

struct memprofile_shape {
    size_t count;
    struct memprofile_block blocks[ROOM];
};

/* numpy is found by name, in sys.modules; its layouts are numpy's public ABI (ndarraytypes.h). */
struct memprofile_numpy {
    PyTypeObject *ndarray; /* borrowed; NULL without numpy */
    int major;
};

/* Modules/arraymodule.c, Modules/mmapmodule.c and Modules/_ctypes/ctypes.h have no public headers. The
 * fields up to the last one named here are the same from 3.11 to 3.15. */
struct array_object {
    PyObject_VAR_HEAD
    char *items;
    Py_ssize_t allocated;
    const struct { char typecode; int itemsize; } *descr;
};
struct mmap_object {
    PyObject_HEAD
    char *data;
    Py_ssize_t size;
};
struct cdata_object {
    PyObject_HEAD
    char *pointer;
    int needs_free;
    void *base;
    Py_ssize_t size;
};
struct ndarray_object {
    PyObject_HEAD
    char *data;
    int nd;
    Py_ssize_t *dimensions;
    Py_ssize_t *strides;
    PyObject *base;
    PyObject *descr;
    int flags;
};
struct descr_1 {
    PyObject_HEAD
    PyTypeObject *typeobj;
    char kind, type, byteorder, flags;
    int type_num;
    int elsize;
};
struct descr_2 {
    PyObject_HEAD
    PyTypeObject *typeobj;
    char kind, type, byteorder, former_flags;
    int type_num;
    uint64_t flags;
    Py_ssize_t elsize;
};
#define NDARRAY_OWNDATA 0x0004
#define NPY_OBJECT 17

static void add(struct memprofile_shape *shape, const void *address, size_t request) {
    if (request == 0 || shape->count == ROOM) return;
    struct memprofile_block block = {address, request, 1, 0};
    shape->blocks[shape->count++] = block;
}

/* Whether a C function is CPython's: in the image that holds `object`, or in lib-dynload. */
static int is_cpythons(const void *function) {
    Dl_info ours, its;
    if (!dladdr(&PyBaseObject_Type, &ours) || !dladdr(function, &its)) return 0;
    return ours.dli_fbase == its.dli_fbase ||
           (its.dli_fname != NULL && strstr(its.dli_fname, "/lib-dynload/") != NULL);
}

/* The C `__sizeof__` of the nearest base that has one of CPython's own, or NULL. */
static PyCFunction own_sizeof(PyTypeObject *type, PyObject *name) {
    for (; type != NULL && type != &PyBaseObject_Type; type = type->tp_base) {
        PyObject *found = _PyType_Lookup(type, name); /* borrowed */
        if (found == NULL || !Py_IS_TYPE(found, &PyMethodDescr_Type)) continue;
        PyMethodDescrObject *method = (PyMethodDescrObject *)found;
        if (method->d_common.d_type == &PyBaseObject_Type) return NULL;
        if ((method->d_method->ml_flags & ~METH_COEXIST) == METH_NOARGS &&
            PyType_IsSubtype(type, method->d_common.d_type) &&
            is_cpythons((const void *)method->d_method->ml_meth))
            return method->d_method->ml_meth;
    }
    return NULL;
}

/* What is known of the instances of a type. `sizeof_name` is the str "__sizeof__", interned. */
HIDDEN int memprofile_kind(PyTypeObject *type, const struct memprofile_numpy *numpy, PyObject *sizeof_name,
                           PyCFunction *by_sizeof) {
    *by_sizeof = NULL;
    if (type->tp_flags & Py_TPFLAGS_LONG_SUBCLASS) return INT;
    if (type->tp_flags & Py_TPFLAGS_UNICODE_SUBCLASS) return STR;
    if (type->tp_flags & Py_TPFLAGS_LIST_SUBCLASS) return LIST;
    if (type->tp_flags & Py_TPFLAGS_TYPE_SUBCLASS) return TYPE;
    if (type->tp_flags & (Py_TPFLAGS_TUPLE_SUBCLASS | Py_TPFLAGS_BYTES_SUBCLASS)) return PLAIN;
    *by_sizeof = own_sizeof(type, sizeof_name);
    if (type->tp_flags & Py_TPFLAGS_DICT_SUBCLASS) return DICT;
    if (PyType_IsSubtype(type, &PySet_Type) || PyType_IsSubtype(type, &PyFrozenSet_Type)) return SET;
    if (PyType_IsSubtype(type, &PyByteArray_Type)) return BYTEARRAY;
    if (PyType_IsSubtype(type, &PyModule_Type)) return MODULE;
    if (numpy->ndarray != NULL && PyType_IsSubtype(type, numpy->ndarray)) return NDARRAY;
    for (PyTypeObject *base = type; base != NULL; base = base->tp_base) {
        const void *made_by = (const void *)base->tp_dealloc;
        if (strcmp(base->tp_name, "array.array") == 0 && is_cpythons(made_by)) return ARRAY;
        if (strcmp(base->tp_name, "mmap.mmap") == 0 && is_cpythons(made_by)) return MMAP;
        if (strcmp(base->tp_name, "collections.deque") == 0 && *by_sizeof != NULL) return DEQUE;
        if (strcmp(base->tp_name, "_ctypes._CData") == 0 && is_cpythons(made_by)) return CTYPES;
    }
    return *by_sizeof != NULL ? BY_SIZEOF : PLAIN;
}

static size_t sizeof_says(PyObject *op, PyCFunction by_sizeof) {
    PyObject *answer = by_sizeof(op, NULL);
    Py_ssize_t size = answer != NULL && PyLong_CheckExact(answer) ? PyLong_AsSsize_t(answer) : -1;
    Py_XDECREF(answer);
    PyErr_Clear();
    return size > 0 ? (size_t)size : 0;
}

static size_t keys_size(const PyDictKeysObject *keys) {
    size_t usable = (((size_t)1 << keys->dk_log2_size) << 1) / 3; /* USABLE_FRACTION, dictobject.c */
    size_t entry = keys->dk_kind == DICT_KEYS_GENERAL ? sizeof(PyDictKeyEntry) : sizeof(PyDictUnicodeEntry);
    return offsetof(PyDictKeysObject, dk_indices) + ((size_t)1 << keys->dk_log2_index_bytes) + usable * entry;
}

/* The values of a split dict or of an instance without one, where they are a block of their own. */
static void add_values(struct memprofile_shape *shape, const PyDictValues *values, const PyDictKeysObject *keys) {
    if (values == NULL || keys == NULL) return;
#if PY_VERSION_HEX >= 0x030D0000
    (void)keys;
    if (values->embedded) return;
    size_t room = values->capacity;
    add(shape, values, ((room + 7) & ~(size_t)7) + (room + 1) * sizeof(PyObject *));
#else
    size_t prefix = ((const uint8_t *)values)[-1]; /* new_values, dictobject.c */
    size_t room = (size_t)(keys->dk_usable + keys->dk_nentries);
    add(shape, (const char *)values - prefix, prefix + room * sizeof(PyObject *));
#endif
}

static size_t digits_of(const PyLongObject *number) {
#if PY_VERSION_HEX >= 0x030C0000
    size_t digits = number->long_value.lv_tag >> 3;
#else
    size_t digits = (size_t)Py_ABS(Py_SIZE(number));
#endif
    return digits > 0 ? digits : 1;
}

/* The object's own struct, without what stands in front of it. */
static size_t struct_size(PyObject *op, PyTypeObject *type, int kind, PyCFunction by_sizeof) {
    size_t size = (size_t)type->tp_basicsize;
    if (kind == STR && PyUnicode_IS_COMPACT(op)) {
        size_t header = PyUnicode_IS_ASCII(op) ? sizeof(PyASCIIObject) : sizeof(PyCompactUnicodeObject);
        return header + (size_t)(PyUnicode_GET_LENGTH(op) + 1) * (size_t)PyUnicode_KIND(op);
    }
    if (kind == INT) return size + digits_of((PyLongObject *)op) * sizeof(digit);
    if (type->tp_itemsize > 0) {
        if (kind == BY_SIZEOF) {
            size_t all = sizeof_says(op, by_sizeof);
            return all > size ? all : size;
        }
        /* object.__sizeof__ reads ob_size of every type with items, so it is one. */
        Py_ssize_t items = Py_ABS(Py_SIZE(op));
        size += (size_t)items * (size_t)type->tp_itemsize;
        if (kind != TYPE) size = (size + 7) & ~(size_t)7;
        if (kind == PLAIN && (type->tp_flags & Py_TPFLAGS_BYTES_SUBCLASS))
            size = (size_t)type->tp_basicsize + (size_t)items;
    }
#if PY_VERSION_HEX >= 0x030D0000
    if (type->tp_flags & Py_TPFLAGS_INLINE_VALUES) {
        size_t room = _PyObject_InlineValues(op)->capacity;
        size += ((room + 7) & ~(size_t)7) + (room + 1) * sizeof(PyObject *);
    }
#endif
    return size;
}

static void add_str(struct memprofile_shape *shape, PyObject *op) {
    if (PyUnicode_IS_COMPACT(op) && PyUnicode_IS_ASCII(op)) return;
    const PyCompactUnicodeObject *compact = (const PyCompactUnicodeObject *)op;
    const void *data = PyUnicode_IS_COMPACT(op) ? (const void *)(compact + 1) : ((PyUnicodeObject *)op)->data.any;
    if (!PyUnicode_IS_COMPACT(op) && data != NULL)
        add(shape, data, (size_t)(PyUnicode_GET_LENGTH(op) + 1) * (size_t)PyUnicode_KIND(op));
    if (compact->utf8 != NULL && (const void *)compact->utf8 != data)
        add(shape, compact->utf8, (size_t)compact->utf8_length + 1);
}

static void add_type(struct memprofile_shape *shape, PyTypeObject *type) {
    if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE)) return;
    PyHeapTypeObject *heap = (PyHeapTypeObject *)type;
    if (heap->ht_cached_keys != NULL) add(shape, heap->ht_cached_keys, keys_size(heap->ht_cached_keys));
    if (type->tp_doc != NULL) add(shape, type->tp_doc, strlen(type->tp_doc) + 1);
    if (heap->_ht_tpname != NULL) add(shape, heap->_ht_tpname, strlen(heap->_ht_tpname) + 1);
}

static Py_ssize_t itemsize_of(const struct ndarray_object *array, const struct memprofile_numpy *numpy) {
    return numpy->major >= 2 ? ((struct descr_2 *)array->descr)->elsize : ((struct descr_1 *)array->descr)->elsize;
}

static size_t bytes_of(const struct ndarray_object *array, const struct memprofile_numpy *numpy) {
    size_t bytes = array->descr == NULL ? 0 : (size_t)itemsize_of(array, numpy);
    for (int i = 0; i < array->nd; i++) bytes *= (size_t)array->dimensions[i];
    return bytes;
}

static void add_ndarray(struct memprofile_shape *shape, PyObject *op, const struct memprofile_numpy *numpy) {
    const struct ndarray_object *array = (const struct ndarray_object *)op;
    if (array->nd > 0 && array->dimensions != NULL)
        add(shape, array->dimensions, 2 * (size_t)array->nd * sizeof(Py_ssize_t));
    if (array->data == NULL || array->descr == NULL || !(array->flags & NDARRAY_OWNDATA)) return;
    size_t bytes = bytes_of(array, numpy);
    /* An array of no bytes holds one element's room, or one byte. */
    if (bytes == 0) bytes = itemsize_of(array, numpy) > 0 ? (size_t)itemsize_of(array, numpy) : 1;
    add(shape, array->data, bytes);
}

/* What stands in front of the object in its block. */
static size_t before(PyObject *op, PyTypeObject *type) {
    if (PyType_Check(op) && !(((PyTypeObject *)op)->tp_flags & Py_TPFLAGS_HEAPTYPE)) return 0;
    return _PyType_PreHeaderSize(type);
}

/* What is asked for for each instance of a type, and in `front` how much of that stands in front of the object;
 * 0: instances differ, or have more than one block. */
HIDDEN size_t memprofile_one_block(PyTypeObject *type, int kind, size_t *front) {
    if (kind != PLAIN || type->tp_itemsize > 0) return 0;
#if PY_VERSION_HEX >= 0x030D0000
    if (type->tp_flags & Py_TPFLAGS_INLINE_VALUES) return 0;
#else
    if (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) return 0;
#endif
    *front = _PyType_PreHeaderSize(type);
    return *front + (size_t)type->tp_basicsize;
}

/* Writes the blocks of a live object: first its own, then those that only it refers to. */
HIDDEN void memprofile_measure(PyObject *op, int kind, PyCFunction by_sizeof, const struct memprofile_numpy *numpy,
                               struct memprofile_shape *shape) {
    PyTypeObject *type = Py_TYPE(op);
    size_t front = before(op, type);
    size_t own = struct_size(op, type, kind, by_sizeof);
    shape->count = 0;
    add(shape, (const char *)op - front, front + own);
#if PY_VERSION_HEX < 0x030D0000
    if (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) {
        const PyDictKeysObject *keys = ((PyHeapTypeObject *)type)->ht_cached_keys;
#if PY_VERSION_HEX < 0x030C0000
        add_values(shape, *_PyObject_ValuesPointer(op), keys);
#else
        PyDictOrValues held = *_PyObject_DictOrValuesPointer(op);
        if (_PyDictOrValues_IsValues(held)) add_values(shape, _PyDictOrValues_GetValues(held), keys);
#endif
    }
#endif
    size_t said;
    switch (kind) {
    case STR: add_str(shape, op); break;
    case LIST: {
        PyListObject *list = (PyListObject *)op;
        if (list->ob_item != NULL) add(shape, list->ob_item, (size_t)list->allocated * sizeof(PyObject *));
        break;
    }
    case DICT: {
        PyDictObject *dict = (PyDictObject *)op;
        if (dict->ma_values == NULL) {
            add(shape, dict->ma_keys, keys_size(dict->ma_keys));
        } else {
            add_values(shape, dict->ma_values, dict->ma_keys);
        }
        if (by_sizeof == NULL || PyDict_CheckExact(op)) break;
        said = sizeof_says(op, by_sizeof); /* an OrderedDict has nodes */
        size_t known = own + keys_size(dict->ma_keys);
        if (said > known) add(shape, NULL, said - known);
        break;
    }
    case SET: {
        PySetObject *set = (PySetObject *)op;
        if (set->table != set->smalltable) add(shape, set->table, (size_t)(set->mask + 1) * sizeof(setentry));
        break;
    }
    case BYTEARRAY: {
        PyByteArrayObject *bytes = (PyByteArrayObject *)op;
#if PY_VERSION_HEX < 0x030F0000
        if (bytes->ob_alloc > 0) add(shape, bytes->ob_bytes, (size_t)bytes->ob_alloc);
#else
        if (bytes->ob_alloc > 0) /* its own bytes object, which no other refers to */
            add(shape, bytes->ob_bytes_object, offsetof(PyBytesObject, ob_sval) + (size_t)bytes->ob_alloc + 1);
#endif
        break;
    }
    case TYPE: add_type(shape, (PyTypeObject *)op); break;
    case MODULE: {
        PyModuleDef *definition = PyModule_GetDef(op);
        if (definition == NULL) {
            PyErr_Clear();
        } else if (definition->m_size > 0 && PyModule_GetState(op) != NULL) {
            add(shape, PyModule_GetState(op), (size_t)definition->m_size);
        }
        break;
    }
    case ARRAY: {
        struct array_object *array = (struct array_object *)op;
        if (array->items != NULL) add(shape, array->items, (size_t)(array->allocated * array->descr->itemsize));
        break;
    }
    case MMAP: {
        struct mmap_object *map = (struct mmap_object *)op;
        if (map->data != NULL && map->size > 0) {
            add(shape, map->data, (size_t)map->size);
            shape->blocks[shape->count - 1].mapped = 1;
        }
        break;
    }
    case CTYPES: {
        struct cdata_object *data = (struct cdata_object *)op;
        int inside = data->pointer >= (char *)op && data->pointer < (char *)op + own;
        if (data->needs_free && !inside && data->size > 0) add(shape, data->pointer, (size_t)data->size);
        break;
    }
    case NDARRAY: add_ndarray(shape, op, numpy); break;
    case DEQUE: {
        /* Modules/_collectionsmodule.c: blocks of 64 items and two links. */
        size_t room = (64 + 2) * sizeof(PyObject *);
        said = sizeof_says(op, by_sizeof);
        if (said > own) {
            add(shape, NULL, room);
            shape->blocks[shape->count - 1].count = (said - own) / room;
        }
        break;
    }
    case BY_SIZEOF:
        if (type->tp_itemsize > 0) break;
        said = sizeof_says(op, by_sizeof);
        if (said > own) add(shape, NULL, said - own);
        break;
    default: break;
    }
}

/* The references of an array, which the collector knows nothing of: the owner of its data and its dtype into
 * `few`; the elements of one of objects that owns them are returned, `count` of them. */
HIDDEN PyObject *const *memprofile_array_referents(PyObject *op, const struct memprofile_numpy *numpy,
                                                   PyObject *few[2], size_t *count) {
    const struct ndarray_object *array = (const struct ndarray_object *)op;
    *count = 0;
    few[0] = array->base;
    few[1] = array->descr;
    if (array->descr == NULL) return NULL;
    int number = numpy->major >= 2 ? ((struct descr_2 *)array->descr)->type_num
                                   : ((struct descr_1 *)array->descr)->type_num;
    if (number != NPY_OBJECT || array->data == NULL || !(array->flags & NDARRAY_OWNDATA)) return NULL;
    /* Owned data is one piece without gaps, whatever the order of its axes. */
    *count = bytes_of(array, numpy) / sizeof(PyObject *);
    return (PyObject *const *)array->data;
}

/* What an array has its data of, borrowed, or NULL. */
HIDDEN PyObject *memprofile_array_base(PyObject *op) { return ((const struct ndarray_object *)op)->base; }
