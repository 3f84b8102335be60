"""Overrides: `-s key.key=VALUE` on top of a file."""

from typing import Any

import pytest

WRITTEN_OUT = "\n  sgd:\n    lr: 0.1\n    momentum: 0.5"


@pytest.mark.parametrize(
    ("settings", "key", "same"),
    [
        (["optimizer.sgd.lr=0.3"], "optimizer", "{sgd: 0.3}"),
        (["optimizer.sgd=0.3"], "optimizer", "{sgd: 0.3}"),
        (["optimizer={sgd: 0.3}"], "optimizer", "{sgd: 0.3}"),
        (["optimizer.sgd={lr: 0.3, momentum: 0.9}"], "optimizer", "{sgd: {lr: 0.3, momentum: 0.9}}"),
        (["optimizer.sgd.momentum=0.9"], "optimizer", "{sgd: {lr: 0.1, momentum: 0.9}}"),
        (["optimizer.sgd.lr=1e-3"], "optimizer", "{sgd: 0.001}"),
        (["optimizer=sgd", "optimizer.sgd.lr=0.3"], "optimizer", "{sgd: 0.3}"),
        (["loss.mse.reduction=sum"], "loss", "{mse: sum}"),
        (["loss.mse=sum"], "loss", "{mse: sum}"),
        (["data.disc.target_values=[-1, 1]"], "data", "{disc: {target_values: [-1, 1]}}"),
        (["data.disc.train=7", "data.disc.test=8"], "data", "{disc: {train: 7, test: 8}}"),
        (["model.0.linear=50"], "model", "[linear: 50]"),
        (["model.0.linear.out_features=50"], "model", "[linear: 50]"),
        (["model.0=relu"], "model", "[relu]"),
        (["model=[linear: 5, tanh]"], "model", "[linear: 5, tanh]"),
        (["model=[linear: 5, tanh]", "model.1=relu"], "model", "[linear: 5, relu]"),
        (["model=[linear: 5, tanh]", "model.1.tanh="], "model", "[linear: 5, tanh]"),
        (["model.0.linear.init=normal"], "model", "[linear: {out_features: 2, init: normal}]"),
        (["model.0.linear.init.normal=0.5"], "model", "[linear: {out_features: 2, init: {normal: 0.5}}]"),
        (["model.0.linear.init.normal.std=0.5"], "model", "[linear: {out_features: 2, init: {normal: 0.5}}]"),
        (["training.epochs=5"], "training", "{epochs: 5, batch_size: 10}"),
        (["training={epochs: 5, batch_size: 9}"], "training", "{epochs: 5, batch_size: 9}"),
        (["training.epochs=5", "training.epochs=6"], "training", "{epochs: 6, batch_size: 10}"),
        (["training.epochs=bad", "training.epochs=6"], "training", "{epochs: 6, batch_size: 10}"),
        (["training.epochs=5", "training={epochs: 6, batch_size: 9}"], "training", "{epochs: 6, batch_size: 9}"),
        (["training.shuffle=false"], "training", "{epochs: 3, batch_size: 10, shuffle: false}"),
        (["sweep.rounds=5"], "sweep", "{rounds: 5}"),
        (["sweep={rounds: 5}"], "sweep", "{rounds: 5}"),
        (["sweep=", "sweep.rounds=5"], "sweep", "{rounds: 5}"),
        (["seed=7"], "seed", "7"),
        (["data_seed=round"], "data_seed", "round"),
        (["name=a=b"], "name", "a=b"),
        (["name='7'"], "name", "'7'"),
        (['name="7"'], "name", "'7'"),
        (["name=yes"], "name", "yes"),
    ],
)
def test_overrides_are_as_if_written_in_the_file(
    settings: list[str], key: str, same: str, base_with: Any, load_text: Any
):
    overridden = load_text(base_with(), *settings)

    assert overridden == load_text(base_with(**{key: same}))
    assert overridden != load_text(base_with())


@pytest.mark.parametrize("optimizer", ["{sgd: 0.1}", "{sgd: {lr: 0.1}}", "\n  sgd:\n    lr: 0.1", "{sgd: }", "sgd"])
def test_any_way_of_writing_can_be_overridden(optimizer: str, base_with: Any, load_text: Any):
    overridden = load_text(base_with(optimizer=optimizer), "optimizer.sgd.lr=0.3")

    assert overridden == load_text(base_with(optimizer="{sgd: 0.3}"))


def test_an_override_leaves_the_rest(base_with: Any, load_text: Any):
    text = base_with(optimizer=WRITTEN_OUT, sweep="\n  rounds: 5", model="[linear: 3, tanh, linear: 2]")
    config = load_text(text, "optimizer.sgd.lr=0.3", "model.1=relu", "training.epochs=9")

    assert config == load_text(
        base_with(
            optimizer="{sgd: {lr: 0.3, momentum: 0.5}}",
            model="[linear: 3, relu, linear: 2]",
            training="{epochs: 9, batch_size: 10}",
            sweep="{rounds: 5}",
        )
    )


