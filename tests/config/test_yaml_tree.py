"""The YAML reader: values by the core schema, places, and every kind of bad input as lines of its own."""

import math
import string
import subprocess
import sys
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minidl_cli.config.yaml_tree import MAX_BYTES, MAX_LEVELS, MAX_NODES, Node, read_tree, read_value
from minidl_cli.errors import InputError


def read(text: str) -> Any:
    return read_tree(text.encode(), "c.yaml").plain()


def problems(content: str | bytes) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_tree(content.encode() if isinstance(content, str) else content, "c.yaml")
    return caught.value.problems


def entry(node: Node, *path: Any) -> Node:
    for step in path:
        node = node.value[step]
    return node


# Values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(text, None) for text in ("", "~", "null", "Null", "NULL")],
        *[(text, True) for text in ("true", "True", "TRUE")],
        *[(text, False) for text in ("false", "False", "FALSE")],
        ("0", 0),
        ("-7", -7),
        ("+12", 12),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("9" * 18, 10**18 - 1),
        ("-" + "9" * 18, 1 - 10**18),
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-1.5E+3", -1500.0),
        ("+.5e1", 5.0),
        ("1e-400", 0.0),
        *[(text, math.inf) for text in (".inf", ".Inf", ".INF", "+.inf")],
        *[(text, -math.inf) for text in ("-.inf", "-.Inf", "-.INF")],
    ],
)
def test_plain_scalar_is_read_by_the_core_schema(text: str, value: Any):
    found = read(f"key: {text}\n")["key"]

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_nan(text: str):
    assert math.isnan(read(f"key: {text}")["key"])


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "no",
        "on",
        "off",
        "Yes",
        "NO",
        "y",
        "n",
        "nULL",
        "tRUE",
        "1:30",
        "12:30:45",
        "2020-01-01",
        "1_000",
        "0b101",
        "0X1F",
        "-0x1F",
        "0o8",
        "08:00",
        "1e",
        "e5",
        ".",
        "-.nan",
        ".iNF",
        "inf",
        "nan",
        "1.2.3",
        "+",
        "--",
        "=",
        "1,000",
        "\u0661",
    ],
)
def test_any_other_plain_scalar_is_text(text: str):
    assert read(f"key: {text}") == {"key": text}


@pytest.mark.parametrize("text", ["0.1", "true", "null", "", "12", "~", ".inf"])
def test_quoted_scalar_is_text(text: str):
    assert read(f"a: '{text}'\nb: \"{text}\"") == {"a": text, "b": text}


def test_block_scalars_are_text():
    assert read("a: |\n  1\n  2\nb: >-\n  3\n") == {"a": "1\n2\n", "b": "3"}


def test_number_keys_stay_numbers():
    assert read("{0: 0.1, 100: 0.03, 2.5: x, '7': y}") == {0: 0.1, 100: 0.03, 2.5: "x", "7": "y"}


@pytest.mark.parametrize("text", ["'1:30': on", "---\n1:30: on\n...\n", "%YAML 1.2\n---\n1:30: on"])
def test_what_yaml_allows_around_a_mapping(text: str):
    assert read(text) == {"1:30": "on"}


# Places


def test_each_value_and_key_has_its_place():
    root = read_tree(b"model:\n  - linear: 32\n  - relu\nlr:  0.1\nempty:\nflow: {a: [1, 2]}\n", "configs/disc.yaml")

    assert root.place == "configs/disc.yaml:1:1"
    assert root.key_places["lr"] == "configs/disc.yaml:4:1"
    assert entry(root, "lr").place == "configs/disc.yaml:4:6"
    assert entry(root, "lr").key_places == {}
    assert entry(root, "model").place == "configs/disc.yaml:2:3"
    assert entry(root, "model", 0).key_places == {"linear": "configs/disc.yaml:2:5"}
    assert entry(root, "model", 1).place == "configs/disc.yaml:3:5"
    assert entry(root, "empty").place == "configs/disc.yaml:5:7"
    assert entry(root, "flow", "a", 1).place == "configs/disc.yaml:6:15"


def test_the_columns_of_a_file_with_a_byte_order_mark_start_at_1():
    assert read_tree("\ufeffa: 1".encode(), "c.yaml").key_places == {"a": "c.yaml:1:1"}


# Encodings


