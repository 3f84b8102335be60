"""The 25 kinds of bad input, each given to every verb that it concerns. docs/reliability.md has their numbers."""

import json
import os
import re
import resource
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from minidl_cli import load_config, sweep, train
from minidl_cli.runs.folder import Run

pytestmark = pytest.mark.usefixtures("no_figures")

CONFIG = """\
data: {disc: {train: 40, test: 20}}
model: [linear: 3, tanh, linear: 2]
loss: mse
optimizer: {sgd: 0.1}
training: {epochs: 2, batch_size: 10}
"""
TABLE = "a,b,kind\n" + "".join(f"{place * 7 % 20},{place % 3},{'pqr'[place % 3]}\n" for place in range(30))
OF_TABLE = CONFIG.replace("disc: {train: 40, test: 20}", "table: {file: t.csv, target: kind}").replace(
    "linear: 2]", "linear: 3]"
)

# What takes a config, what takes a run, and what makes a network of a table.
CONFIG_VERBS = [["train"], ["sweep"], ["show"], ["check"]]
RUN_VERBS = [
    ["eval"],
    ["inspect"],
    ["predict", "--data", "t.csv"],
    ["export", "--to", "torch"],
    ["compare"],
    ["show"],
]
with_each_config_verb = pytest.mark.parametrize("verb", CONFIG_VERBS, ids=" ".join)

# What no line to a terminal may hold: all but plain signs.
UNPRINTABLE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
HOSTILE = "[/x]\x1b[31m[bold]"
ESCAPED = r"[/x]\x1b[31m[bold]"


def contents(folder: Path) -> dict[str, tuple[int, int, int]]:
    """All that is in a folder, as far as a change of it could be seen."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        found[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns)
    return found


Refused = Callable[..., list[str]]


@pytest.fixture
def refused(minidl, tmp_path) -> Refused:
    """Runs a command that has to end with exit code 2 and change nothing, and returns the lines that it says."""

    def run(*arguments: str | Path) -> list[str]:
        before = contents(tmp_path)
        outcome = minidl(*arguments)
        assert outcome.code == 2, outcome
        assert outcome.out == ""
        assert "Traceback" not in outcome.err
        assert not UNPRINTABLE.search(outcome.err)
        assert contents(tmp_path) == before
        return outcome.err.splitlines()

    return run


@pytest.fixture
def write(tmp_path) -> Callable[..., Path]:
    """Writes a config, `x.yaml`, and the table `t.csv` beside it."""

    def make(config: str | bytes = CONFIG, table: str | bytes = TABLE) -> Path:
        for name, content in {"x.yaml": config, "t.csv": table}.items():
            (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path / "x.yaml"

    return make


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run folder of a network that was trained on the table."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "x.yaml").write_text(OF_TABLE)
    (folder / "t.csv").write_text(TABLE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minidl_cli.sweeps.drawing.draw_figures", lambda *_: None)
        return train(load_config(folder / "x.yaml"), runs_dir=folder / "runs").path


def in_a_process(folder: Path, *arguments: str | Path, most_bytes: int = 3 << 30) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, which has a minute and so much memory."""
    return subprocess.run(
        [sys.executable, "-m", "minidl_cli", *map(str, arguments)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes)),
    )


# --- Files of text --------------------------------------------------------------------------------------------------


@with_each_config_verb
@pytest.mark.parametrize("text", ["", "\n \n", "# nothing\n", "---\n", "~"])
def test_01_empty_file(refused, write, verb, text):
    write(text)
    assert refused(*verb, "x.yaml") == ["x.yaml: config is empty"]


@with_each_config_verb
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_02_byte_order_marks(minidl, write, verb, encoding):
    mark = "" if encoding in ("utf-8-sig", "utf-16") else "\ufeff"
    write((mark + CONFIG).encode(encoding))
    assert minidl(*verb, "x.yaml").code == 0


