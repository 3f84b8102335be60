"""The network that tests of clusters use."""

from pathlib import Path

import pytest

ASK = """
import socket, sys
try:
    with socket.create_connection(("10.0.0.2", 8000), timeout=float(sys.argv[1])) as connection:
        print(connection.recv(99).decode())
except TimeoutError:
    print("lost")
"""
ANSWER = """
import socket
with socket.create_server(("10.0.0.2", 8000)) as server:
    print("ready", flush=True)
    while True:
        with server.accept()[0] as connection:
            connection.sendall(b"hello")
"""


def test_link_that_is_cut_and_mended(network):
    left, right = network.add("left"), network.add("right")
    server = right.start("python", "-c", ANSWER)
    server.wait_until(lambda: server.out)
    assert left.run("python", "-c", ASK, "60") == "hello\n"
    left.cut()
    assert left.run("python", "-c", ASK, "0.2") == "lost\n"
    left.mend()
    assert left.run("python", "-c", ASK, "60") == "hello\n"


def test_hosts_have_homes_of_their_own(network):
    left, right = network.add("left"), network.add("right")
    assert left.run("sh", "-c", "pwd; echo $HOME").split() == [str(left.home)] * 2
    assert left.home != right.home


def test_nothing_is_seen_of_a_network_outside(network):
    host = network.add("left")
    assert "eth0" in host.run("ip", "link")
    assert not Path("/run/netns/left").exists()


def test_programs_end_with_the_network(network):
    process = network.add("left").start("sleep", "1000")
    assert process.is_running()
    network.hosts[0].stop()
    assert process.wait() == -9


@pytest.mark.parametrize("name", ["here", "far"])
def test_programs_find_no_settings_of_the_user(name, here, network, monkeypatch):
    monkeypatch.setenv("DASK_CONFIG", "/elsewhere")
    host = here if name == "here" else network.add("far")
    assert "/elsewhere" not in host.run("env")