NOT_TEXT = "is not allowed in YAML; save the file as UTF-8 text without it"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings(encoding: str):
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""

    assert read_tree((mark + "näme: 训练 😀\n").encode(encoding), "c").plain() == {"näme": "训练 😀"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a: 1\nb: café".encode("latin-1"), "c.yaml:2:7: the byte 0xe9 is not UTF-8; save the file as UTF-8"),
        (b"\xff\xfea\x00:", "c.yaml:1:2: the byte 0x3a is not UTF-16-LE; save the file as UTF-8"),
        (b"\xfe\xff\x00a\xd8\x00\x00a", "c.yaml:1:2: the byte 0xd8 is not UTF-16-BE; save the file as UTF-8"),
        (b"a: 1\r\nb: \x00", rf"c.yaml:2:4: the character '\x00' {NOT_TEXT}"),
        (b"a: \x1b[31m", rf"c.yaml:1:4: the character '\x1b' {NOT_TEXT}"),
        (
            "a: 1".encode("utf-16-le"),  # no byte order mark
            rf"c.yaml:1:2: the character '\x00' {NOT_TEXT}",
        ),
    ],
)
def test_what_is_not_text(content: bytes, problem: str):
    assert problems(content) == [problem]


# Roots and documents


@pytest.mark.parametrize("content", ["", "\n\n", "# a comment\n", "---\n", "null", "\ufeff"])
def test_empty_config(content: str):
    assert problems(content) == ["c.yaml: config is empty"]


@pytest.mark.parametrize(("content", "found"), [("- a", "a list"), ("abc", "a single value"), ("3", "a single value")])
def test_root_that_is_no_mapping(content: str, found: str):
    problem = f"c.yaml:1:1: the config must be a mapping of keys, not {found}; write 'key: value' lines"
    assert problems(content) == [problem]


@pytest.mark.parametrize("second", ["b: 2", "", "# nothing"])
def test_second_document(second: str):
    problem = "c.yaml:2:1: a second document begins here; keep only one"
    assert problems(f"a: 1\n---\n{second}") == [problem]


# Keys, tags and numbers


def test_duplicate_keys_name_both_places():
    assert problems("lr: 1\nb:\n  x: 1\n  'x': 2\nlr: 2\n1: a\n1.0: b") == [
        "c.yaml:4:3: the key 'x' is set before, at c.yaml:3:3; keep one of the two",
        "c.yaml:5:1: the key 'lr' is set before, at c.yaml:1:1; keep one of the two",
        "c.yaml:7:1: the key 1.0 is set before, at c.yaml:6:1; keep one of the two",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("~: 1", 'c.yaml:1:1: the key null is not text or a number; put it in quotes: "null"'),
        ("{? : 1}", 'c.yaml:1:3: the key null is not text or a number; put it in quotes: "null"'),
        ("True: 1", 'c.yaml:1:1: the key true is not text or a number; put it in quotes: "true"'),
        ("a: 1\n[b, c]: 2", "c.yaml:2:1: a key cannot be a list or a mapping; put it in quotes"),
        ("? {b: 1}\n: 2", "c.yaml:1:3: a key cannot be a list or a mapping; put it in quotes"),
    ],
)
def test_keys_that_are_not_text_or_numbers(content: str, problem: str):
    assert problems(content) == [problem]


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        ("!!python/object/apply:os.system ['touch gone']", "!!python/object/apply:os.system"),
        ("!!python/name:os.system", "!!python/name:os.system"),
        ("!!binary aGk=", "!!binary"),
        ("!!timestamp 2020-01-01", "!!timestamp"),
        ("!!int 3", "!!int"),
        ("!custom {a: 1}", "!custom"),
        ("! 1", "!"),
        ("!<tag:example.com,2020:x> 1", "tag:example.com,2020:x"),
    ],
)
def test_tags_are_refused_by_name(value: str, tag: str):
    assert problems(f"a: {value}") == [f"c.yaml:1:4: the tag '{tag}' is not allowed; remove it"]


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("1" * 19, "an integer has at most 18 digits"),
        ("0xFFFFFFFFFFFFFFF", "an integer has at most 18 digits"),
        ("1e400", "a number is at most about 1.8e308"),
        ("-1e400", "a number is at most about 1.8e308"),
    ],
)
def test_number_that_is_too_large(text: str, advice: str):
    assert problems(f"a: {text}") == [f"c.yaml:1:4: the number '{text}' is too large; {advice}"]