@with_each_config_verb
@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("name: caf\xe9".encode("latin-1"), "x.yaml:6:10: the byte 0xe9 is not UTF-8; save the file as UTF-8"),
        (b"name: a\0b", r"x.yaml:6:8: the character '\x00' is not allowed in YAML; save the file as UTF-8 text"),
    ],
    ids=["latin-1", "NUL"],
)
def test_03_other_bytes(refused, write, verb, line, problem):
    write(CONFIG.encode() + line)
    (found,) = refused(*verb, "x.yaml")
    assert found.startswith(problem)


@pytest.mark.parametrize(
    "verb", [["train", "x.yaml"], ["show", "x.yaml"], ["init", "--data", "t.csv", "--target", "kind"]]
)
def test_03_other_bytes_in_a_table(refused, write, verb):
    write(OF_TABLE, TABLE.encode() + b"1,2,\xe9\n")
    (found,) = refused(*verb)
    assert found.endswith("t.csv: line 32: byte 0xe9 at place 5 is not UTF-8; save the file in UTF-8")


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("optimizer: {sgd: {lr: 1e-3}}", "optimizer", 0.001),
        ("name: yes", "name", "yes"),
        ("name: off", "name", "off"),
        ("name: 1:30", "name", "1:30"),
        ("name: 2026-01-31", "name", "2026-01-31"),
        ("data_seed: 010", "data_seed", 10),
    ],
)
def test_04_numbers_and_words_are_those_of_yaml_1_2(minidl, write, line, key, value):
    kept = [each for each in CONFIG.splitlines() if not each.startswith(f"{key}:")]
    write("\n".join([*kept, line]))
    found = json.loads(minidl("show", "x.yaml", "--resolved", "--json").out)[key]
    assert (found["sgd"]["lr"] if key == "optimizer" else found) == value
    assert minidl("train", "x.yaml", "-q").code == 0


def with_(old: str, new: str) -> str:
    """The config with something else in it."""
    assert old in CONFIG
    return CONFIG.replace(old, new)