@pytest.mark.parametrize("sweep", ["", "~", "{}"])
def test_a_mapping_that_is_empty_in_the_file_can_be_filled(sweep: str, base_with: Any, load_text: Any):
    assert load_text(base_with(sweep=sweep), "sweep.rounds=5").sweep.rounds == 5


def test_what_the_file_lacks_can_be_given(base_with: Any, load_text: Any):
    settings = ["training.epochs=3", "training.batch_size=10", "loss=mse", "model=[linear: 2]", "optimizer.sgd.lr=0.1"]

    assert load_text("data: disc", *settings) == load_text(base_with())


def test_an_override_can_repair_the_file(base_with: Any, load_text: Any):
    assert load_text(base_with(loss="bad"), "loss=mse") == load_text(base_with())


def test_aliases_are_overridden_one_at_a_time(base_with: Any, load_text: Any):
    config = load_text(base_with(model="[&a {linear: 3}, *a]"), "model.1.linear=4")

    assert [layer.arguments["out_features"] for layer in config.model] == [3, 4]


# Mistakes

WRITE = "write KEY=VALUE, such as training.epochs=10"
TOP = "name, seed, data, data_seed, model, init, loss, optimizer, training, framework, sweep"
IN_TRAINING = (
    "epochs, batch_size, shuffle, drop_last, schedule, accumulate, clip_norm, validation, early_stopping, "
    "dtype, matmul_precision, compiled, log_every, checkpoint_every"
)


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("", WRITE),
        ("training.epochs", WRITE),
        ("=5", WRITE),
        (".=5", WRITE),
        ("training.=5", WRITE),
        (".epochs=5", WRITE),
        ("training..epochs=5", WRITE),
        ("model.1=relu", "'1' is no item of this list; its items are 0 to 0"),
        ("model.7.linear=3", "'7' is no item of this list; its items are 0 to 0"),
        ("model.-1=relu", "'-1' is no item of this list; its items are 0 to 0"),
        ("model.x=relu", "'x' is no item of this list; its items are 0 to 0"),
        ("model.x.y=relu", "'x' is no item of this list; its items are 0 to 0"),
        ("model.1.0=relu", "'1' is no item of this list; its items are 0 to 0"),
        ("model.²=relu", "'²' is no item of this list; its items are 0 to 0"),
        ("model.\u0660=relu", "'\u0660' is no item of this list; its items are 0 to 0"),
        (f"model.{10**18}=relu", f"'{10**18}' is no item of this list; its items are 0 to 0"),
        ("training.epochs.x=3", "there is nothing below a single value, so 'x' leads nowhere"),
        ("training.epochs.x.y=3", "there is nothing below a single value, so 'x' leads nowhere"),
        ("name.x=3", "there is nothing below a single value, so 'x' leads nowhere"),
        ("optimizer.sgd.lr.x=3", "there is nothing below a single value, so 'x' leads nowhere"),
        ("training.epochs='", "the quote is never closed; add the closing quote"),
        ("training={epochs: 1, epochs: 2}", "the key 'epochs' is set before; keep one of the two"),
        ("training.epochs=!!int 3", "the tag '!!int' is not allowed; remove it"),
        ("training.epochs=*a", "the alias '*a' has no anchor before it; add one, or put the text in quotes"),
        ("epochs=3", f"epochs: unknown key; known here: {TOP}"),
        ("traning.epochs=3", "traning: unknown key; did you mean 'training'?"),
        ("traning.epochs.x=3", "traning: unknown key; did you mean 'training'?"),
        ("training.epoch=3", "training.epoch: unknown key; did you mean 'epochs'?"),
        ("sweep.round=3", "sweep.round: unknown key; did you mean 'rounds'?"),
        ("optimizer.sgd.momentun=3", "optimizer.sgd.momentun: unknown key; did you mean 'momentum'?"),
        ("3=4", f"3: unknown key; known here: {TOP}"),
        ("training.3=4", f"training.3: unknown key; known here: {IN_TRAINING}"),
        ("model.0.linear.3=4", "model.0.linear.3: unknown key; known here: out_features, bias, init, bias_init"),
        ("optimizer.sgd.lr=abc", "optimizer.sgd.lr: must be a number, not the text 'abc'"),
        ("optimizer.sgd.lr=", "optimizer.sgd.lr: must be a number, not nothing"),
        ("optimizer.sgd.lr='0.1'", "optimizer.sgd.lr: must be a number, not the text '0.1'"),
        ("optimizer.sgd=", "optimizer.sgd.lr: missing"),
        ("optimizer=sgd", "optimizer.sgd.lr: missing"),
        (
            "optimizer={sgd: 1, lr: 2}",
            "optimizer: one optimizer only, but 'lr' stands beside 'sgd'; keep one, with its arguments below it",
        ),
        (
            "optimizer.adam.lr=0.1",
            "optimizer: one optimizer only, but 'adam' stands beside 'sgd'; to replace it, write optimizer={adam: ...}",
        ),
        (
            "model.0.tanh=",
            "model.0: one layer only, but 'tanh' stands beside 'linear'; to replace it, write model.0={tanh: ...}",
        ),
        ("training={epochs: 3}", "training.batch_size: missing"),
        ("training=3", f"training: must be a mapping of keys, not 3; known here: {IN_TRAINING}"),
        ("model=[]", "model: must not be empty"),
        ("model=[{linear: 0}]", "model.0.linear.out_features: must be greater than 0, not 0"),
        ("model.0=tahn", "model.0: no such layer: 'tahn'; did you mean 'tanh'?"),
        ("data.disc.target_values.0=-1", "data.disc.target_values: must be a list, not a mapping"),
        ("seed=1:2: x", "seed: must be a whole number, not a mapping"),
    ],
)
def test_mistakes_name_the_override(setting: str, problem: str, base_with: Any, problems: Any):
    assert problems(base_with(), setting) == [f"-s {setting}: {problem}"]