@pytest.mark.parametrize("text", ["9" * 5_000, "-" + "9" * 500_000, "0x" + "f" * 5_000, "1" * 5_000 + ".0"])
def test_number_of_thousands_of_digits_is_shown_cut(text: str):
    [problem] = problems(f"a: {text}")

    assert problem.startswith(f"c.yaml:1:4: the number '{text[:59]}…' is too large; a")
    assert len(problem) < 200


def test_half_of_a_surrogate_pair():
    problem = r"c.yaml:1:4: half of a character in '\ud83d'; write it without escapes"
    assert problems(r'a: "\ud83d"') == [problem]


def test_text_of_the_file_is_shown_escaped():
    [problem] = problems('"a\\n\\e[31m\\u202e": 1\n"a\\n\\e[31m\\u202e": 2')

    assert problem == (r"c.yaml:2:1: the key 'a\n\x1b[31m\u202e' is set before, at c.yaml:1:1; keep one of the two")


# Anchors, aliases and merge keys


NO_ANCHOR = "has no anchor before it; add one, or put the text in quotes"


def test_aliases_are_expanded():
    root = read_tree(b"a: &x [1, &y {b: 2}]\nc: *x\nd: *y\n&k e: 3\nf: {*k : 4}", "c.yaml")

    assert root.plain() == {"a": [1, {"b": 2}], "c": [1, {"b": 2}], "d": {"b": 2}, "e": 3, "f": {"e": 4}}
    assert entry(root, "c").place == "c.yaml:2:4"  # the alias
    assert entry(root, "c", 0).place == "c.yaml:1:8"  # what it stands for
    assert entry(root, "c", 1).key_places == {"b": "c.yaml:1:15"}
    entry(root, "c").value.clear()
    assert entry(root, "a").plain() == [1, {"b": 2}]  # nothing is shared


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("a: &x 1\nb: &x 2\nc: *x", {"a": 1, "b": 2, "c": 2}),
        ("a: &x [&x 1, *x]\nb: *x", {"a": [1, 1], "b": 1}),
    ],
)
def test_alias_means_the_latest_anchor_of_its_name(content: str, value: Any):
    assert read(content) == value


@pytest.mark.parametrize(
    ("merge", "value"),
    [
        ("{<<: *a}", {"p": 1, "q": 2}),
        ("{<<: *a, q: 9}", {"p": 1, "q": 9}),
        ("{q: 9, <<: *a}", {"p": 1, "q": 9}),
        ("{<<: [*a, *b]}", {"p": 1, "q": 2, "r": 4}),
        ("{<<: [*b, *a]}", {"p": 1, "q": 3, "r": 4}),
        ("{<<: {s: 5}, t: 6}", {"s": 5, "t": 6}),
        ("{<<: []}", {}),
        ("{'<<': 1}", {"<<": 1}),
        ("[<<]", ["<<"]),
    ],
)
def test_merge_keys(merge: str, value: Any):
    assert read(f"a: &a {{p: 1, q: 2}}\nb: &b {{q: 3, r: 4}}\nm: {merge}")["m"] == value


def test_merged_keys_keep_their_places():
    root = read_tree(b"a: &a {p: 1, q: 2}\nm: {<<: *a, q: 3}", "c.yaml")

    assert entry(root, "m").key_places == {"p": "c.yaml:1:8", "q": "c.yaml:2:13"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a: *x", f"c.yaml:1:4: the alias '*x' {NO_ANCHOR}"),
        (
            "a: {<<: *x}",
            "c.yaml:1:9: the alias '*x' has no anchor before it; add one, or put the text in quotes",
        ),
        ("a: &x [*x]", "c.yaml:1:8: the alias '*x' stands inside its own anchor; write the value out"),
        ("a: &x {<<: *x}", "c.yaml:1:12: the alias '*x' stands inside its own anchor; write the value out"),
        ("a: {<<: 1}", "c.yaml:1:9: '<<' merges only mappings; give it an alias of one, or a list"),
        ("a: {<<: [{}, 1]}", "c.yaml:1:9: '<<' merges only mappings; give it an alias of one, or a list"),
        (
            "a: {<<: {}, <<: {}}",
            "c.yaml:1:13: the key '<<' is set before, at c.yaml:1:5; keep one of the two",
        ),
    ],
)
def test_bad_aliases_and_merge_keys(content: str, problem: str):
    assert problems(content) == [problem]


