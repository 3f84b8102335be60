"""Every verb, as a user types it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from minidl_cli.cli import VERBS

pytestmark = pytest.mark.usefixtures("no_figures")


@pytest.fixture
def trained(minidl, small_file):
    """The folder of a finished run."""
    outcome = minidl("train", small_file, "--quiet")
    assert (outcome.code, outcome.err) == (0, "")
    return Path(outcome.out.strip())


def test_help_names_every_verb(minidl):
    outcome = minidl("--help")
    assert outcome.code == 0
    assert all(re.search(rf"^  {verb} +\w", outcome.out, re.MULTILINE) for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_has_examples_and_fits_a_terminal(minidl, verb):
    outcome = minidl(verb, "--help")
    assert outcome.code == 0
    assert f"  minidl {verb}" in outcome.out.split("\n", 2)[2]
    assert max(map(len, outcome.out.splitlines())) <= 80


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("check", "compare")])
def test_every_verb_answers_in_json(minidl, small_file, trained, verb):
    Path("new.csv").write_text("x1,x2\n0.5,0.5\n0,1\n")
    arguments = {
        "train": [small_file],
        "sweep": [small_file, "--rounds", "2", "--workers", "1"],
        "show": [small_file],
        "eval": [trained],
        "predict": [trained, "--data", "new.csv"],
        "export": [trained, "--to", "torch"],
        "init": ["--template", "disc"],
        "inspect": [trained],
        "runs": [],
        "schema": [],
    }[verb]
    outcome = minidl(verb, *arguments, "--json")
    assert outcome.code == 0
    document = json.loads(outcome.out)
    if verb in ("train", "sweep", "eval"):
        assert Path(document["run"]).is_dir()
        assert set(document["final"]["test_mse"]) >= {"n", "mean", "median", "min", "max"}


class TestTrain:
    @pytest.mark.figures
    def test_prints_a_table_and_where_the_run_is(self, minidl, small_file):
        outcome = minidl("train", small_file)
        assert outcome.code == 0
        assert re.search(r"^test +0\.\d{4} +0\.\d{4}$", outcome.out, re.MULTILINE)
        (run,) = Path("runs").iterdir()
        assert f"next: minidl eval {run}" in outcome.out
        assert "figures: confusion.png, curves.png, data.png, decision.png" in outcome.out
        assert outcome.err.splitlines()[-1].startswith("100%  1 round  epoch 3  train loss 0.")

    def test_quiet_prints_the_path_only(self, minidl, small_file):
        outcome = minidl("train", small_file, "-q")
        assert outcome.err == ""
        assert outcome.out == f"{next(Path('runs').iterdir())}\n"

    def test_seed_name_and_folder(self, minidl, small_file):
        outcome = minidl("train", small_file, "--seed", "7", "--name", "007", "--runs-dir", "other", "-q")
        run = Path(outcome.out.strip())
        assert run.parent == Path("other")
        resolved = yaml.safe_load((run / "config.yaml").read_text())
        assert (resolved["name"], resolved["seed"]) == ("007", 7)
        assert re.fullmatch(r"007-\d{8}-\d{6}-[0-9a-f]{4}", run.name)

    def test_many_epochs_give_a_line_for_every_few_percent(self, minidl, small_file):
        lines = minidl("train", small_file, "-s", "training.epochs=200").err.splitlines()
        assert [line.split("%")[0].strip() for line in lines] == [str(percent) for percent in range(5, 101, 5)]

    @pytest.mark.figures
    def test_divergence_is_a_failure_of_its_own(self, minidl, small_file):
        settings = ["model=[linear: 7, linear: 5, linear: 2]", "optimizer.sgd.lr=0.8", "training.epochs=4", "seed=2"]
        outcome = minidl("train", small_file, *(f"-s{setting}" for setting in settings))
        assert outcome.code == 1
        assert "every round diverged; try a smaller learning rate" in outcome.err
        assert (next(Path("runs").iterdir()) / "metrics.csv").is_file()

    def test_divergence_is_reported_in_json_too(self, minidl, small_file):
        settings = ["model=[linear: 7, linear: 5, linear: 2]", "optimizer.sgd.lr=0.8", "training.epochs=4", "seed=2"]
        outcome = minidl("train", small_file, "--json", *(f"-s{setting}" for setting in settings))
        document = json.loads(outcome.out)
        assert (outcome.code, document["rounds"]["diverged_seeds"], document["final"]) == (1, [2], {})
        assert "0 of 1 round finished\n1 round diverged: seed 2\n" in minidl("eval", document["run"]).out

    def test_terminal_without_unicode(self, small_file, tmp_path):
        environment = os.environ | {"PYTHONIOENCODING": "ascii"}
        command = [sys.executable, "-m", "minidl_cli", "sweep", str(small_file), "--rounds=2", "--workers=1"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        assert b"\\u2013" in done.stdout

    def test_warning_is_a_line(self, minidl, small_file):
        outcome = minidl("train", small_file, "-s", "training.batch_size=100", "-q")
        assert outcome.err == "warning: training.batch_size is 100, but there are 47 samples: an epoch is one batch\n"


class TestBadInput:
    def test_all_errors_are_lines_with_exit_code_2(self, minidl, tmp_path):
        (tmp_path / "bad.yaml").write_text(
            "data: disk\nmodel: [linear: 0, tanh]\nloss: mse\noptimizer: sgd\ntraining: {epoch: 3, batch_size: 2}\n"
        )
        outcome = minidl("train", "bad.yaml", "-s", "training.batch_size=1.5")
        assert outcome.code == 2
        assert outcome.out == ""
        assert outcome.err.splitlines() == [
            "-s training.batch_size=1.5: training.batch_size: must be a whole number, not 1.5",
            "bad.yaml:1:7: data: no such dataset: 'disk'; did you mean 'disc'?",
            "bad.yaml:2:17: model.0.linear.out_features: must be greater than 0, not 0",
            "bad.yaml:4:12: optimizer.sgd.lr: missing",
            "bad.yaml:5:11: training.epochs: missing",
            "bad.yaml:5:12: training.epoch: unknown key; did you mean 'epochs'?",
        ]
        assert not Path("runs").exists()

    def test_escape_codes_are_shown_escaped(self, minidl, small_file):
        outcome = minidl("train", small_file, "-s", "name='\x1b[31m[/x]'")
        assert outcome.code == 2
        assert "\x1b" not in outcome.err
        assert "\\x1b[31m[/x]" in outcome.err

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            (["trian"], "Did you mean 'train'?"),
            (["train"], "Missing argument 'CONFIG'"),
            (["train", "none.yaml"], "none.yaml: cannot be read: No such file or directory"),
            (["train", "."], ".: cannot be read: Is a directory"),
            (["eval", "none"], "none: no such run; `minidl runs` lists those in runs"),
            (["eval", "latest"], "there are no runs in runs"),
            (["eval", "."], ".: is not a run: it has no config.yaml"),
            (["sweep", "small.yaml", "--rounds", "2", "--seeds", "0-9"], "--rounds and --seeds exclude each other"),
            (["sweep", "small.yaml", "--seeds", "9-0"], "'9-0' is no range of seeds"),
            (["sweep", "small.yaml", "--rounds", "0"], "0 is not in the range x>=1"),
            (["show"], "say which CONFIG, or --components"),
            (["train", "small.yaml", "--name", "../x"], "must not start with a dot or contain slashes"),
            (["train", "small.yaml", "-s", "optimizer.sgd.lr=1e39"], "is larger than float32 can hold, 3.4e+38"),
            (["train", "small.yaml", "-s", "training.epochs=1000000000000"], "a larger training.log_every"),
            (
                ["train", "small.yaml", "-s", "data.disc.target_values=[1, 1.00000001]"],
                "are the same number in float32",
            ),
            (["sweep", "small.yaml", "--rounds", "1000000000"], "must be at most 1000000"),
            (["train", "small.yaml", "-s", "optimizer.sdg.lr=1"], "no such optimizer: 'sdg'; did you mean 'sgd'?"),
            (["train", "small.yaml", "--device", "tpu"], "'tpu' is no device; there are cpu, cuda, cuda:1 and so on"),
            (["train", "small.yaml", "--device", "cuda:99"], "--device cuda:99: "),
            (["sweep", "small.yaml", "--engine", "ray"], "'ray' is not one of 'local', 'dask'"),
            (["sweep", "small.yaml", "--address", "tls://a:1"], "--address goes with --engine dask"),
            (["sweep", "small.yaml", "--engine", "dask", "--tls-cert", "a"], "--tls-cert goes with --address"),
            (["sweep", "small.yaml", "--engine", "dask", "--insecure"], "--insecure goes with --address"),
            (["sweep", "small.yaml", "--engine", "dask", "--address", "tcp://10.0.0.1:1"], "without TLS, whoever"),
        ],
    )
    def test_usage(self, minidl, small_file, arguments, problem):
        outcome = minidl(*arguments)
        assert outcome.code == 2
        assert problem in outcome.err
        assert "Traceback" not in outcome.err
        assert not Path("runs").exists()


class TestEval:
    @pytest.mark.parametrize("reference", ["path", "id", "latest"])
    def test_prints_the_numbers_of_the_summary(self, minidl, trained, reference):
        argument = {"path": trained, "id": trained.name, "latest": "latest"}[reference]
        document = json.loads(minidl("eval", argument, "--json").out)
        assert document["final"] == json.loads((trained / "summary.json").read_text())["final"]

    def test_one_part(self, minidl, trained):
        out = minidl("eval", trained, "--split", "test").out
        assert "test " in out
        assert "train " not in out

    def test_weights(self, minidl, small_file):
        settings = ["training.validation=0.3", "training.epochs=15", "training.early_stopping={patience: 2}"]
        run = Path(minidl("train", small_file, "-q", *(f"-s{setting}" for setting in settings)).out.strip())
        final = json.loads((run / "summary.json").read_text())["final"]
        best, last, chosen = (
            json.loads(minidl("eval", run, "--json", *arguments).out)["final"]
            for arguments in (["--weights", "best"], ["--weights", "last"], [])
        )
        assert chosen == best == final
        assert last != final
        out = minidl("eval", run, "--split", "validation").out
        assert "validation " in out
        assert "test " not in out

    def test_what_a_run_does_not_have(self, minidl, trained):
        for option, problem in [
            (["--weights", "best"], f"{trained}: has no best weights, as there was no validation part; use the last"),
            (["--split", "validation"], "'validation' is no part of the data; there are train, test"),
        ]:
            outcome = minidl("eval", trained, *option)
            assert (outcome.code, outcome.out, outcome.err) == (2, "", f"{problem}\n")

    def test_unfinished_run(self, minidl, trained):
        (trained / "rounds.csv").unlink()
        (trained / "summary.json").unlink()
        outcome = minidl("eval", trained)
        assert outcome.code == 2
        assert "has not finished" in outcome.err

    @pytest.mark.parametrize("damage", ["truncated", "gone", "of another model"])
    def test_damaged_weights(self, minidl, small_file, trained, damage):
        weights = trained / "weights/last.safetensors"
        if damage == "gone":
            weights.unlink()
        elif damage == "truncated":
            weights.write_bytes(weights.read_bytes()[:-9])
        else:
            other = Path(minidl("train", small_file, "-s", "model.0.linear=8", "-q").out.strip())
            shutil.copy(other / "weights/last.safetensors", weights)
        outcome = minidl("eval", trained)
        assert outcome.code == 2
        assert str(trained) in outcome.err
        assert "Traceback" not in outcome.err

    @pytest.mark.parametrize(
        ("old", "new"),
        [("finished", "finishd"), ("\n0,", "\nzero,"), ("status", "state"), ("\n0,", "\n0,finished\n0,")],
    )
    def test_damaged_table_of_rounds(self, minidl, trained, old, new):
        table = trained / "rounds.csv"
        table.write_text(table.read_text().replace(old, new))
        outcome = minidl("eval", trained)
        assert outcome.code == 2
        assert "rounds.csv: " in outcome.err
        assert "Traceback" not in outcome.err

    def test_moved_run(self, minidl, trained, tmp_path):
        moved = trained.rename(tmp_path / "moved")
        assert minidl("eval", moved).code == 0


class TestSweep:
    @pytest.mark.figures
    def test_prints_the_spread(self, minidl, small_file):
        outcome = minidl("sweep", small_file, "--rounds", "4", "--workers", "1")
        assert outcome.code == 0
        assert re.search(r"^ +mean +std +CV +95% interval +median +min +max$", outcome.out, re.MULTILINE)
        assert "4 of 4 rounds finished\ntrained in " in outcome.out

    def test_range_of_seeds_is_in_the_resolved_config(self, minidl, small_file):
        run = Path(minidl("sweep", small_file, "--seeds", "5-7", "--workers", "1", "-q").out.strip())
        rows = (run / "rounds.csv").read_text().splitlines()[1:]
        assert [row.split(",")[0] for row in rows] == ["5", "6", "7"]
        again = Path(minidl("sweep", run / "config.yaml", "--workers", "1", "-q").out.strip())
        assert (again / "rounds.csv").read_bytes() == (run / "rounds.csv").read_bytes()

    def test_prints_targets(self, minidl, small_file):
        target = "sweep.target={train_mse: 0.3, test_accuracy: 0.9}"
        out = minidl("sweep", small_file, "--rounds", "4", "--workers", "1", "-s", target).out
        interval = "(95% interval 0.51–1.00)"
        assert f"train MSE 0.3: 4 of 4 rounds end there {interval}, 4 got there once; half of all got there by" in out
        assert "test accuracy 0.9: 0 of 4 rounds end there (95% interval 0.00–0.49), 0 got there once\n" in out

    @pytest.mark.figures
    def test_rounds_that_diverged_are_named(self, minidl, small_file):
        settings = ["model=[linear: 7, linear: 5, linear: 2]", "optimizer.sgd.lr=0.8", "training.epochs=4"]
        outcome = minidl("sweep", small_file, "--rounds=5", "--workers=1", *(f"-s{setting}" for setting in settings))
        assert outcome.code == 0
        assert "3 of 5 rounds finished" in outcome.out
        assert "diverged: seeds 2, 4" in outcome.out


class TestShow:
    def test_layers(self, minidl, small_file):
        out = minidl("show", small_file).out
        assert re.search(r"^2 +linear +5 +40 \(5 x 7 \+ 5\)$", out, re.MULTILINE)
        assert "parameters: 73 in each round" in out
        assert re.search(r"memory: about .* for 1 round, in 1 process with stacks of 1", out)

    def test_run(self, minidl, trained):
        assert minidl("show", "latest").out == minidl("show", trained / "config.yaml").out

    def test_resolved_is_the_config_of_the_run(self, minidl, small_file, trained):
        assert minidl("show", small_file, "--resolved").out == (trained / "config.yaml").read_text()
        document = json.loads(minidl("show", small_file, "--resolved", "--json").out)
        assert document == yaml.safe_load((trained / "config.yaml").read_text())

    def test_components(self, minidl):
        out = minidl("show", "--components").out
        linear = "linear: {out_features, bias: true, init: null, bias_init: torch_default}"
        assert f"{linear}\n      The linear layer s = W x + b." in out
        for kind in ("initializer", "dataset", "layer", "loss", "schedule", "optimizer"):
            assert re.search(rf"^{kind}$", out, re.MULTILINE)


class TestCheck:
    def test_passes(self, minidl, small_file):
        outcome = minidl("check", small_file)
        assert outcome.code == 0
        assert "all gradients are right" in outcome.out

    def test_wrong_gradient_fails(self, minidl, small_file, monkeypatch):
        from minidl_cli.nn.layers.tanh import Tanh

        monkeypatch.setattr(Tanh, "backward", lambda self, grad: grad * (1 - self.y))
        outcome = minidl("check", small_file, "--json")
        document = json.loads(outcome.out)
        assert outcome.code == 1
        assert not document["passed"]
        wrong = {row["part"] for row in document["comparisons"] if not row["passed"]}
        assert wrong == {"1 tanh", "network"}


class TestRuns:
    def test_lists_finished_unfinished_and_broken_runs(self, minidl, small_file, trained):
        unfinished = Path(minidl("train", small_file, "-q").out.strip())
        (unfinished / "summary.json").unlink()
        broken = Path(minidl("train", small_file, "-q").out.strip())
        (broken / "summary.json").write_text("{")
        listed = {each["id"]: each for each in json.loads(minidl("runs", "--json").out)}
        assert listed[trained.name]["status"] == "finished"
        assert listed[trained.name]["config"] == "small"
        assert listed[trained.name]["rounds"]["planned"] == 1
        assert listed[unfinished.name]["status"] == "unfinished"
        assert listed[broken.name]["status"] == "broken"
        out = minidl("runs").out
        assert re.search(rf"^{trained.name} +small +1/1 +0\.\d\d\d +0\.\d\d\d", out, re.MULTILINE)
        assert f"broken: {broken}/summary.json: cannot be read" in out

    def test_no_runs(self, minidl):
        assert "there are no runs in runs yet" in minidl("runs").out


@pytest.mark.parametrize("verb", ["train", "sweep"])
def test_run_in_the_place_of_a_config(minidl, trained, verb):
    for named in (trained, "latest"):
        outcome = minidl(verb, named)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.endswith(f"Error: {named} is a run, not a config; to go on with it: --resume {named}\n")
    shutil.copy(trained / "config.yaml", "latest")
    assert minidl(verb, "latest", "--quiet").code == 0


def test_training_goes_on_where_nobody_reads_its_progress(small_file, tmp_path):
    """As in `minidl train small.yaml 2> >(head -1)`."""
    command = [sys.executable, "-m", "minidl_cli", "train", str(small_file), "-s", "training.epochs=2000"]
    command += ["-s", "training.log_every=50"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("  5%  1 round  ")
    process.stderr.close()
    assert process.wait(60) == 0
    assert len(list(tmp_path.glob("runs/*/summary.json"))) == 1
