"""Run folders that were damaged, or made by an enemy: every verb says what is wrong, in lines, and does no harm."""

import json
import os
import resource
import shutil
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from minidl_cli import load_config, sweep
from minidl_cli.runs.folder import Run
from tests.conftest import CommandLine
from tests.weights import replace_file

TABLE = "\n".join(["a,b,kind", *(f"{place / 2},{place * place},{'pq'[place % 2]}" for place in range(20))])
CONFIGS = {
    "plane": """
data: {disc: {train: 40, test: 20}}
model: [linear: 3, batch_norm, tanh, linear: 2]
loss: mse
""",
    "table": """
data: {table: {file: t.csv, target: kind}}
model: [linear: 3, relu, linear: 2]
loss: cross_entropy
""",
}
COMMON = """
optimizer: {sgd: 0.1}
training: {epochs: 1, batch_size: 8, validation: 0.2, early_stopping: {patience: 3}}
sweep: {rounds: 2, target: {test_accuracy: 0.5}}
"""
# A sweep of variants of the first, and one of them.
SWEEP, VARIANT = "sweep", "mse"

Verbs = tuple[tuple[str, ...], ...]
FILES = (
    *("config.yaml", "summary.json", "environment.json", "columns.json", "rounds.csv", "metrics.csv"),
    *("weights/best.safetensors", "weights/last.safetensors"),
)
VERBS: Verbs = (
    ("eval", "RUN", "--json"),
    ("eval", "RUN", "--weights", "last"),
    ("eval", "RUN", "--data", "t.csv"),
    ("predict", "RUN", "--data", "t.csv", "-o", "out.csv"),
    ("inspect", "RUN", "--json"),
    ("inspect", "RUN"),
    ("show", "RUN"),
    ("compare", "RUN", "OTHER"),
    ("export", "RUN", "--to", "torch", "-o", "exported"),
    ("runs",),
    ("runs", "--json"),
)

VERBS_FOR_SWEEPS: Verbs = (
    ("compare", "RUN"),
    ("compare", "RUN", "plane", "--json"),
    ("show", "RUN"),
    ("eval", "RUN"),
    ("eval", "RUN/variants/ONE", "--json"),
    ("runs", "--json"),
)

# A command of an example takes some hundredths of a second, and little memory.
SECONDS, BYTES = 20, 1 << 30


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two finished runs of two rounds each, a sweep of two variants, and the table."""
    home = tmp_path_factory.mktemp("made")
    (home / "t.csv").write_text(TABLE + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minidl_cli.sweeps.drawing.draw_figures", lambda *_: None)
        for name, text in CONFIGS.items():
            (home / f"{name}.yaml").write_text(text + COMMON)
            sweep(load_config(home / f"{name}.yaml"), runs_dir=home / "made", workers=1).path.rename(home / name)
        for name in ("variants", "rounds", "final_points", "final_pairs", "predictions"):
            patch.setattr(f"minidl_cli.display.figures.draw_{name}", lambda *_, **__: None)
        config = load_config(home / "plane.yaml", vary=["loss=mse,huber"])
        sweep(config, runs_dir=home / "made", workers=1).path.rename(home / SWEEP)
    return home


class Place:
    """A folder of runs, one of which may be damaged; what is outside of it is nobody's business."""

    def __init__(self, path: Path, made: Path):
        self.made, self.path = made, path
        (path / "outside").mkdir()
        for name in ("secret", "summary.json", "last.safetensors", "config.yaml"):
            (path / "outside" / name).write_text("secret: 1\n")
        shutil.copy(made / "t.csv", path)

    def damaged(self, name: str) -> Run:
        """Return a fresh copy of a run, the only one in `runs`, with an undamaged one elsewhere."""
        for folder in ("runs", "exported"):
            shutil.rmtree(self.path / folder, ignore_errors=True)
        (self.path / "out.csv").unlink(missing_ok=True)
        shutil.copytree(self.made / name, self.path / "runs/damaged")
        for other in CONFIGS:
            if not (self.path / other).exists():
                shutil.copytree(self.made / other, self.path / other)
        return Run(Path("runs/damaged"))

    def state(self) -> dict[str, Any]:
        """Return what is in the folder but for what the commands write on purpose: each file's kind and content."""
        found: dict[str, Any] = {}
        for path in sorted(self.path.rglob("*")):
            name = path.relative_to(self.path).as_posix()
            status = path.lstat()
            is_small = stat.S_ISREG(status.st_mode) and status.st_size < 1 << 20
            if not name.startswith(("exported", "out.csv")):
                found[name] = (status.st_mode, status.st_size, path.read_bytes() if is_small else None)
        return found


@pytest.fixture
def place(made, tmp_path):
    return Place(tmp_path, made)


class TooSlow(BaseException):
    """No exception that a command would take for its own."""


@contextmanager
def bounded() -> Iterator[None]:
    """Stops what takes too long or too much memory."""

    def stop(*_: Any) -> None:
        raise TooSlow(f"it took more than {SECONDS} s")

    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    handler = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)


