/* The frames of the CPython that is built for; Python.h comes before it. */
#if PY_VERSION_HEX < 0x030B0000 || PY_VERSION_HEX >= 0x03100000
#error "memprofile knows the frames of CPython 3.11 to 3.15" /* build.rs says it before */
#elif defined(Py_GIL_DISABLED)
#error "memprofile does not measure free-threaded builds"
#elif PY_VERSION_HEX < 0x030C0000
#include "layout_3_11.h"
#elif PY_VERSION_HEX < 0x030D0000
#include "layout_3_12.h"
#elif PY_VERSION_HEX < 0x030E0000
#include "layout_3_13.h"
#else
#include "layout_3_14.h"
#endif