# Syntax


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a:\n\tb: 1", "2:1: a tab cannot stand here; use spaces"),
        ("a: 1\nlr 0.1\nb: 2", "2:1: a key without a ':'; write 'key: value', or check the indentation"),
        ("a: 1\n b: 2", "2:3: a ':' cannot stand here; check the indentation, or quote the text"),
        ("a: 'x\nb: 2", "1:4: the quote is never closed; add the closing quote"),
        ("a: 'x' y", "1:8: this does not fit what is before it; check indentation and quotes"),
        (
            "a: [1,\n  2",
            "2:4: not YAML while parsing a flow sequence from line 1: expected ',' or ']', but got the end; "
            "correct the syntax",
        ),
        ("a: @x", "1:4: not YAML: found character '@' that cannot start any token; correct the syntax"),
        (r'a: "\UFFFFFFFF"', "1:7: a number out of range; correct it"),
        ("%YAML 1." + "1" * 5_000 + "\n---\na: 1", "1:9: a number out of range; correct it"),
    ],
)
def test_syntax_errors_are_one_line(content: str, problem: str):
    assert problems(content) == [f"c.yaml:{problem}"]


def test_all_problems_are_reported_together_and_a_syntax_error_last():
    assert problems("a: !x 1\nb: 1\nb: 1e999\nc: *d\ne: [\n") == [
        "c.yaml:1:4: the tag '!x' is not allowed; remove it",
        "c.yaml:3:1: the key 'b' is set before, at c.yaml:2:1; keep one of the two",
        "c.yaml:3:4: the number '1e999' is too large; a number is at most about 1.8e308",
        "c.yaml:4:4: the alias '*d' has no anchor before it; add one, or put the text in quotes",
        "c.yaml:6:1: not YAML while parsing a flow node from line 6: "
        "expected the node content, but found the end; correct the syntax",
    ]


# Bounds


def chained(first: str, value: str, length: int) -> str:
    """A config in which each line's value is made of the one before it."""
    lines = [f"a0: &a0 {first}"]
    lines += [f"a{i}: &a{i} {value.replace('@', f'*a{i - 1}')}" for i in range(1, length)]
    return "\n".join(lines)


TOO_DEEP = "more than 50 levels of nesting; use fewer"
TOO_MANY = "more than 100,000 values, with aliases expanded; use fewer"


@pytest.mark.parametrize(
    ("content", "place", "problem"),
    [
        ("[" * 100_000, "1:51", TOO_DEEP),
        ("[\n" * 100_000, "51:1", TOO_DEEP),
        ("{a: " * 100_000, "1:201", TOO_DEEP),
        ("- " * 100_000, "1:101", TOO_DEEP),
        ("? " * 100_000, "1:101", TOO_DEEP),
        (chained("[1]", "[@]", 60), "50:12", TOO_DEEP),
        (chained("{k: 1}", "{<<: {m: @}}", 60), "49:20", TOO_DEEP),
        (chained("[x, x, x, x, x, x, x, x, x]", "[@, @, @, @, @, @, @, @, @]", 30), None, TOO_MANY),
        (chained("{k: 1}", "{<<: [@, @, @, @, @, @], m: [@, @, @, @, @, @]}", 30), None, TOO_MANY),
        ("a: &a [" + "x, " * 1_000 + "]\nb: [" + "*a, " * 100_000 + "]", None, TOO_MANY),
        ("a: [" + ",".join("1" * 200_000) + "]", None, TOO_MANY),
    ],
    ids=range(11),
)
def test_bombs_are_refused(content: str, place: str | None, problem: str):
    """Were one of them expanded first, the test would not come to its end."""
    [found] = problems(content)

    assert found.endswith(problem)
    assert place is None or found == f"c.yaml:{place}: {problem}"


def test_merge_keys_that_only_repeat_stay_small():
    content = chained("{k: 1, l: 2}", "{<<: [@, @, @, @, @, @, @, @, @, @]}", 30)

    assert read(content)["a29"] == {"k": 1, "l": 2}


def test_what_is_just_within_the_bounds():
    assert MAX_LEVELS == 50
    assert MAX_NODES == 100_000
    assert read("a: " + "[" * 49 + "1" + "]" * 49)
    items = ",".join("1" * 24_990)
    assert read(f"a: &a [{items}]\nb: [*a, *a, *a]")