MISTAKES = {
    "05 text for a number": (
        with_("sgd: 0.1", 'sgd: {lr: "0.1"}'),
        "x.yaml:4:23: optimizer.sgd.lr: must be a number, not the text '0.1'",
    ),
    "06 key twice": (
        CONFIG + "loss: l1",
        "x.yaml:6:1: the key 'loss' is set before, at x.yaml:3:1; keep one of the two",
    ),
    "07 unknown key": (
        with_("{epochs: 2,", "{epochs: 2, epoch: 3,"),
        "x.yaml:5:23: training.epoch: unknown key; did you mean 'epochs'?",
    ),
    "08 unknown component": (
        with_("tanh", "tahn"),
        "x.yaml:2:20: model.1: no such layer: 'tahn'; did you mean 'tanh'?",
    ),
    "08 component like no other": (
        with_("mse", "zzz"),
        "x.yaml:3:7: loss: no such loss: 'zzz'; known here: bce, bce_with_logits, cross_entropy, huber, l1, mse",
    ),
    "09 missing key": (with_("loss: mse\n", ""), "x.yaml:1:1: loss: missing"),
    "09 missing argument": (with_("{sgd: 0.1}", "sgd"), "x.yaml:4:12: optimizer.sgd.lr: missing"),
    "11 epochs below 0": (with_("epochs: 2", "epochs: -1"), "x.yaml:5:20: training.epochs: must be at least 0, not -1"),
    "11 half an epoch": (
        with_("epochs: 2", "epochs: 2.5"),
        "x.yaml:5:20: training.epochs: must be a whole number, not 2.5",
    ),
    "11 true epochs": (
        with_("epochs: 2", "epochs: true"),
        "x.yaml:5:20: training.epochs: must be a whole number, not true",
    ),
    "11 layer of no width": (
        with_("linear: 3", "linear: 0"),
        "x.yaml:2:17: model.0.linear.out_features: must be greater than 0, not 0",
    ),
    "12 NaN": (with_("sgd: 0.1", "sgd: .nan"), "x.yaml:4:18: optimizer.sgd.lr: must be a finite number, not .nan"),
    "12 infinity": (
        with_("sgd: 0.1", "sgd: -.inf"),
        "x.yaml:4:18: optimizer.sgd.lr: must be a finite number, not -.inf",
    ),
    "12 beyond a float": (
        with_("sgd: 0.1", "sgd: 1e400"),
        "x.yaml:4:18: the number '1e400' is too large; a number is at most about 1.8e308",
    ),
    "13 5,000 digits": (
        CONFIG + f"seed: {'9' * 5000}",
        f"x.yaml:6:7: the number '{'9' * 59}…' is too large; an integer has at most 18 digits",
    ),
    "13 10^400": (
        CONFIG + f"seed: 1{'0' * 400}",
        f"x.yaml:6:7: the number '1{'0' * 58}…' is too large; an integer has at most 18 digits",
    ),
    "14 tab": (CONFIG + "sweep:\n\trounds: 3\n", "x.yaml:7:1: a tab cannot stand here; use spaces"),
    "17 python tag": (
        CONFIG + 'name: !!python/object/apply:os.system ["touch pwned"]',
        "x.yaml:6:7: the tag '!!python/object/apply:os.system' is not allowed; remove it",
    ),
    "17 tag of one's own": (CONFIG + "name: !mine x", "x.yaml:6:7: the tag '!mine' is not allowed; remove it"),
    "18 two documents": (f"{CONFIG}---\n{CONFIG}", "x.yaml:6:1: a second document begins here; keep only one"),
    "18 list": ("- a\n", "x.yaml:1:1: the config must be a mapping of keys, not a list; write 'key: value' lines"),
    "18 scalar": (
        "a",
        "x.yaml:1:1: the config must be a mapping of keys, not a single value; write 'key: value' lines",
    ),
    "19 no layers": (with_("[linear: 3, tanh, linear: 2]", "[]"), "x.yaml:2:8: model: must not be empty"),
    "19 no parameters": (
        with_("[linear: 3, tanh, linear: 2]", "[tanh]"),
        "x.yaml:2:8: model: has no parameters, so there is nothing to train; add a linear layer",
    ),
    "20 layer that does not fit": (
        with_("linear: 2]", "linear: 5]"),
        "x.yaml:2:26: model.2: the network puts out 5 values after this linear layer, but disc has 2 classes; "
        "the outputs must be 2 (one for each class) or 1",
    ),
    "20 target that does not fit": (
        with_("disc: {train: 40, test: 20}", "regression_2d: {train: 40, test: 20}"),
        "x.yaml:2:26: model.2: the network puts out 2 values after this linear layer, but regression_2d has 1 target "
        "column; the outputs must be 1",
    ),
    "23 data that cannot fit in memory": (
        with_("train: 40", "train: 1000000000000"),
        "x.yaml:1:7: data: 1,000,000,000,020 samples would take about ",
    ),
    "24 parent folder": (CONFIG + "name: ../x", "x.yaml:6:7: name: must not start with a dot or contain slashes: "),
    "24 absolute path": (CONFIG + "name: /tmp/x", "x.yaml:6:7: name: must not start with a dot or contain slashes: "),
    "24 300 characters": (CONFIG + "name: " + "x" * 300, "x.yaml:6:7: name: must have at most 80 characters, not 300"),
    "24 more bytes than a folder's name": (
        CONFIG + "name: " + "\U0001f40c" * 80,
        "x.yaml:6:7: name: must have at most 220 bytes in UTF-8: it becomes part of a folder's name",
    ),
    "24 newline": (
        CONFIG + r'name: "a\nb"',
        r"x.yaml:6:7: name: must have printable characters only, not 'a\nb'",
    ),
    "24 escape code": (
        CONFIG + r'name: "\e[31m"',
        r"x.yaml:6:7: name: must have printable characters only, not '\x1b[31m'",
    ),
    "25 control characters": (
        CONFIG + r'"\e[31m[/x]": 1',
        r"x.yaml:6:1: \x1b[31m[/x]: unknown key; known here: ",
    ),
}


