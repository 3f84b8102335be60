"""Read YAML strictly, by YAML 1.2's core schema, and keep where each value stands.

The tree is built from the events of PyYAML's pure-Python parser, one at a time and without recursion.
No tag is honoured, so nothing is ever executed. Every size is bounded while reading, so a hostile file
costs no more than a large one.
"""

import codecs
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NoReturn

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from minidl_cli.errors import InputError

Scalar = str | int | float | bool | None
Key = str | int | float

MAX_BYTES = 1 << 20
MAX_LEVELS = 50
MAX_NODES = 100_000
MAX_DIGITS = 18  # every such integer fits 64 bits
MAX_SHOWN = 60

_CONSTANTS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **{sign + word: math.inf for sign in ("", "+") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_INTEGERS = (
    (re.compile(r"[-+]?([0-9]+)"), 10),
    (re.compile(r"0o([0-7]+)"), 8),
    (re.compile(r"0x([0-9a-fA-F]+)"), 16),
)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")

_FORBIDDEN = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # those that the parser counts
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# How the parser's message begins, and what the user is told instead.
_PLAIN_WORDS = {
    "found character '\\t'": "a tab cannot stand here; use spaces",
    "mapping values are not allowed": "a ':' cannot stand here; check the indentation, or quote the text",
    "could not find expected ':'": "a key without a ':'; write 'key: value', or check the indentation",
    "found unexpected end of stream": "the quote is never closed; add the closing quote",
    "expected <block end>": "this does not fit what is before it; check indentation and quotes",
    "expected '<document start>'": "this does not fit what is before it; check indentation and quotes",
}
_BLAME_THE_BEGINNING = ("could not find expected ':'", "found unexpected end of stream")

_Locate = Callable[[int, int], str]  # from line and column, both counted from 0, to a place


@dataclass(slots=True)
class Node:
    """A value of a YAML file and where it stands.

    Attributes:
        value: a scalar, the list's items, or the mapping's entries.
        place: what messages begin with, such as `configs/disc.yaml:14:3`.
        key_places: where each key of a mapping stands; empty for other values.
    """

    value: Scalar | list["Node"] | dict[Key, "Node"]
    place: str
    key_places: dict[Key, str] = field(default_factory=dict)

    def plain(self) -> Any:
        """Return the value without positions, as dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def read_tree(content: bytes, source: str) -> Node:
    """Read a whole file, whose root must be a mapping.

    Args:
        content: the file's bytes, in UTF-8, or in UTF-16 with a byte order mark.
        source: the file's name for messages.

    Returns:
        The root. Aliases are expanded, each into nodes of its own, and merge keys are carried out.

    Raises:
        InputError: with one line `source:line:column: what is wrong; what to do` for each problem.
    """

    def locate(line: int, column: int) -> str:
        return f"{source}:{line + 1}:{column + 1}"

    if len(content) > MAX_BYTES:
        raise InputError(f"{source}: {len(content):,} bytes are too many; a config has at most {MAX_BYTES:,}")
    text = _decode(content, locate)
    _check_characters(text, locate, "save the file as UTF-8 text without it")
    root = _TreeBuilder(text, locate).build()
    if root is None or root.value is None:
        raise InputError(f"{source}: config is empty")
    if not isinstance(root.value, dict):
        found = "a list" if isinstance(root.value, list) else "a single value"
        raise InputError(f"{root.place}: the config must be a mapping of keys, not {found}; write 'key: value' lines")
    return root


def read_value(text: str, place: str) -> Node:
    """Read a value that stands outside a file, such as that of an option `-s key=VALUE`.

    Args:
        text: any YAML value; empty text is null.
        place: the place of every node, and what messages begin with.

    Returns:
        The value's node.

    Raises:
        InputError: with one line `place: what is wrong; what to do` for each problem.
    """

    def locate(line: int, column: int) -> str:
        return place

    if len(text) > MAX_BYTES:
        raise InputError(f"{place}: {len(text):,} characters are too many; a value has at most {MAX_BYTES:,}")
    _check_characters(text, locate, "remove it")
    return _TreeBuilder(text, locate).build() or Node(None, place)


def _decode(content: bytes, locate: _Locate) -> str:
    encoding = "utf-8"
    for mark, marked_encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            content, encoding = content[len(mark) :], marked_encoding
            break
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        place = _place_of_end(content[: error.start].decode(encoding), locate)
        byte = content[error.start]
        problem = f"the byte 0x{byte:02x} is not {encoding.upper()}; save the file as UTF-8"
        raise InputError(f"{place}: {problem}") from None


def _check_characters(text: str, locate: _Locate, advice: str) -> None:
    if forbidden := _FORBIDDEN.search(text):
        place = _place_of_end(text[: forbidden.start()], locate)
        raise InputError(f"{place}: the character {forbidden.group()!r} is not allowed in YAML; {advice}")


def _place_of_end(text: str, locate: _Locate) -> str:
    lines = _LINE_BREAK.split(text)
    return locate(len(lines) - 1, len(lines[-1]))


def _shown(content: Key) -> str:
    """Return a piece of the file as a message shows it: on one line, escaped and not too long."""
    shown = repr(content)
    return shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}…{shown[0]}"


class _NumberTooLargeError(ValueError):
    """A number that no 64-bit integer or float can hold; its text says what to do."""


def _resolve(text: str) -> Scalar:
    """Return the value that YAML 1.2's core schema gives to an unquoted scalar."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    for pattern, base in _INTEGERS:
        if match := pattern.fullmatch(text):
            # The digits are counted first: the conversion's time grows with their square.
            if len(match[1]) > MAX_DIGITS or (number := int(text, base)) >= 10**MAX_DIGITS:
                raise _NumberTooLargeError(f"an integer has at most {MAX_DIGITS} digits")
            return number
    if _FLOAT.fullmatch(text):
        if math.isinf(value := float(text)):
            raise _NumberTooLargeError("a number is at most about 1.8e308")
        return value
    return text


class _Role(Enum):
    """What stands in for a mapping's key that is not to become one."""

    MERGE = "<<"
    REFUSED = "refused"


@dataclass(slots=True)
class _OpenCollection:
    """A list or mapping whose end has not been read yet."""

    node: Node
    anchor: str | None
    key: Key | _Role | None = None  # the key whose value comes next
    merge_place: str | None = None  # where the merge key stands
    merged: list[Node] = field(default_factory=list)


class _TreeBuilder:
    """Builds the tree of one text, and gathers the problems that it can read past."""

    def __init__(self, text: str, locate: _Locate):
        self.loader: Any = yaml.SafeLoader(text)  # only its parser is used: it constructs nothing
        self.locate = locate
        self.problems: list[str] = []
        self.root: Node | None = None
        self.open: list[_OpenCollection] = []
        self.anchors: dict[str, Node | None] = {}  # None while the anchor's own value is being read
        self.nodes = 0

    def build(self) -> Node | None:
        """Return the root, or None if the text has no value; raise InputError with all the problems."""
        for event in self._events():
            match event:
                case DocumentStartEvent():
                    if self.root is not None:
                        self._stop(self._place(event), "a second document begins here; keep only one")
                case ScalarEvent():
                    self._add(self._scalar(event), event)
                case AliasEvent():
                    self._add(self._expansion(event), event)
                case SequenceStartEvent() | MappingStartEvent():
                    self._open_collection(event)
                case CollectionEndEvent():
                    self._close_collection(event)
        if self.problems:
            raise InputError(self.problems)
        return self.root

    def _events(self) -> Iterator[Event]:
        try:
            while self.loader.check_event():
                yield self.loader.get_event()
        except yaml.MarkedYAMLError as error:
            self._stop_at_syntax(error)
        except (ValueError, OverflowError):
            # The scanner's own conversions: "\UFFFFFFFF", or a %YAML directive of thousands of digits.
            self._stop(self.locate(self.loader.line, self.loader.column), "a number out of range; correct it")

    def _stop_at_syntax(self, error: yaml.MarkedYAMLError) -> NoReturn:
        problem = error.problem or "unknown syntax"
        begins_in_context = error.context_mark and problem.startswith(_BLAME_THE_BEGINNING)
        mark: Any = error.context_mark if begins_in_context else error.problem_mark
        place = self.locate(mark.line, mark.column)
        for beginning, plain_words in _PLAIN_WORDS.items():
            if problem.startswith(beginning):
                self._stop(place, plain_words)
        context = f" {error.context} from line {error.context_mark.line + 1}" if error.context_mark else ""
        problem = re.sub(r"'\\x00'|'<stream end>'", "the end", problem)
        self._stop(place, f"not YAML{context}: {problem[:200]}; correct the syntax")

    def _report(self, place: str, problem: str) -> None:
        self.problems.append(f"{place}: {problem}")

    def _stop(self, place: str, problem: str) -> NoReturn:
        self._report(place, problem)
        raise InputError(self.problems)

    def _place(self, event: Event) -> str:
        mark: Any = event.start_mark  # PyYAML's parser sets it in every event
        return self.locate(mark.line, mark.column)

    def _count_node(self, level: int, event: Event) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self._stop(self._place(event), f"more than {MAX_NODES:,} values, with aliases expanded; use fewer")
        if level > MAX_LEVELS:
            self._stop(self._place(event), f"more than {MAX_LEVELS} levels of nesting; use fewer")

    def _refuse_tag(self, event: ScalarEvent | SequenceStartEvent | MappingStartEvent) -> None:
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!", 1)
            self._report(self._place(event), f"the tag {_shown(tag)} is not allowed; remove it")

    def _scalar(self, event: ScalarEvent) -> Node:
        self._count_node(len(self.open), event)
        self._refuse_tag(event)
        node = Node(event.value, self._place(event))
        if _SURROGATE.search(event.value):
            self._report(node.place, f"half of a character in {_shown(event.value)}; write it without escapes")
        if _is_plain(event):
            try:
                node.value = _resolve(event.value)
            except _NumberTooLargeError as error:
                self._report(node.place, f"the number {_shown(event.value)} is too large; {error}")
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _open_collection(self, event: SequenceStartEvent | MappingStartEvent) -> None:
        self._count_node(len(self.open) + 1, event)
        self._refuse_tag(event)
        node = Node([] if isinstance(event, SequenceStartEvent) else {}, self._place(event))
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        self.open.append(_OpenCollection(node, event.anchor))

    def _close_collection(self, event: CollectionEndEvent) -> None:
        closed = self.open.pop()
        _merge(closed.node, closed.merged)
        # An anchor of the same name may have been set inside: it is the later one, and stays.
        if closed.anchor is not None and self.anchors[closed.anchor] is None:
            self.anchors[closed.anchor] = closed.node
        self._add(closed.node, event)

    def _expansion(self, event: AliasEvent) -> Node:
        name = event.anchor or ""
        node = self.anchors.get(name)
        if node is not None:
            copy = self._copy(node, len(self.open), event)
            copy.place = self._place(event)
            return copy
        if name in self.anchors:
            problem = "stands inside its own anchor; write the value out"
        else:
            problem = "has no anchor before it; add one, or put the text in quotes"
        self._report(self._place(event), f"the alias {_shown('*' + name)} {problem}")
        return Node({}, self._place(event))  # an empty mapping is no further problem, even to a merge key

    def _copy(self, node: Node, level: int, event: AliasEvent) -> Node:
        """Copy a node, counting as it goes: an expansion that grows too large stops at the bound."""
        value = node.value
        if isinstance(value, dict | list):
            level += 1
        self._count_node(level, event)
        if isinstance(value, dict):
            value = {key: self._copy(entry, level, event) for key, entry in value.items()}
        elif isinstance(value, list):
            value = [self._copy(item, level, event) for item in value]
        return Node(value, node.place, dict(node.key_places))

    def _add(self, node: Node, event: Event) -> None:
        """Put a complete node where it belongs: it is the root, an item, a key or a key's value."""
        if not self.open:
            self.root = node
            return
        parent = self.open[-1]
        if isinstance(parent.node.value, list):
            parent.node.value.append(node)
        elif parent.key is None:
            parent.key = self._key(parent, node, event)
        else:
            self._add_entry(parent, parent.key, node)
            parent.key = None

    def _key(self, parent: _OpenCollection, node: Node, event: Event) -> Key | _Role:
        key = node.value
        if isinstance(key, dict | list):
            self._report(node.place, "a key cannot be a list or a mapping; put it in quotes")
            return _Role.REFUSED
        if key is None or isinstance(key, bool):
            word = "null" if key is None else str(key).lower()
            self._report(node.place, f'the key {word} is not text or a number; put it in quotes: "{word}"')
            return _Role.REFUSED
        is_merge = isinstance(event, ScalarEvent) and _is_plain(event) and key == "<<"
        first = parent.merge_place if is_merge else parent.node.key_places.get(key)
        if first is not None:
            where = "" if first == node.place else f", at {first}"
            self._report(node.place, f"the key {_shown(key)} is set before{where}; keep one of the two")
            return _Role.REFUSED
        if is_merge:
            parent.merge_place = node.place
            return _Role.MERGE
        parent.node.key_places[key] = node.place
        return key

    def _add_entry(self, parent: _OpenCollection, key: Key | _Role, node: Node) -> None:
        if key is _Role.MERGE:
            sources = node.value if isinstance(node.value, list) else [node]
            if all(isinstance(source.value, dict) for source in sources):
                parent.merged = sources
            else:
                self._report(node.place, "'<<' merges only mappings; give it an alias of one, or a list")
        elif not isinstance(key, _Role) and isinstance(parent.node.value, dict):
            parent.node.value[key] = node


def _is_plain(event: ScalarEvent) -> bool:
    return event.implicit[0]


def _merge(mapping: Node, sources: list[Node]) -> None:
    """Add the sources' entries: the mapping's own keys win, and then those of the first source."""
    for source in sources:
        if isinstance(mapping.value, dict) and isinstance(source.value, dict):
            for key, entry in source.value.items():
                mapping.value.setdefault(key, entry)
                mapping.key_places.setdefault(key, source.key_places[key])
