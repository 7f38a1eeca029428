"""What `check` says of answers that learners really give."""

import doctest

import checks
import pytest
from checks import check


def said(capsys, *args, **options):
    check(*args, **options)
    return capsys.readouterr().out.rstrip("\n")


def test_the_examples_in_its_documentation():
    assert doctest.testmod(checks).failed == 0


def stub(numbers): ...


def documented_stub(numbers):
    """What the task is."""


class Stub: ...


@pytest.mark.parametrize("given", [..., None, stub, documented_stub, Stub])
def test_what_was_not_touched_is_open(capsys, given):
    assert said(capsys, given, measure=len, at_most=3) == "… not answered yet."


def constant():
    return 3


class Slim:
    __slots__ = ("x",)


@pytest.mark.parametrize("given", [0, "", [], False, lambda n: n, constant, Slim])
def test_what_was_answered_is_not_open(capsys, given):
    assert said(capsys, given, measure=lambda _: 1, at_most=3) == "✓ 1 bytes: right."


def test_both_bounds_are_right_answers(capsys):
    for answer in (28, 32):
        assert said(capsys, answer, at_least=28, at_most=32).startswith("✓")
    assert "too little: look for 28 bytes" in said(capsys, 27.5, at_least=28, at_most=32)
    assert "too much: look for 32 bytes" in said(capsys, 33, at_least=28, at_most=32)


@pytest.mark.parametrize("given", ["28", True, [28], "x" * 10_000])
def test_what_is_no_number_is_said_shortly(capsys, given):
    line = said(capsys, given, at_least=1, hint="Count.")
    assert line.startswith("✗")
    assert line.endswith("is no number. Count.")
    assert len(line) < 100


def test_an_answer_that_raises_is_a_sentence(capsys):
    line = said(capsys, lambda: 1 / 0, measure=lambda f: f(), at_most=3, hint="Hm.")
    assert line == "✗ it raises ZeroDivisionError: division by zero. Hm."


def test_equal_takes_any_value(capsys):
    assert said(capsys, [1, 2], equal=[1, 2]) == "✓ [1, 2]: right."
    assert said(capsys, "deep", equal="retained", hint="Who keeps it?") == (
        "✗ 'deep' is not it. Who keeps it?"
    )
    assert said(capsys, 5, equal=6, unit="objects") == "✗ 5 objects is not it."