def words_of(verb: tuple[str, ...], kind: str) -> list[str]:
    """Returns the words of a command about the damaged run, and an undamaged one beside it."""
    meant = {"RUN": "runs/damaged", "OTHER": kind, "RUN/variants/ONE": f"runs/damaged/variants/{VARIANT}"}
    return [meant.get(word, word) for word in verb]


def check_verbs(minidl: CommandLine, place: Place, kind: str, verbs: Verbs = VERBS) -> set[int]:
    """Every verb does what it is there for, or says in lines what is wrong, and changes nothing; returns exit codes."""
    before, codes = place.state(), set()
    for verb in verbs:
        words = words_of(verb, kind)
        with bounded():
            outcome = minidl(*words)
        codes.add(outcome.code)
        assert outcome.code in (0, 2), (words, outcome)
        assert "Traceback" not in outcome.err, (words, outcome)
        assert all(line.isprintable() and len(line) < 2000 for line in outcome.err.splitlines()), (words, outcome)
        if outcome.code:
            assert outcome.out == "", (words, outcome)
            assert 1 <= len(outcome.err.splitlines()) <= 20, (words, outcome)
        elif "--json" in words:
            json.loads(outcome.out, parse_constant=pytest.fail)
        if words[0] == "runs":
            assert outcome.code == 0, outcome
    assert place.state() == before
    return codes


def test_runs_that_are_not_damaged(minidl, place):
    for kind in [*CONFIGS, SWEEP]:
        place.damaged(kind)
        before = place.state()
        for verb in VERBS_FOR_SWEEPS if kind == SWEEP else VERBS:
            outcome = minidl(*words_of(verb, kind))
            # The columns of the table are not those of the plane, and of a sweep only a variant has weights.
            is_refused = (kind == "plane" and "t.csv" in verb) or (kind == SWEEP and verb == ("eval", "RUN"))
            assert outcome.code == (2 if is_refused else 0), (verb, outcome)
        assert place.state() == before


# What may stand in a place of JSON, CSV or YAML.
ODD_TEXTS = st.sampled_from(
    [
        *(
            "",
            "x",
            " ",
            "0",
            "-1",
            "1",
            "1.5",
            "2",
            "NaN",
            "nan",
            "inf",
            "-inf",
            "1e308",
            "1e400",
            "1e-400",
            "null",
            "true",
        ),
        *("[]", "{}", "[[[]]]", '""', '"x"', '"\\ud800"', '"\\u0000"', '"\\u001b[31m[/x]"', "\x1b[31m", "٣", "1_0"),
        *("9" * 18, "9" * 30, "9" * 400, "9" * 5000, "-" + "9" * 30, "x" * 100_000, "[" * 5000, '{"a":' * 5000),
        *(
            "/dev/zero",
            "../../outside/secret",
            "!!python/object/apply:os.system [id]",
            "*x",
            "&x [*x]",
            "finished",
            "failed",
        ),
    ]
)
ODD_VALUES = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1, 2, 1.5, -0.5, 1e308, 10**18, 10**30, 10**400, float("nan"), float("inf")),
        *("", "x", "0", "nan", "p", "\0", "\x1b[31m[/x]", "\ud800", "x" * 100_000, "../../outside", "/dev/zero"),
        *([], {}, [None], [[]], [1, 2], ["p", "q"], ["p", "p"], {"x": 1}, [{}], {"mean": "x"}, {"kind": "number"}),
    ]
)


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yields the way to every value of a JSON document, the whole of it first."""
    yield path
    if isinstance(document, dict | list):
        for key, value in document.items() if isinstance(document, dict) else enumerate(document):
            yield from places(value, (*path, key))


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Returns a document with another value in a place; without the place, where the value is `KeyError`."""
    if not path:
        return {} if value is KeyError else value
    changed = dict(document) if isinstance(document, dict) else list(document)
    inner = replaced(changed[path[0]], path[1:], value) if path[1:] else value
    if inner is KeyError:
        del changed[path[0]]
    else:
        changed[path[0]] = inner
    return changed


def odd_json(draw: Callable[[Any], Any], content: bytes) -> bytes:
    document = json.loads(content)
    path = draw(st.sampled_from(list(places(document))))
    return json.dumps(replaced(document, path, draw(ODD_VALUES | st.just(KeyError)))).encode()


def odd_bytes(draw: Callable[[Any], Any], content: bytes) -> bytes:
    where = draw(st.integers(0, max(0, len(content) - 1)))
    how = draw(st.sampled_from(["flip", "truncate", "insert", "append", "zeros"]))
    if how == "flip":
        return content[:where] + bytes([content[where] ^ (1 << draw(st.integers(0, 7)))]) + content[where + 1 :]
    if how == "truncate":
        return content[:where]
    if how == "zeros":
        return content[:where] + bytes(len(content) - where)
    end = where if how == "insert" else len(content)
    return content[:end] + draw(st.binary(min_size=1, max_size=20)) + content[end:]


