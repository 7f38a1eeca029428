"""Runs jupyter_kernel_test against a kernel, every capability declared: capabilities.py KERNEL.

Prints what came of each test and subtest, as JSON.
"""

import json
import sys
import unittest

import jupyter_kernel_test


class EveryCapability(jupyter_kernel_test.KernelTests):
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples = (
        {"text": "prin", "matches": {"print"}},
        {"text": "from os import pa", "matches": {"pardir", "path", "pathconf", "pathconf_names"}},
    )
    complete_code_samples = ("1", "print('hello, world')", "def f(x):\n  return x*2\n\n\n")
    incomplete_code_samples = ("print('''hello", "def f(x):\n  x*2")
    invalid_code_samples = ("import = 7q",)
    code_page_something = "zip?"
    code_generate_error = "raise"
    code_execute_result = (
        {"code": "1+2+3", "result": "6"},
        {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"},
    )
    code_display_data = (
        {
            "code": "from IPython.display import HTML, display; display(HTML('h'))",
            "mime": "text/html",
        },
        {
            "code": "from IPython.display import Math, display; display(Math('m'))",
            "mime": "text/latex",
        },
    )
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"


class Greeting(jupyter_kernel_test.IopubWelcomeTests):
    support_iopub_welcome = True


class Outcomes(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.seen = {}

    def addSuccess(self, test):  # noqa: N802
        self.seen.setdefault(test.id(), "ok")

    def addFailure(self, test, error):  # noqa: N802
        self.seen[test.id()] = f"failed: {error[0].__name__}"

    addError = addFailure  # noqa: N815

    def addSkip(self, test, reason):  # noqa: N802
        self.seen[test.id()] = f"skipped: {reason}"

    def addSubTest(self, test, subtest, error):  # noqa: N802
        self.seen[subtest.id()] = "ok" if error is None else f"failed: {error[0].__name__}"


if __name__ == "__main__":
    EveryCapability.kernel_name = Greeting.kernel_name = sys.argv[1]
    outcomes = Outcomes()
    loader = unittest.TestLoader()
    for suite in (EveryCapability, Greeting):
        loader.loadTestsFromTestCase(suite).run(outcomes)
    print(json.dumps(outcomes.seen))
