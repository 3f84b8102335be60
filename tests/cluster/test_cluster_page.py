"""docs/cluster.md: its commands, as they stand and in their order, on two hosts."""

import re
import shutil
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs/cluster.md"
HERE_DOCUMENT = r"<<(?P<end>\w+)\n(?:.*\n)*?(?P=end)"
COMMAND = re.compile(
    rf"^(?P<host>\w+)\$ (?P<command>(?:.*\\\n)*.*?(?:{HERE_DOCUMENT})?)\n(?P<shown>(?:(?!\w+\$ ).*\n)*)", re.MULTILINE
)
# What a program prints once it is there that runs until it is stopped.
READY = {"dask scheduler": "Scheduler at: ", "dask worker": "Registered to: "}


def commands():
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        if not language:
            found = list(COMMAND.finditer(block))
            assert "".join(each[0] for each in found) == block
            yield from found


def is_alike(printed, shown):
    """Tell whether lines are the same but for numbers, names of runs and what `…` stands for."""
    printed, shown = (
        re.sub(r"[\d.]+ s$|-\d{8}-\d{6}-[0-9a-f]{4}", "", text, flags=re.MULTILINE) for text in (printed, shown)
    )
    return re.fullmatch(re.escape(shown).replace("…\\\n", r"(?:.*\n)*"), printed) is not None


@pytest.mark.long
def test_commands(network):
    hosts = {name: network.add(name) for name in ("desk", "tower")}
    desk, tower = hosts.values()
    (desk.home / "configs").symlink_to(ROOT / "configs")
    for command in commands():
        program, shown = command["command"], command["shown"]
        if command["host"] == "tower" and not (tower.home / "tls").exists():
            copy_certificates(desk, tower)
        process = hosts[command["host"]].start("sh", "-c", program)
        if ready := READY.get(" ".join(program.split()[:2])):
            process.wait_until(lambda process=process, ready=ready: ready in process.err)
            assert not shown
            continue
        if "^C\n" in shown:
            process.wait_until(lambda process=process: "epoch" in process.err)
            process.signal_group(signal.SIGINT)
            assert process.wait() in (130, -signal.SIGINT), process.err  # a shell dies of it, too
        else:
            assert process.wait() == 0, f"{program}\n{process.err}"
        printed = process.err + process.out
        assert not shown or is_alike(printed, shown.replace("^C\n…\n", "")), f"{program}\n{printed}"
    assert len(list((desk.home / "runs").iterdir())) == 3


def copy_certificates(desk, tower):
    """Do what the page says in words."""
    (tower.home / "tls").mkdir(mode=0o700)
    for name in ("authority.pem", "tower.pem", "tower-key.pem"):
        shutil.copy(desk.home / "tls" / name, tower.home / "tls")
    (desk.home / "tls/tower-key.pem").unlink()


def test_commands_are_found():
    programs = [(command["host"], command["command"].split()[0]) for command in commands()]
    assert ("tower", "dask") in programs
    assert [host for host, program in programs].count("desk") > 10