@with_each_config_verb
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_in_a_config(refused, write, verb, mistake):
    """Each is one line with its place; what runs on nevertheless would leave a run folder."""
    config, problem = MISTAKES[mistake]
    write(config)
    (found,) = refused(*verb, "x.yaml")
    assert found.startswith(problem)
    assert found == problem or problem.endswith((": ", " about "))


@with_each_config_verb
def test_10_all_errors_at_once(refused, write, verb):
    write("data: disk\nmodel: [linear: 0, tahn]\noptimizer: sgd\ntraining: {epoch: 3, batch_size: 2.5}\n")
    found = refused(*verb, "x.yaml", "-s", "seed=-1")
    places = [re.match(r"(x\.yaml:\d+:\d+|-s seed=-1): ([\w.]+): ", line) for line in found]
    assert [place and place.groups() for place in places] == [
        ("-s seed=-1", "seed"),
        ("x.yaml:1:1", "loss"),
        ("x.yaml:1:7", "data"),
        ("x.yaml:2:17", "model.0.linear.out_features"),
        ("x.yaml:2:20", "model.1"),
        ("x.yaml:3:12", "optimizer.sgd.lr"),
        ("x.yaml:4:11", "training.epochs"),
        ("x.yaml:4:12", "training.epoch"),
        ("x.yaml:4:34", "training.batch_size"),
    ]


@with_each_config_verb
def test_10_too_many_errors_to_read(refused, write, verb):
    write(CONFIG + "".join(f"k{place}: 1\n" for place in range(3_000)))
    found = refused(*verb, "x.yaml")
    assert len(found) == 101
    assert found[-1] == "x.yaml: 2,900 more problems"


def test_11_no_epochs(minidl, write):
    write(with_("epochs: 2", "epochs: 0"))
    assert minidl("train", "x.yaml").code == 0


@pytest.mark.parametrize("option", ["--seed", "-straining.epochs="])
def test_13_options_of_5000_digits(refused, write, option):
    write()
    found = refused("train", "x.yaml", *([option, "9" * 5000] if option == "--seed" else [option + "9" * 5000]))
    assert len(found[-1]) < 6000


# --- Files that are traps --------------------------------------------------------------------------------------------


def aliases_of_aliases() -> str:
    lists = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 12)]
    return "\n".join(["a0: &a0 [x, x, x]", *lists])


def merges_of_merges() -> str:
    """616 bytes that PyYAML takes seconds for."""
    mappings = [f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 9)}]}}" for level in range(1, 9)]
    return "\n".join(["a0: &a0 {x: 1}", *mappings])


@with_each_config_verb
@pytest.mark.parametrize(
    ("bomb", "problem"),
    [(aliases_of_aliases, "more than 100,000 values"), (merges_of_merges, "unknown key")],
)
def test_15_bombs(refused, write, verb, bomb, problem):
    write(CONFIG + bomb())
    assert all(problem in line for line in refused(*verb, "x.yaml"))


def test_15_bomb_in_little_memory(tmp_path, write):
    write(CONFIG + aliases_of_aliases())
    done = in_a_process(tmp_path, "train", "x.yaml")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "more than 100,000 values, with aliases expanded; use fewer" in done.stderr


def test_15_modest_aliases(minidl, write):
    write(with_("[linear: 3, tanh, linear: 2]", "[linear: &l {out_features: 2}, tanh, linear: {<<: *l, bias: false}]"))
    layers = json.loads(minidl("show", "x.yaml", "--json").out)["layers"]
    assert [layer["count"] for layer in layers] == [6, 0, 4]


TOO_DEEP = r"x\.yaml:\d+:\d+: more than 50 levels of nesting; use fewer"


def test_16_deep_nesting(tmp_path, write):
    """A crash of the process, such as of C code that runs out of its stack, would have another exit code."""
    write(CONFIG + "name: " + "[" * 100_000)
    done = in_a_process(tmp_path, "train", "x.yaml")
    assert done.returncode == 2
    assert re.fullmatch(TOO_DEEP + "\n", done.stderr)
    assert not (tmp_path / "runs").exists()