def test_an_item_of_an_empty_list(base_with: Any, problems: Any):
    assert problems(base_with(model="[]"), "model.0=relu") == [
        "-s model.0=relu: '0' is no item of this list; it is empty",
        "c.yaml:5:8: model: must not be empty",
    ]


def test_all_mistakes_come_together(base_with: Any, problems: Any):
    text = base_with(loss="msse", training="{epoch: 3, batch_size: 0}", sed="1")
    settings = ["seed=x", "a.b", "seed=y", "model.3=relu", "name=[", "training.shuffle=3"]

    assert problems(text, *settings) == [
        f"-s a.b: {WRITE}",
        "-s model.3=relu: '3' is no item of this list; its items are 0 to 0",
        "-s name=[: not YAML while parsing a flow node from line 1: expected the node content, but found the end; "
        "correct the syntax",
        "-s seed=y: seed: must be a whole number, not the text 'y'",
        "-s training.shuffle=3: training.shuffle: must be true or false, not 3",
        "c.yaml:4:7: loss: no such loss: 'msse'; did you mean 'mse'?",
        "c.yaml:5:11: training.epochs: missing",
        "c.yaml:5:12: training.epoch: unknown key; did you mean 'epochs'?",
        "c.yaml:5:34: training.batch_size: must be greater than 0, not 0",
        "c.yaml:6:1: sed: unknown key; did you mean 'seed'?",
    ]


@pytest.mark.parametrize(
    ("setting", "count"), [("a.b", 2), ("optimizer.sgd.lr=x", 2), ("model.9=relu", 3), ("sweep={rounds: 0}", 2)]
)
def test_a_repeated_mistake_is_told_once(setting: str, count: int, base_with: Any, problems: Any):
    assert len(problems(base_with(), *[setting] * count)) == 1


def test_a_place_like_a_files_in_an_override_comes_first_still(base_with: Any, problems: Any):
    found = problems(base_with(loss="bad"), "name=[x:9:9]")

    assert [line.partition(": ")[0] for line in found] == ["-s name=[x:9:9]", "c.yaml:5:7"]


@pytest.mark.parametrize(
    "setting",
    [
        "training.epochs=" + "x" * 100_000,
        "x" * 100_000,
        "x" * 100_000 + "=1",
        "training." + "x" * 100_000 + "=1",
        "training.epochs." + "x" * 100_000 + "=1",
        "model." + "x" * 100_000 + "=1",
        "model." + "1" * 100_000 + "=relu",
        "a." * 10_000 + "a=1",
        "optimizer.sgd." + "\n" * 100_000 + "=1",
        "na\nme=3",
        "name=a\x1b[31mb",
        "name=a\ud83db",
        "name\u202e=3",
        "training.epochs='\U0010ffff'",
        "name='a\n\nb'",
        "optimizer.\x1b=1",
        "model.\x1b[0m=1",
        "optimizer={'a\n\nb': 1, 'c\n\nd': 2}",
    ],
    ids=range(18),
)
def test_mistakes_are_short_and_printable(setting: str, base_with: Any, problems: Any):
    [problem] = problems(base_with(), setting)

    assert problem.startswith("-s ")
    assert problem.isprintable()
    assert len(problem.partition("; known here: ")[0]) < 300
