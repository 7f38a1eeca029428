"""A pytest plugin that keeps how each test ended and says every tenth of the way how far it is.

PYTEST_DONT_REWRITE: it is imported before pytest could, and asserts nothing.
"""

failed: dict[str, str] = {}
"""What each failed test or module said, by its id."""

passed = 0
say = print
_left: list[int] = []
_done = 0


def pytest_collection_finish(session):
    count = len(session.items)
    _left[:] = [count * tenth // 10 for tenth in range(1, 11)]


def pytest_collectreport(report):
    if report.failed:
        failed[report.nodeid] = report.longreprtext


def pytest_runtest_logreport(report):
    global passed, _done
    if report.failed:
        failed[report.nodeid] = report.longreprtext
    passed += report.when == "call" and report.passed
    _done += report.when == "teardown"
    while _left and _done >= _left[0]:
        say(f"{110 - 10 * len(_left)}%, {len(failed)} failed")
        del _left[0]
