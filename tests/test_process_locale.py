"""The process's locale outlives engines that change it for a moment and put back what they found."""

from __future__ import annotations

import locale
import threading
from collections.abc import Iterator

import pytest

from hearthwatch.runtimes.process_locale import kept_locale


@pytest.fixture(autouse=True)
def utf_8() -> Iterator[None]:
    before = locale.setlocale(locale.LC_ALL)
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        pytest.skip("this system has no locale C.UTF-8")
    yield
    locale.setlocale(locale.LC_ALL, before)


def engine(first: threading.Event, then: threading.Event) -> None:
    """What OpenVINO does around reading a network, in the order that the events give."""
    with kept_locale():
        found = locale.setlocale(locale.LC_ALL)
        locale.setlocale(locale.LC_ALL, "C")
        first.set()
        then.wait(10)
        locale.setlocale(locale.LC_ALL, found)


def test_one_that_leaves_another_locale_behind_changes_nothing() -> None:
    before = locale.setlocale(locale.LC_ALL)
    with kept_locale():
        locale.setlocale(locale.LC_ALL, "C")
    assert locale.setlocale(locale.LC_ALL) == before


def test_two_at_the_same_time_change_nothing() -> None:
    """The second finds the locale that the first has set, and is the last to put back what it found."""
    before = locale.setlocale(locale.LC_ALL)
    began, second_began, go = threading.Event(), threading.Event(), threading.Event()
    one = threading.Thread(target=engine, args=(began, second_began))
    one.start()
    assert began.wait(10)
    two = threading.Thread(target=engine, args=(second_began, go))
    two.start()
    one.join(10)
    go.set()
    two.join(10)
    assert not one.is_alive()
    assert not two.is_alive()
    assert locale.setlocale(locale.LC_ALL) == before
    assert locale.getpreferredencoding(False) == "UTF-8"


def failing() -> None:
    with kept_locale():
        locale.setlocale(locale.LC_ALL, "C")
        raise RuntimeError("no network")


def test_what_fails_inside_gives_the_locale_back() -> None:
    before = locale.setlocale(locale.LC_ALL)
    with pytest.raises(RuntimeError, match="no network"):
        failing()
    assert locale.setlocale(locale.LC_ALL) == before