def test_file_that_is_too_large():
    assert read_tree(b"a: 1 #".ljust(MAX_BYTES, b"x"), "c.yaml").plain() == {"a": 1}
    problem = "c.yaml: 1,048,577 bytes are too many; a config has at most 1,048,576"
    assert problems(b"a: 1 #".ljust(MAX_BYTES + 1, b"x")) == [problem]


# The values of options


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("1e-3", 0.001),
        ("yes", "yes"),
        ("'0.1'", "0.1"),
        (" x ", "x"),
        ("[1, {a: b}]", [1, {"a": "b"}]),
        ("{linear: 32}", {"linear": 32}),
    ],
)
def test_value_of_an_option(text: str, value: Any):
    assert read_value(text, "-s lr").plain() == value


def test_every_node_of_an_option_has_the_options_place():
    node = read_value("{a: [1]}", "-s lr")

    assert node.place == entry(node, "a", 0).place == node.key_places["a"] == "-s lr"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{a: 1, a: 2}", "the key 'a' is set before; keep one of the two"),
        ("'", "the quote is never closed; add the closing quote"),
        ("a\x00b", r"the character '\x00' is not allowed in YAML; remove it"),
        ("caf\udce9", r"the character '\udce9' is not allowed in YAML; remove it"),
        ("1\n---\n2", "a second document begins here; keep only one"),
        ("[" * 100_000, TOO_DEEP),
        ("x" * (MAX_BYTES + 1), "1,048,577 characters are too many; a value has at most 1,048,576"),
    ],
    ids=range(7),
)
def test_bad_value_of_an_option(text: str, problem: str):
    with pytest.raises(InputError) as caught:
        read_value(text, "-s lr")
    assert caught.value.problems == [f"-s lr: {problem}"]


def test_import_is_light():
    code = "import sys, minidl_cli.config.yaml_tree; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# Properties

printable = st.characters(exclude_categories=["Cs"])
texts = st.text(printable, max_size=20) | st.sampled_from(["yes", "1:30", "0o17", "1_000", "<<", "=", "~", "1e3"])
scalars = st.none() | st.booleans() | st.integers(1 - 10**18, 10**18 - 1) | st.floats(allow_nan=False) | texts
keys = texts | st.integers(-1000, 1000)
data = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(keys, data, max_size=4), st.booleans(), st.sampled_from(["utf-8", "utf-16"]))
@settings(max_examples=150, deadline=None)
def test_what_is_dumped_reads_back_equal(config: dict[Any, Any], flow: bool, encoding: str):
    # Every text in quotes: PyYAML leaves them off by the schema of YAML 1.1, which takes 1e3 for text.
    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, _: Any) -> bool:
            return True

    Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, '"'))
    dumped = yaml.dump(config, Dumper=Dumper, default_flow_style=flow, allow_unicode=True)

    assert read_tree(dumped.encode(encoding), "c.yaml").plain() == config


MARKS = [*"[]{}:,?-&*!|>'\"%@`#~<=.\\ \n\t\r\x85\u2028\ufeff"]
WORDS = ["- ", ": ", "? ", "\n  ", "&a ", "*a ", "<<: ", "--- ", "...\n", "---\n", "a: ", "b", "{a: "]
RARE_WORDS = ["!!int ", "1", "0x", "\\u", "\\U", "%YAML ", "%TAG ! ", "|2\n"]
pieces = st.lists(st.sampled_from(MARKS + WORDS + RARE_WORDS)).map("".join)


def check_is_read_or_refused(content: bytes) -> None:
    try:
        found = read_tree(content, "c.yaml").plain()
    except InputError as error:
        for problem in error.problems:
            assert problem.startswith("c.yaml:")
            assert problem.isprintable()
            assert len(problem) < 400
    else:
        assert isinstance(found, dict)
        repr(found).encode()


@given(pieces | st.text(st.sampled_from(string.printable)) | st.text(printable))
@example("? |\n")
@example("a: !<%")
@settings(max_examples=400, deadline=None)
def test_any_text_is_read_or_refused(text: str):
    check_is_read_or_refused(text.encode())


@given(st.binary() | st.sampled_from([b"\xff\xfe", b"\xfe\xff"]).flatmap(lambda mark: st.binary().map(mark.__add__)))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused(content: bytes):
    check_is_read_or_refused(content)
