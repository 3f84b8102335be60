"""Text from outside on one line, escaped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl_cli.config.locate import dotted
from minidl_cli.data.tables import messages
from minidl_cli.escaping import escaped, shown

NASTY = ["a\x1b[0m", "b\u202e", "c\n", "d\t", "\ud800", "\x00"]


@given(st.text() | st.sampled_from(NASTY))
def test_escaped_text_has_no_control_characters_and_plain_text_stays(text):
    assert escaped(text).isprintable()
    assert escaped(text) == text or not text.isprintable()


def test_what_is_escaped_can_be_read():
    assert escaped("a\x1b[0m\tb\u202e\n[/x] Δ") == "a\\x1b[0m\\tb\\u202e\\n[/x] Δ"


@given(st.text(max_size=30), st.integers(1, 20))
def test_shown_text_is_escaped_and_cut(text, most):
    whole = escaped(text)
    assert shown(text, most) == (whole if len(whole) <= most else f"{whole[:most]}…")


@pytest.mark.parametrize("text", NASTY)
def test_messages_show_what_is_escaped(text):
    assert dotted((text, 0)) == f"{escaped(text)}.0"
    assert messages.shown(text) == f"'{escaped(text)}'"
    assert messages.shown("x" * 100, most=3) == "'xxx…'"
