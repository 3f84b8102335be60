"""Who is let in, and whom a sweep trusts: what is wrong is said in one line, before there is a run folder."""

import socket

import pytest

from tests.cluster.certificates import EXPIRED, Authority
from tests.cluster.daemons import Daemons
from tests.cluster.hosts import Host
from tests.conftest import SMALL

OTHER_MACHINE = "tls://10.1.2.3:8786"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler without workers."""
    host = Host("here", "127.0.0.1", tmp_path_factory.mktemp("cluster") / "here")
    yield Daemons(host, Authority())
    host.stop()


@pytest.fixture
def refusal(minidl, small_file):
    """Returns the one line that a sweep is refused with."""

    def sweep(address, *options):
        outcome = minidl("sweep", small_file, "--engine", "dask", "--address", address, *options)
        assert outcome.code == 2
        assert outcome.out == ""
        assert not (small_file.parent / "runs").exists()
        (line,) = outcome.err.splitlines()
        return line

    return sweep


class TestWithoutTls:
    @pytest.mark.parametrize("host", ["10.1.2.3", "tower", "[2001:db8::1]", "0.0.0.0", "127.0.0.1.example.org"])
    def test_other_machines_are_refused(self, refusal, host):
        line = refusal(f"tcp://{host}:8786")
        assert "without TLS, whoever reaches the scheduler can run programs" in line
        assert "--insecure" in line

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.8.9.1"])
    def test_this_machine_is_not(self, refusal, host):
        assert "cannot be reached" in refusal(f"tcp://{host}:{unused_port()}")

    def test_certificates_are_no_use(self, refusal, tmp_path):
        assert "only tls:// takes --tls-cert" in refusal("tcp://127.0.0.1:8786", "--tls-cert", tmp_path / "own.pem")

    def test_scheduler_with_tls(self, refusal, cluster):
        assert "does not let us in" in refusal(cluster.address.replace("tls", "tcp"))


class TestCertificates:
    def test_missing(self, refusal):
        line = refusal(OTHER_MACHINE)
        assert "tls:// needs certificates: --tls-ca-file" in line

    def test_that_are_not_there(self, refusal, authority, tmp_path):
        options = authority.certify(tmp_path / "tls")
        (tmp_path / "tls/own-key.pem").unlink()
        assert "own-key.pem: there is no such file" in refusal(OTHER_MACHINE, *options)

    @pytest.mark.parametrize("name", ["authority.pem", "own.pem", "own-key.pem"])
    def test_that_are_none(self, refusal, authority, tmp_path, name):
        options = authority.certify(tmp_path / "tls")
        (tmp_path / "tls" / name).write_text("hello")
        assert name in refusal(OTHER_MACHINE, *options)

    def test_of_another_key(self, refusal, authority, tmp_path):
        options = authority.certify(tmp_path / "tls")
        other = authority.certify(tmp_path / "other")
        assert "own-key.pem" in refusal(OTHER_MACHINE, *options[:4], *other[4:])

    def test_that_have_expired(self, refusal, authority, tmp_path):
        line = refusal(OTHER_MACHINE, *authority.certify(tmp_path / "tls", EXPIRED))
        assert "own.pem" in line
        assert "expired" in line

    def test_of_another_authority(self, refusal, cluster, authority, tmp_path):
        """Neither side trusts the other."""
        assert "does not let us in" in refusal(cluster.address, *authority.certify(tmp_path / "tls"))

    def test_of_an_authority_that_the_scheduler_does_not_trust(self, refusal, cluster, authority, tmp_path):
        """It is the scheduler that refuses: this side knows its authority."""
        _, known, *_ = cluster.certificates(cluster.host)
        own = authority.certify(tmp_path / "tls")[2:]
        assert "does not let us in" in refusal(cluster.address, "--tls-ca-file", known, *own)

    def test_of_the_cluster(self, refusal, cluster):
        """They are let in, but there is nobody to train."""
        assert "has no workers" in refusal(cluster.address, *cluster.certificates(cluster.host))

    def test_in_dasks_configuration(self, refusal, cluster, monkeypatch):
        import dask

        _, ca, _, cert, _, key = cluster.certificates(cluster.host)
        names = {"ca-file": ca, "client.cert": cert, "client.key": key}
        with dask.config.set({f"distributed.comm.tls.{name}": file for name, file in names.items()}):
            assert "has no workers" in refusal(cluster.address)

    def test_where_insecure_is_said(self, refusal):
        assert "leave out --insecure" in refusal(OTHER_MACHINE, "--insecure")


@pytest.mark.parametrize("address", ["10.0.0.1:8786", "tls://10.0.0.1", "http://10.0.0.1:8786", "tls://:8786", "tls:/"])
def test_addresses_that_are_none(refusal, address):
    assert "is no address" in refusal(address)


def test_nobody_listens(refusal, authority, tmp_path):
    line = refusal(f"tls://127.0.0.1:{unused_port()}", *authority.certify(tmp_path / "tls"))
    assert "cannot be reached: Connection refused" in line


def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.long
def test_without_tls_to_another_host(network):
    """It is refused, unless it is asked for."""
    desk = network.add("desk")
    cluster = Daemons(network.add("head"), authority=None)
    cluster.add_worker(network.add("left"))
    config = desk.home / "small.yaml"
    config.write_text(SMALL)
    refused = desk.start("minidl", "sweep", config, *cluster.options(desk))
    assert refused.wait() == 2
    assert "without TLS" in refused.err
    assert not (desk.home / "runs").exists()
    desk.run("minidl", "sweep", config, *cluster.options(desk), "--insecure")
    assert len(list((desk.home / "runs").iterdir())) == 1
