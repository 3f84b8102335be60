"""Reading a run folder that an enemy may have made: nothing outside of it, nothing that waits, nothing without end."""

import os
import re
import socket
from pathlib import Path

import pytest

from minidl_cli.errors import InputError
from minidl_cli.runs.folder import MOST_JSON_BYTES, Run
from minidl_cli.runs.reading import read_inside

FILES = {"config.yaml": "name: a\n", "environment.json": "{}\n"}
MOST = 100


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "folder/below").mkdir(parents=True)
    (tmp_path / "folder/below/file").write_text("here")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("secret")
    return tmp_path / "folder"


def make_special(path: Path, kind: str) -> None:
    """Put something in a file's place that is none."""
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            here = Path.cwd()
            os.chdir(path.parent)  # the path of a socket has at most 107 signs
            made.bind(path.name)
            os.chdir(here)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "dangling link":
        path.symlink_to("nowhere")
    elif kind == "link to itself":
        path.symlink_to(path.name)


SPECIAL = ("pipe", "socket", "folder", "link", "device", "dangling link", "link to itself")


def refused(folder: Path, name: str, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        read_inside(folder, name, MOST)
    assert len(caught.value.problems) == 1


def test_a_file_is_read(folder):
    assert read_inside(folder, "below/file", MOST) == read_inside(folder, "below/file", 4) == b"here"


def test_the_folder_may_be_a_link(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert read_inside(tmp_path / "link", "below/file", MOST) == b"here"


def test_a_file_that_is_not_there(folder):
    for name in ("none", "none/file"):
        with pytest.raises(FileNotFoundError):
            read_inside(folder, name, MOST)


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file(folder, kind):
    make_special(folder / "below/special", kind)
    kinds = {"folder": "is a folder, not a file", "pipe": "is a special file", "socket": "is a special file"}
    refused(folder, "below/special", f"below/special: {kinds.get(kind, 'is a link; nothing is read')}")


def test_a_link_on_the_way(folder):
    (folder / "way").symlink_to("../outside")
    (folder / "inner").symlink_to("below")
    for name in ("way", "inner"):
        refused(folder, f"{name}/file", f"folder/{name}: is a link")


def test_a_file_that_is_too_large(folder):
    with (folder / "large").open("wb") as file:
        file.truncate(1 << 40)  # it has a hole, and takes no room
    refused(folder, "large", "large: has 1,099,511,627,776 bytes; here it can have 100 at most")


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "below/file/more", "\ud800"], ids=["nul", "long", "file", "half"])
def test_names_that_no_file_has(folder, name):
    refused(folder, name, "cannot be read: ")


class TestRun:
    @pytest.fixture
    def run(self, tmp_path):
        run = Run.create(tmp_path / "runs", "a", FILES | {"variants/b/config.yaml": "name: b\n"})
        for name, content in {"summary.json": "{}", "columns.json": "{}", "rounds.csv": "", "metrics.csv": ""}.items():
            (run.path / name).write_text(content)
            (run.path / "variants/b" / name).write_text(content)
        return run

    READERS = (
        ("summary.json", Run.summary),
        ("environment.json", Run.environment),
        ("environment.json", Run.data_files),
        ("columns.json", Run.columns),
        ("rounds.csv", Run.round_rows),
        ("config.yaml", lambda run: run.config_path),
    )

    @pytest.mark.parametrize(("name", "read"), READERS, ids=[name for name, _ in READERS])
    @pytest.mark.parametrize("kind", SPECIAL)
    def test_what_is_no_file_is_not_read(self, run, name, read, kind):
        make_special(run.path / name, kind)
        with pytest.raises(InputError, match=re.escape(f"{run.path / name}: is a")):
            read(run)

    @pytest.mark.parametrize("kind", SPECIAL)
    def test_metrics(self, run, kind):
        (run.path / "rounds.csv").write_text("seed,status,epochs\n0,finished,1\n")
        make_special(run.metrics_path, kind)
        with pytest.raises(InputError, match=r"metrics\.csv: is a"):
            run.curves(3)

    @pytest.mark.parametrize("place", ["variants", "variants/b", "variants/b/summary.json"])
    def test_a_variant_is_not_read_through_a_link_of_the_sweep(self, run, tmp_path, place):
        (run.path / place).rename(tmp_path / "outside")
        (run.path / place).symlink_to(tmp_path / "outside")
        for variant in (run.variant("b"), Run(Path(f"{run.path}/variants/b"))):
            with pytest.raises(InputError, match=f"{run.id}/{place}: is a link"):
                variant.summary()

    def test_a_config_that_is_not_there(self, run):
        (run.path / "config.yaml").unlink()
        with pytest.raises(InputError, match=r"config\.yaml: cannot be read: No such file"):
            _ = run.config_path

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[" * 100_000,
            '{"a":' * 100_000,
            "[]",
            "3",
            "null",
            '"x"',
            "9" * 5000,
            '{"a": NaN}',
            "[1e999]",
            "{}{}",
        ],
    )
    def test_json_that_is_no_object(self, run, text):
        (run.path / "summary.json").write_text(text)
        with pytest.raises(InputError, match=r"summary\.json: cannot be read: ") as caught:
            run.summary()
        assert len(str(caught.value)) < 500

    def test_json_that_is_too_large(self, run):
        os.truncate(run.path / "summary.json", MOST_JSON_BYTES + 1)
        with pytest.raises(InputError, match=r"summary\.json: has 33,554,433 bytes; here it can have"):
            run.summary()

    def test_a_table_of_more_rows_than_the_rounds_have_epochs(self, run):
        (run.path / "rounds.csv").write_text("seed,status,epochs\n0,finished,1\n1,diverged,2\n")
        os.truncate(run.metrics_path, 7169)
        with pytest.raises(InputError, match=r"metrics\.csv: has 7,169 bytes; here it can have 7,168 at most"):
            run.curves(3)

    def test_rounds_without_end(self, run, monkeypatch):
        monkeypatch.setattr("minidl_cli.runs.folder.MOST_ROUNDS", 3)
        for rows, problem in [(4, "it has too many rounds"), (400, "here it can have 3,072 at most")]:
            lines = ["seed,status,epochs", *(f"{seed},finished,1" for seed in range(rows))]
            (run.path / "rounds.csv").write_text("\n".join(lines))
            with pytest.raises(InputError, match=problem):
                run.rounds()


