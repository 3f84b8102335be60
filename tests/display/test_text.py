"""Text and numbers for the terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl_cli.display.text import duration, number, printable, readable


@given(st.text())
def test_printable_text_has_no_control_characters(text):
    shown = printable(text)
    assert all(sign.isprintable() or sign == "\n" for sign in shown)
    assert shown == text or not text.isprintable()


def test_printable_shows_what_it_escapes():
    assert printable("a\x1b[0m\tb\u202e\n[/x] Δ") == "a\\x1b[0m\\tb\\u202e\n[/x] Δ"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *[(None, "-"), (0.0, "0.0000"), (0.97654, "0.9765"), (-1.5, "-1.5000"), (0.00012345, "1.23e-04")],
        *[(99.5, "99.5000"), (123.456, "123.46"), (-4567.89, "-4,567.9"), (45678.9, "45,679"), (3e7, "3.00e+07")],
    ],
)
def test_number(value, shown):
    assert number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (59.6, "1:00 min"), (185, "3:05 min"), (7801, "2:10 h")],
)
def test_duration(seconds, shown):
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (123_456_789, "123 MB"), (8e12, "8.0 TB")]
)
def test_readable(size, shown):
    assert readable(size) == shown