@with_each_config_verb
@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_16_deep_nesting_of_every_form(refused, write, verb, opening):
    write(opening * 100_000)
    (found,) = refused(*verb, "x.yaml")
    assert re.fullmatch(TOO_DEEP, found)


@with_each_config_verb
def test_16_deep_nesting_in_an_option(refused, write, verb):
    write()
    (found,) = refused(*verb, "x.yaml", "-s", f"name={'[' * 100_000}")
    assert found.endswith("more than 50 levels of nesting; use fewer")


# --- Tables ----------------------------------------------------------------------------------------------------------

TABLES = {
    "ragged": (
        TABLE + "1,2\n",
        "t.csv: line 32 has 2 fields, but the header has 3; write one for each column, with ',' between them",
    ),
    "text in a numeric column": (TABLE + "x,2,p\n", "t.csv: line 32, column 'a': 'x' is not a number; "),
    "missing values": (TABLE + ",2,p\n", "t.csv: line 32, column 'a': there is no value; "),
    "no rows": ("a,b,kind\n", "t.csv: has no rows below its header"),
    "one class": (
        TABLE.replace("q", "p").replace("r", "p"),
        "t.csv: column 'kind': has one class only, 'p', so there is nothing to predict",
    ),
    "no target": (TABLE.replace("kind", "kid"), "t.csv: no column 'kind'; did you mean 'kid'?"),
    "nothing at all": ("", "t.csv: is empty; its first line should hold the names of the columns"),
}


@with_each_config_verb
@pytest.mark.parametrize("table", TABLES)
def test_21_tables(refused, write, tmp_path, verb, table):
    content, problem = TABLES[table]
    write(OF_TABLE, content)
    (found,) = refused(*verb, "x.yaml")
    assert found.removeprefix(f"{tmp_path}/").startswith(problem)


@pytest.mark.parametrize("table", ["ragged", "no rows", "no target", "nothing at all"])
def test_21_tables_that_no_config_can_be_written_for(refused, write, table):
    """`init` leaves columns out that it cannot read, and fills gaps."""
    content, problem = TABLES[table]
    write(CONFIG, content)
    (found,) = refused("init", "--data", "t.csv", "--target", "kind")
    assert found.startswith(problem)


@pytest.mark.parametrize("verb", ["predict", "eval"])
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (TABLES["ragged"]),
        (TABLES["text in a numeric column"]),
        (
            TABLE + ",2,p\n",
            "t.csv: line 32, column 'a': there is no value, and the network has learned none to fill in",
        ),
        (TABLES["no rows"]),
        (TABLES["nothing at all"]),
        (TABLE.replace("b", "B"), "t.csv: no column 'b'; did you mean 'B'?"),
    ],
)
def test_21_new_tables(refused, trained, tmp_path, verb, content, problem):
    (tmp_path / "t.csv").write_text(content)
    (found,) = refused(verb, trained, "--data", "t.csv")
    assert found.startswith(problem)


def test_22_batch_larger_than_the_data(minidl, write):
    write(with_("batch_size: 10", "batch_size: 1000"))
    outcome = minidl("train", "x.yaml", "--json")
    assert outcome.code == 0
    assert "training.batch_size is 1000, but there are 40 samples: an epoch is one batch\n" in outcome.err
    assert json.loads(outcome.out)["steps"] == 2


# --- Memory, names and places ----------------------------------------------------------------------------------------

LARGE = "model=[linear: 1000000, linear: 1000000, linear: 2]"


@pytest.mark.parametrize("verb", [["train"], ["sweep"], ["check"]])
def test_23_model_that_cannot_fit_in_memory(refused, write, verb):
    write()
    (found,) = refused(*verb, "x.yaml", "-s", LARGE)
    assert re.search(r"this would take about \d+\.0 TB of memory, .*but this machine has", found)


def test_23_show_says_what_it_would_take(minidl, write):
    write()
    assert json.loads(minidl("show", "x.yaml", "-s", LARGE, "--json").out)["memory"]["total"] > 8e12