class TestRefusingLinks:
    @pytest.fixture
    def run(self, tmp_path):
        return Run.create(tmp_path / "runs", "a", FILES | {"weights/last.safetensors": "x", "variants/b/c/file": "y"})

    def test_files_and_folders_are_fine(self, run, tmp_path):
        run.refuse_links()
        (tmp_path / "link").symlink_to(run.path)
        Run(tmp_path / "link").refuse_links()

    @pytest.mark.parametrize("kind", [kind for kind in SPECIAL if kind != "folder"])
    @pytest.mark.parametrize("place", ["x", ".x.tmp", "weights/x", "variants/b/c/x"])
    def test_anything_else_anywhere_is_refused(self, run, kind, place):
        make_special(run.path / place, kind)
        what = "a special file" if kind in ("pipe", "socket") else "a link"
        with pytest.raises(InputError, match=re.escape(f"{run.path / place}: is {what}; nothing is written")):
            run.refuse_links()

    def test_the_first_is_named_and_none_is_followed(self, run, tmp_path):
        for name in ("z", "y"):
            (run.path / name).symlink_to(tmp_path)
        (run.path / "up").symlink_to("..")
        with pytest.raises(InputError, match="up: is a link") as caught:
            run.refuse_links()
        assert len(caught.value.problems) == 1

    def test_a_variant_of_a_sweep_that_is_a_link(self, run, tmp_path):
        (run.path / "variants/b").rename(tmp_path / "outside")
        (tmp_path / "outside/config.yaml").write_text("name: b\n")
        (run.path / "variants/b").symlink_to(tmp_path / "outside")
        with pytest.raises(InputError, match="variants/b: is a link"):
            run.variant("b").refuse_links()

    def test_a_path_that_is_too_long(self, run):
        here = Path.cwd()
        os.chdir(run.path)
        for _ in range(45):
            Path("d" * 100).mkdir()
            os.chdir("d" * 100)
        os.chdir(here)
        with pytest.raises(InputError, match="cannot be read: File name too long"):
            run.refuse_links()


def test_temporaries_are_swept(tmp_path):
    run = Run.create(tmp_path, "a", FILES | {"weights/last.safetensors": "x", "variants/b/file": "y"})
    kept = {path for path in run.path.rglob("*") if path.is_file()}
    for place in (".last.safetensors.0123abcd.tmp", "weights/.x.ffffffff.tmp", "variants/b/. \n.00000000.tmp"):
        (run.path / place).write_text("half")
    for place in ("tmp", "x.tmp", ".x.0123abc.tmp", ".x.0123abcd.tmp.y", ".0123abcd.tmp"):
        (run.path / place).write_text("a user's")
        kept.add(run.path / place)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/.x.0123abcd.tmp").write_text("another's")
    for link, target in {"link": "outside", ".link.0123abcd.tmp": "outside/.x.0123abcd.tmp"}.items():
        (run.path / link).symlink_to(tmp_path / target)
        kept.add(run.path / link)
    (run.path / ".folder.0123abcd.tmp").mkdir()
    run.sweep_temporaries()
    assert {path for path in run.path.rglob("*") if path.is_symlink() or path.is_file()} == kept
    assert (tmp_path / "outside/.x.0123abcd.tmp").read_text() == "another's"
    assert (run.path / ".folder.0123abcd.tmp").is_dir()


def test_what_a_killed_write_leaves_is_a_temporary(tmp_path, monkeypatch):
    """Its name is what `sweep_temporaries` looks for; here it is killed before it can clean up."""
    from minidl_cli.atomic import write_atomically

    run = Run.create(tmp_path, "a", FILES)
    for name in ("summary.json", "x" * 255, "é\n" * 80):
        killed = os.fork()
        if not killed:
            monkeypatch.setattr("os.fsync", lambda _: os._exit(9))
            write_atomically(run.path / name, "half")
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(killed, 0)[1]) == 9
    assert len(list(run.path.iterdir())) == len(FILES) + 3
    run.sweep_temporaries()
    assert {path.name for path in run.path.iterdir()} == FILES.keys()


def test_folders_are_not_made_through_links(tmp_path):
    run = Run.create(tmp_path, "a", FILES)
    assert run.make_folder("weights") == run.make_folder("weights") == run.path / "weights"
    (run.path / "export").symlink_to(tmp_path)
    with pytest.raises(InputError, match="export: is a link; nothing is written through"):
        run.make_folder("export")
