"""What is printed of how to go on."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from minidl_cli.commands._options import engine_options
from minidl_cli.commands._training import run_and_report
from minidl_cli.errors import TrainingError


def test_the_same_engine_goes_on(capsys):
    """Pasted into a shell, the line leads to the same cluster."""

    def records():
        raise TrainingError("the scheduler is lost")
        yield

    run = SimpleNamespace(path=Path("runs/a run"), is_finished=False)
    job = SimpleNamespace(run=run, epochs=1, done=0, doing="", is_done=False, records=records)
    given = {"tls_ca_file": Path("my tls/ca.pem"), "tls_cert": None, "tls_key": None, "insecure": False}
    means = engine_options("dask", "tls://10.0.0.1:8786", **given)
    with pytest.raises(TrainingError):
        run_and_report(job, "sweep", quiet=True, as_json=False, means=means)
    assert capsys.readouterr().err == (
        "to go on: minidl sweep --resume 'runs/a run' --engine dask --address tls://10.0.0.1:8786 "
        "--tls-ca-file 'my tls/ca.pem'\n"
    )


def test_options_of_engines():
    assert engine_options("local", None, insecure=False) == []
    assert engine_options("dask", None, insecure=False) == ["--engine", "dask"]
    insecure = engine_options("dask", "tcp://a:1", insecure=True, tls_key=None)
    assert insecure == ["--engine", "dask", "--address", "tcp://a:1", "--insecure"]