@pytest.mark.parametrize("every", [1, 7])
def test_23_epochs_whose_metrics_cannot_fit_in_memory(refused, write, every):
    write()
    (found,) = refused("train", "x.yaml", "-s", "training.epochs=100000000000000", "-s", f"training.log_every={every}")
    assert "of memory" in found
    assert "a larger training.log_every" in found


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "x" * 300, "a\nb", "\x1b[31m", "", ".", "..", "a\\b", "\u202ex"])
@pytest.mark.parametrize("verb", [["train"], ["sweep"]])
def test_24_names(refused, write, verb, name):
    write()
    (found,) = refused(*verb, "x.yaml", "--name", name)
    assert re.match(r"(-s|--name) .*: name: must ", found)


@pytest.mark.parametrize("place", ["dangling link", "file", "pipe", "link to itself", "link to a file"])
@pytest.mark.parametrize("verb", [["train"], ["sweep"]])
def test_24_runs_folder_that_is_none(refused, write, tmp_path, verb, place):
    write()
    runs = tmp_path / "runs"
    match place:
        case "dangling link":
            runs.symlink_to("elsewhere")
        case "file":
            runs.write_text("mine")
        case "pipe":
            os.mkfifo(runs)
        case "link to itself":
            runs.symlink_to("runs")
        case "link to a file":
            runs.symlink_to("x.yaml")
    (found,) = refused(*verb, "x.yaml")
    assert found.startswith("runs: ")


@pytest.mark.parametrize("runs_dir", ["x.yaml", "x.yaml/below", "/dev/null", "/proc/none", "a" * 5000])
def test_24_odd_runs_folders(refused, write, runs_dir):
    write()
    assert len(refused("train", "x.yaml", "--runs-dir", runs_dir)) == 1


REFERENCES = ["../none", "/none", "x" * 300, "x" * 5000, "a\nb\x1b[31m", "", ".", "x.yaml", "/dev/null", "x.yaml/y"]


@pytest.mark.parametrize(
    ("verb", "reference"),
    [(verb, each) for verb in RUN_VERBS for each in REFERENCES if (verb, each) != (["show"], "x.yaml")],  # a config
    ids=lambda part: part[0] if isinstance(part, list) else ascii(part[:20]),
)
def test_24_runs_that_are_none(refused, write, verb, reference):
    write()
    (found,) = refused(*verb, reference)
    assert found


@pytest.mark.parametrize("part", ["export", "export/network.py", "export/network.safetensors"])
def test_24_nothing_is_exported_through_a_link(minidl, trained, tmp_path, part):
    import shutil

    run = tmp_path / "run"
    shutil.copytree(trained, run)
    outside = tmp_path / "outside"
    (run / part).parent.mkdir(exist_ok=True)
    if part == "export":
        outside.mkdir()
    else:
        outside.write_text("mine")
    (run / part).symlink_to(outside)
    before = contents(outside) if outside.is_dir() else outside.read_text()
    minidl("export", run, "--to", "torch")
    assert (contents(outside) if outside.is_dir() else outside.read_text()) == before