def odd_lines(draw: Callable[[Any], Any], content: bytes) -> bytes:
    lines = content.decode().splitlines()
    where = draw(st.integers(0, len(lines) - 1))
    how = draw(st.sampled_from(["drop", "double", "swap", "cell", "value", "add"]))
    if how == "drop":
        del lines[where]
    elif how == "double":
        lines.insert(where, lines[where])
    elif how == "swap":
        lines[where], lines[0] = lines[0], lines[where]
    elif how == "cell":
        cells = lines[where].split(",")
        cells[draw(st.integers(0, len(cells) - 1))] = draw(ODD_TEXTS)
        lines[where] = ",".join(cells)
    elif how == "value":
        lines[where] = f"{lines[where].partition(':')[0]}: {draw(ODD_TEXTS)}"
    else:
        lines.insert(where, draw(ODD_TEXTS))
    return "\n".join([*lines, ""]).encode("utf-8", "surrogatepass")


def odd_header(draw: Callable[[Any], Any], content: bytes) -> bytes:
    """Changes what a file of weights says of itself: names, types, shapes, places."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = odd_json(draw, content[8:end])
    return len(header).to_bytes(8, "little") + header + content[end:]


@st.composite
def changes(draw: Callable[[Any], Any]) -> tuple[str, Callable[[bytes], bytes]]:
    """A file, and what becomes of its content."""
    file = draw(st.sampled_from(FILES))
    ways = [odd_bytes]
    ways += [odd_json] * 3 if file.endswith(".json") else []
    ways += [odd_lines] * 3 if file.endswith((".csv", ".yaml")) else []
    ways += [odd_header] * 3 if file.endswith(".safetensors") else []
    way = draw(st.sampled_from(ways))
    return file, lambda content: way(draw, content)


@pytest.mark.parametrize("kind", CONFIGS)
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_files_with_other_content(minidl, place, kind, data):
    run = place.damaged(kind)
    file, change = data.draw(changes())
    path = run.path / file
    content = path.read_bytes()
    try:
        odd = change(content)
    except UnicodeError:
        assume(False)
    assume(odd != content)
    if path.suffix == ".safetensors" and data.draw(st.booleans()):
        replace_file(run, odd, path.stem)
    else:
        path.write_bytes(odd)
    check_verbs(minidl, place, kind)


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_sweeps_of_variants(minidl, place, data):
    run = place.damaged(SWEEP)
    folder = data.draw(st.sampled_from([".", f"variants/{VARIANT}"]))
    path = run.path / folder / data.draw(st.sampled_from(["summary.json", "summary.json", "config.yaml"]))
    content = path.read_bytes()
    odd = (odd_json if path.suffix == ".json" else odd_lines)(data.draw, content)
    assume(odd != content)
    path.write_bytes(odd)
    check_verbs(minidl, place, SWEEP, VERBS_FOR_SWEEPS)


def put(path: Path, what: str, outside: Path) -> None:
    """Put something else in the place of a file or a folder."""
    if what in ("link to itself", "device"):
        path.unlink() if path.is_file() else shutil.rmtree(path)
        path.symlink_to({"link to itself": path.name, "device": "/dev/zero"}[what])
        return
    moved = path.rename(outside / f"moved {path.name}")
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "empty":
        path.touch()
    elif what == "huge":
        with path.open("wb") as file:
            file.truncate(1 << 42)
    elif what == "link out":
        path.symlink_to(moved)
    elif what == "link to a folder":
        path.symlink_to(outside)


@pytest.mark.parametrize(
    "what", ["gone", "folder", "pipe", "empty", "huge", "link to itself", "device", "link out", "link to a folder"]
)
def test_files_that_are_none(minidl, place, what):
    """Nor are they read through a link, though what it leads to is in order."""
    for number, file in enumerate([*FILES, "weights"]):
        kind = list(CONFIGS)[number % 2]
        put(place.damaged(kind).path / file, what, place.path / "outside")
        codes = check_verbs(minidl, place, kind, (*VERBS[number % 2 :: 2], ("runs",)))
        assert 2 in codes, file


def test_an_export_does_not_leave_the_run_through_a_link(minidl, place):
    for target in (place.path / "outside", "none"):
        run = place.damaged("plane")
        (run.path / "export").symlink_to(target)
        before = place.state()
        outcome = minidl("export", "runs/damaged", "--to", "torch")
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith("runs/damaged/export: is a link; nothing is written through")
        assert place.state() == before


@pytest.mark.parametrize("file", ["/dev/zero", "pipe"])
def test_data_without_an_end(minidl, place, file):
    """A config that a stranger wrote may name anything as its table."""
    run = place.damaged("table")
    os.mkfifo("pipe")
    text = run.config_path.read_text()
    changed = text.replace(str(place.made / "t.csv"), str(place.path / file))
    assert changed != text
    run.config_path.write_text(changed)
    check_verbs(minidl, place, "table")
    with bounded():
        outcome = minidl("eval", "runs/damaged")
    assert outcome.err.startswith(f"{place.path / file}: is a pipe or a device")
