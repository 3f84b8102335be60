"""The weights of a run: those that the training wrote, or none."""

import os
from random import Random

import numpy as np
import pytest

from minidl_cli.errors import InputError
from minidl_cli.runs.folder import Run
from tests.weights import replace_file, replace_weights

WEIGHTS = {"0.weight": np.arange(6, dtype=np.float32).reshape(1, 2, 3), "0.bias": np.array([[np.nan, 1.0]])}


@pytest.fixture
def make_run(tmp_path):
    """Returns a run with these weights, by what they are called."""

    def make(**weights) -> Run:
        run = Run.create(tmp_path, "a", {"config.yaml": "name: a\n"})
        run.write_json("summary.json", {"weights": {name: run.write_weights(name, weights[name]) for name in weights}})
        return run

    return make


@pytest.fixture
def run(make_run):
    return make_run(last=WEIGHTS)


def refused(run: Run, match: str, name: str = "last", most: int | None = None) -> None:
    with pytest.raises(InputError, match=match) as caught:
        run.weights(name, most)
    (problem,) = caught.value.problems
    assert "\n" not in problem
    assert str(run.path) in problem


def test_what_was_written_is_read(make_run):
    run = make_run(last=WEIGHTS, best={name: values + 1 for name, values in WEIGHTS.items()})
    for name, more in {"last": 0, "best": 1}.items():
        found = run.weights(name)
        assert found.keys() == WEIGHTS.keys()
        for key, values in WEIGHTS.items():
            np.testing.assert_array_equal(found[key].numpy(), values + more, strict=True)


def test_one_flipped_bit_anywhere(run):
    path = run.path / "weights/last.safetensors"
    content, random = path.read_bytes(), Random(0)
    header = int.from_bytes(content[:8], "little")
    places = [*range(8), *random.sample(range(8, 8 + header), 20), *range(8 + header, len(content))]
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << random.randrange(8)
        path.write_bytes(flipped)
        refused(run, "last.safetensors: is damaged: its SHA-256 is not the one in summary.json")
    path.write_bytes(content)
    assert run.weights().keys() == WEIGHTS.keys()


@pytest.mark.parametrize("change", ["truncated", "extended", "empty", "another run's", "smaller"])
def test_other_content(run, make_run, change):
    path = run.path / "weights/last.safetensors"
    content = path.read_bytes()
    other = make_run(last={name: 2 * values for name, values in WEIGHTS.items()}).path / "weights/last.safetensors"
    path.write_bytes(
        {
            "truncated": content[:-1],
            "extended": content + b"\0",
            "empty": b"",
            "another run's": other.read_bytes(),
            "smaller": content[: len(content) // 2],
        }[change]
    )
    refused(run, "last.safetensors: is damaged: it")


def test_a_file_that_is_not_there(run):
    (run.path / "weights/last.safetensors").unlink()
    refused(run, r"has no weights/last\.safetensors: the folder is damaged$")


@pytest.mark.parametrize("place", ["weights", "weights/last.safetensors"])
def test_a_link_to_them(run, tmp_path, place):
    (run.path / place).rename(tmp_path / "outside")
    (run.path / place).symlink_to(tmp_path / "outside")
    refused(run, f"{place}: is a link; nothing is read or written through")


def test_a_pipe_in_their_place(run):
    (run.path / "weights/last.safetensors").unlink()
    os.mkfifo(run.path / "weights/last.safetensors")
    refused(run, "last.safetensors: is a special file, not a file")


def test_best_weights_were_not_kept(run):
    refused(run, "has no best weights, as there was no validation part; use the last", "best")


def test_a_run_without_a_summary(run):
    (run.path / "summary.json").unlink()
    refused(run, r"has no summary\.json: the run has not finished, or was interrupted")


@pytest.mark.parametrize(
    "weights",
    [None, [], 3, {}, {"last": None}, {"last": {"bytes": 3}}, {"last": {"sha256": "x"}}, {"last": ["bytes", "sha256"]}],
    ids=str,
)
def test_a_summary_that_says_nothing_of_the_weights(run, weights):
    run.write_json("summary.json", {"weights": weights})
    refused(run, r"summary\.json: does not say which size and SHA-256 weights/last\.safetensors has to have")


@pytest.mark.parametrize(
    "wrong", [{"bytes": "x"}, {"bytes": [1]}, {"bytes": -1}, {"sha256": 7}, {"sha256": None}], ids=str
)
def test_a_summary_that_says_nonsense(run, wrong):
    written = run.summary()["weights"]["last"]
    run.write_json("summary.json", {"weights": {"last": written | wrong}})
    refused(run, "is damaged|does not say which size")


def test_a_file_that_is_no_safetensors_but_was_written_as_such(run):
    for content in (b"", b"\x80\x04\x95", b"\xff" * 100, (10**15).to_bytes(8, "little") + b"{}"):
        replace_file(run, content)
        refused(run, r"last\.safetensors: cannot be read: ")


def test_a_pickle_is_not_executed(run, tmp_path):
    import pickle

    class Enemy:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    replace_file(run, pickle.dumps(Enemy()))
    refused(run, r"last\.safetensors: cannot be read: ")
    assert not (tmp_path / "executed").exists()


def test_a_larger_file_is_not_read(run):
    size = (run.path / "weights/last.safetensors").stat().st_size
    assert run.weights(most=size)
    refused(run, rf"has {size} bytes; here it can have {size - 1} at most", most=size - 1)
    path = run.path / "weights/last.safetensors"
    os.truncate(path, 1 << 43)  # a file with a hole: it takes no room on the disk
    summary = run.summary()
    summary["weights"]["last"]["bytes"] = 1 << 43
    run.write_json("summary.json", summary)
    refused(run, r"has 8,796,093,022,208 bytes; here it can have ")


def test_weights_of_a_test_are_taken(run):
    replace_weights(run, {"x": np.ones((1, 2))})
    assert run.weights()["x"].tolist() == [[1, 1]]