# --- What a terminal could take for a command ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """A folder with a config, a table and a run in which every name is hostile that may be."""
    folder = tmp_path_factory.mktemp("hostile")
    labels = [f"{HOSTILE}{number}" for number in "pqr"]
    rows = [f"{place * 7 % 20},{labels[place % 3]},{labels[place * 5 % 3]}" for place in range(60)]
    (folder / "t\x1b[31m[b].csv").write_text("\n".join([f"{HOSTILE}a,{HOSTILE}b,{HOSTILE}y", *rows]) + "\n")
    name, target = json.dumps("t\x1b[31m[b].csv"), json.dumps(f"{HOSTILE}y")
    config = OF_TABLE.replace("file: t.csv", f"file: {name}").replace("target: kind", f"target: {target}")
    (folder / "x.yaml").write_text(config + 'name: "[red]x[/y]"'.replace("/", "|") + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minidl_cli.sweeps.drawing.draw_figures", lambda *_: None)
        sweep(load_config(folder / "x.yaml", ["sweep.rounds=2"]), runs_dir=folder / "runs", workers=1)
        train(load_config(folder / "x.yaml", ["seed=5"]), runs_dir=folder / "runs")
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "x.yaml"],
        ["show", "x.yaml", "--json"],
        ["show", "latest"],
        ["check", "x.yaml"],
        ["eval", "latest"],
        ["eval", "latest", "--json"],
        ["eval", "latest", "--data", "t\x1b[31m[b].csv"],
        ["inspect", "latest"],
        ["inspect", "latest", "--sample", "0"],
        ["runs"],
        ["runs", "--json"],
        ["compare", "RUN", "latest"],
        ["train", "x.yaml", "--runs-dir", "NEW"],
        ["sweep", "x.yaml", "--rounds", "2", "--workers", "1", "--runs-dir", "NEW"],
        ["sweep", "x.yaml", "--vary", f'data.table.target=["{HOSTILE}y"]', "--workers", "1", "--runs-dir", "NEW"],
        ["export", "latest", "--to", "torch", "-o", "NEW"],
        ["init", "--data", "t\x1b[31m[b].csv", "--target", f"{HOSTILE}y", "-o", "NEW"],
    ],
    ids=lambda arguments: ascii(" ".join(arguments[:3])),
)
def test_25_names_are_shown_as_they_are(minidl, hostile, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(hostile)
    places = {"RUN": Run.all(Path("runs"))[0].id, "NEW": str(tmp_path / "new")}
    escaped = [each.replace("\x1b", r"\e") if "target=" in each else each for each in arguments]
    outcome = minidl(*(places.get(each, each) for each in escaped))
    assert outcome.code == 0, outcome.err
    assert not UNPRINTABLE.search(outcome.out + outcome.err)
    if arguments[0] in ("runs", "compare"):
        assert "[red]x[|y]" in outcome.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", f"{HOSTILE}\n.yaml"],
        ["show", f"{HOSTILE}\n.yaml"],
        ["show", "x.yaml", "-s", f"{HOSTILE}\n=1"],
        ["check", "x.yaml", "-s", f"model={HOSTILE}"],
        ["sweep", "x.yaml", "--vary", f"{HOSTILE}\n=1"],
        ["train", "x.yaml", "--runs-dir", f"x.yaml/{HOSTILE}\n"],
        ["eval", f"{HOSTILE}\n"],
        ["eval", "latest", "--runs-dir", f"{HOSTILE}\n"],
        ["inspect", f"{HOSTILE}\n"],
        ["export", f"{HOSTILE}\n", "--to", "torch"],
        ["compare", f"{HOSTILE}\n"],
        ["predict", f"{HOSTILE}\n", "--data", "t.csv"],
        ["predict", "RUN", "--data", f"{HOSTILE}\n"],
        ["predict", "RUN", "--data", "t.csv", "-o", f"none/{HOSTILE}\n"],
        ["predict", "RUN", "--data", "t.csv", "--keep", f"{HOSTILE}\n"],
        ["eval", "RUN", "--split", f"{HOSTILE}\n"],
        ["inspect", "RUN", "--split", f"{HOSTILE}\n"],
        ["init", "--data", f"{HOSTILE}\n", "--target", "y"],
        ["init", "--data", "t.csv", "--target", f"{HOSTILE}\n"],
        ["init", "--template", f"{HOSTILE}\n"],
        ["init", "--template", "disc", "-o", f"none/{HOSTILE}\n"],
        ["init", "--template", "disc", "-o", "x.yaml/y"],
        ["init", "--template", "disc", "-o", "x" * 5000],
        ["init", "--data", "x" * 5000, "--target", "y"],
        ["predict", "RUN", "--data", "x" * 5000],
        ["predict", "RUN", "--data", "t.csv", "-o", "x" * 5000],
    ],
    ids=lambda arguments: ascii(" ".join(arguments))[:60],
)
def test_25_errors_are_one_line_each(refused, write, trained, arguments):
    write()
    assert len(refused(*(trained if each == "RUN" else each for each in arguments))) == 1


