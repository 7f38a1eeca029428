/* Who may ask the interpreter for a pending call: the main thread alone.
 *
 * Up to 3.12 Py_AddPendingCall computes the one flag that stops the evaluation loop anew, from what
 * the *calling* thread may handle: called by another thread than the main one it clears the flag, so that
 * the call is not noticed, and a signal that came just then is not either (Python/ceval_gil.c,
 * COMPUTE_EVAL_BREAKER).
 */
#define Py_BUILD_CORE 1
#include <Python.h>
#include <internal/pycore_runtime.h>

__attribute__((visibility("hidden"))) int memprofile_may_ask(void) {
    return PyThread_get_thread_ident() == _PyRuntime.main_thread;
}
