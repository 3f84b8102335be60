"""Which schedulers minidl connects to; tests/cluster has real ones, and certificates."""

import sys

import pytest

from minidl_cli.errors import InputError
from minidl_cli.sweeps.cluster.access import Access


def problem(address, **options):
    with pytest.raises(InputError) as caught:
        Access.of(address, **options)
    (line,) = caught.value.problems
    return line


@pytest.mark.parametrize(
    "address", ["", "10.0.0.1:8786", "10.0.0.1", "tls://", "tls://10.0.0.1", "tcp://:8786", "ws://a:1"]
)
@pytest.mark.parametrize("port", ["", "x", "70000"])
def test_what_is_no_address(address, port):
    whole = f"{address}:{port}" if port else address
    assert problem(whole) == f"--address {whole}: is no address; write one such as tls://10.0.0.1:8786"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "localhost", "[::1]"])
def test_this_machine_needs_no_tls(host):
    access = Access.of(f"tcp://{host}:8786")
    assert (access.host, access.port) == (host.strip("[]"), 8786)
    assert not access.security.require_encryption


@pytest.mark.parametrize("host", ["10.0.0.1", "scheduler", "[fe80::1]", "localhost.example.org", "128.0.0.1"])
def test_other_machines_need_it(host):
    line = problem(f"tcp://{host}:8786")
    assert line.startswith(f"--address tcp://{host}:8786: without TLS, whoever reaches the scheduler can run programs")
    assert line.count("--insecure") == 1
    assert Access.of(f"tcp://{host}:8786", insecure=True).host == host.strip("[]")


def test_options_that_make_no_sense_together():
    assert problem("tls://a:1", insecure=True) == "--address tls://a:1: is secure; leave out --insecure"
    assert problem("tcp://localhost:1", tls_cert="a", tls_key="b") == (
        "--address tcp://localhost:1: only tls:// takes --tls-cert, --tls-key"
    )


def test_certificates_are_needed():
    line = problem("tls://a:1", tls_cert="a")
    assert line.startswith(
        "tls:// needs certificates: --tls-ca-file (or distributed.comm.tls.ca-file); docs/cluster.md "
    )


def test_files_that_are_missing_are_named(tmp_path):
    (tmp_path / "ca.pem").write_text("")
    missing = tmp_path / "missing.pem"
    assert problem("tls://a:1", tls_ca_file=tmp_path / "ca.pem", tls_cert=missing) == (
        f"--tls-cert {missing}: there is no such file"
    )


def test_files_that_are_no_certificates(tmp_path):
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    line = problem("tls://a:1", tls_ca_file=file, tls_cert=file)
    assert line == f"{file}: is no certificate that can be read (in the format PEM)"


@pytest.mark.parametrize("package", ["cryptography", "distributed"])
def test_packages_that_are_missing(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    assert problem("tcp://localhost:1") == f"--engine dask: needs {package}: pip install 'minidl-cli[distributed]'"