# --- Files that are none ---------------------------------------------------------------------------------------------


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(path.name)


TRAPS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "/dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "terabyte of nothing": lambda path: (path.touch(), os.truncate(path, 1 << 40)),
    "link to itself": lambda path: path.symlink_to(path.name),
    "dangling link": lambda path: path.symlink_to("none"),
    "socket": _socket,
}


@with_each_config_verb
@pytest.mark.parametrize("trap", TRAPS)
def test_config_that_is_a_trap(refused, tmp_path, verb, trap):
    TRAPS[trap](tmp_path / "x.yaml")
    (found,) = refused(*verb, "x.yaml")
    assert found.startswith("x.yaml: ")


@pytest.mark.parametrize(
    "verb",
    [*([*each, "x.yaml"] for each in CONFIG_VERBS), ["init", "--data", "t.csv", "--target", "kind"]],
    ids=" ".join,
)
@pytest.mark.parametrize("trap", TRAPS)
def test_table_that_is_a_trap(refused, write, tmp_path, verb, trap):
    write(OF_TABLE)
    (tmp_path / "t.csv").unlink()
    TRAPS[trap](tmp_path / "t.csv")
    (found,) = refused(*verb)
    assert "t.csv: " in found


@pytest.mark.parametrize("verb", ["predict", "eval"])
@pytest.mark.parametrize("trap", TRAPS)
def test_new_table_that_is_a_trap(refused, trained, tmp_path, verb, trap):
    TRAPS[trap](tmp_path / "t.csv")
    (found,) = refused(verb, trained, "--data", "t.csv")
    assert found.startswith("t.csv: ")


@contextmanager
def without_privileges() -> Iterator[None]:
    """Let permissions count even for the superuser."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize(
    ("verb", "file"),
    [
        *(([*each, "x.yaml"], "x.yaml") for each in CONFIG_VERBS),
        (["init", "--data", "t.csv", "--target", "kind"], "t.csv"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else part,
)
def test_file_that_may_not_be_read(minidl, write, tmp_path, verb, file):
    write(OF_TABLE)
    tmp_path.chmod(0o755)
    (tmp_path / file).chmod(0)
    before = contents(tmp_path)
    with without_privileges():
        outcome = minidl(*verb)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.endswith(f"{file}: cannot be read: Permission denied\n")
    assert contents(tmp_path) == before


@with_each_config_verb
@pytest.mark.parametrize("name", ["-x.yaml", "a\n\x1b[31m[b].yaml", "--help", " .yaml", "ü.yaml", "*.yaml"])
def test_config_with_an_odd_name(minidl, tmp_path, verb, name):
    (tmp_path / name).write_text(CONFIG + "name: x\n")
    outcome = minidl(*verb, "--", name)
    assert outcome.code == 0, outcome.err
    assert not UNPRINTABLE.search(outcome.out + outcome.err)


def test_pipe_with_a_config_is_read(minidl):
    """As of `minidl show <(command)`."""
    source, sink = os.pipe()
    os.write(sink, CONFIG.encode())
    os.close(sink)
    assert minidl("show", f"/dev/fd/{source}").code == 0
    os.close(source)


def test_standard_input_without_end(trained, tmp_path, monkeypatch, refused):
    monkeypatch.setattr("minidl_cli.training.new_tables.physical_memory", lambda: 80_000)
    with Path("/dev/zero").open() as endless:
        monkeypatch.setattr("sys.stdin", endless)
        (found,) = refused("predict", trained, "--data", "-")
    assert found == "standard input: has more than 10.0 kB, which may not fit in memory; write it to a file"


def test_the_traps_are_real(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, make in TRAPS.items():
        path = tmp_path / name.strip("/").replace("/", "-")
        make(path)
        assert path.is_symlink() or stat.S_IFMT(path.stat().st_mode)
