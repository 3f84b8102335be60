"""Writing a config with comments: only what counts reads back, whatever the comments say."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl_cli.config.commented import Entries, Entry, suggested, write
from minidl_cli.config.yaml_tree import read_tree

NASTY = ["no", "1", "on", "~", " a", "a ", "", "a: b", "#a", "a #b", "-", "'", '"', "\\", "\n", "a\nb: 1", "\x85"]
NASTY += ["\u2028", "ä", "😀", "[a]", "{a: 1}", "&a", "*a", "!a", "%a", "@", "`", "|", ">", "?", "\ufeff"]
NASTY += ["a" * 200, "word " * 50]


def read(text: str) -> Any:
    return read_tree(text.encode(), "c.yaml").plain()


def test_how_it_looks():
    features = [Entry(None, "width", "1 to 2"), suggested(Entry(None, "id", "left out: counts the rows"))]
    layers = [Entry(None, {"linear": 3}, "three classes"), Entry(None, "relu")]
    data = Entry("data", Entries([Entry("file", "a.csv"), Entry("features", Entries(features), "of two")]))

    text = write(["What it is.", "", "minidl train"], [[Entry("name", "a"), data], [Entry("model", Entries(layers))]])

    assert text == (
        "# What it is.\n"
        "#\n"
        "# minidl train\n"
        "\n"
        "name: a\n"
        "data:\n"
        "  file: a.csv\n"
        "  features:   # of two\n"
        "    - width   # 1 to 2\n"
        "    # - id    # left out: counts the rows\n"
        "\n"
        "model:\n"
        "  - linear: 3   # three classes\n"
        "  - relu\n"
    )


def test_long_remark_stands_above():
    text = write(["x"], [[Entry("a", 1, "word " * 30), Entry("b", 2)]])

    *remark, first, second = text.splitlines()[2:]
    assert (first, second) == ("a: 1", "b: 2")
    assert len(remark) == 2
    assert all(line.startswith("# word") and len(line) <= 110 for line in remark)


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_any_text_is_a_value_or_a_remark(text: str):
    entries = [Entry("a", text, text), Entry("b", Entries([Entry(None, text, text), Entry(None, [text])]), text)]

    assert read(write([text], [entries, [Entry("c", {"key": text}, text)]])) == {
        "a": text,
        "b": [text, [text]],
        "c": {"key": text},
    }


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(NASTY)
scalars = st.none() | st.booleans() | st.integers(-999, 999) | st.floats(-1e9, 1e9) | texts
values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(texts, scalars, max_size=3)
# Of the same type each time, so that a mapping's keys or a list's items can be drawn below.
plain_items = st.builds(Entry, st.none(), values, texts, st.booleans())
items = st.lists(plain_items, max_size=4).map(Entries)
leaves = st.builds(Entry, texts, values, texts, st.booleans()) | st.builds(Entry, texts, items, texts)
mappings = st.lists(leaves, max_size=4, unique_by=lambda entry: entry.key).map(Entries)
entries = leaves | st.builds(Entry, texts, mappings, texts)


def meant(value: Any) -> Any:
    """Returns what an entry's value should read back as; an empty block reads as nothing."""
    if not isinstance(value, Entries):
        return value
    active = [entry for entry in value if entry.is_active]
    if not active:
        return None
    if active[0].key is None:
        return [meant(entry.value) for entry in active]
    return {entry.key: meant(entry.value) for entry in active}


@given(introduction=st.lists(texts, max_size=3), drawn=st.lists(entries, max_size=5, unique_by=lambda entry: entry.key))
def test_what_counts_reads_back(introduction: list[str], drawn: list[Entry]):
    always = Entry("always there", 1)
    drawn = [entry for entry in drawn if entry.key != always.key]
    text = write(introduction, [[always], drawn])

    assert read(text) == meant(Entries([always, *drawn]))


@given(value=scalars, remark=texts)
def test_suggestion_counts_once_its_mark_is_gone(value: Any, remark: str):
    text = write(["x"], [[Entry("a", 1), suggested(Entry("b", value, remark))]])
    (line,) = [line for line in text.splitlines() if line.startswith("# b: ")]

    assert read(text) == {"a": 1}
    assert read(text.replace(line, line.removeprefix("# "))) == {"a": 1, "b": value}
