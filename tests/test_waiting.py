"""What a terminal shows while somebody waits, and that nothing is shown elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from hearthwatch.cli.waiting import Waiting


def screen(*, terminal: bool) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=terminal, width=100), file


@pytest.mark.parametrize("total", [1, 5])
def test_a_conversion_is_told_on_a_terminal(total: int) -> None:
    console, file = screen(terminal=True)
    with Waiting(console, total) as waiting:
        waiting.busy("person_reid", "converting osnet.pth, which happens once")
        waiting.busy("person_reid", "converting osnet.pth, which happens once: exporting")
        waiting.done("porch.jpg")
    assert "person_reid: converting osnet.pth, which happens once" in file.getvalue()


def test_one_picture_that_nothing_delays_shows_nothing() -> None:
    console, file = screen(terminal=True)
    with Waiting(console, 1) as waiting:
        waiting.done("porch.jpg")
    assert file.getvalue() == ""


@pytest.mark.parametrize("total", [1, 5])
def test_elsewhere_there_is_silence(total: int) -> None:
    console, file = screen(terminal=False)
    with Waiting(console, total) as waiting:
        waiting.busy("person_reid", "converting osnet.pth")
        waiting.done("porch.jpg")
    assert file.getvalue() == ""


def test_a_name_is_no_markup_and_no_command_to_the_terminal() -> None:
    console, file = screen(terminal=True)
    with Waiting(console, 1) as waiting:
        waiting.busy("person_reid", "converting [red]\x1b]0;x\x07.pth")
    assert "[red]" in file.getvalue()
    assert "\x1b]0;" not in file.getvalue()
