"""docs/reliability.md names tests that exist, and all files of tests of faults."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reliability.md").read_text()
# The file, the test, and the sign of those that `make test` leaves out.
NAMED = re.findall(r"`([\w/]*test_\w+\.py)(?:::(\w+))?`(°?)", PAGE)


def named_in(file: str) -> Path:
    return ROOT / file if "/" in file else Path(__file__).parent / file


@pytest.mark.parametrize(("file", "test"), sorted({(file, test) for file, test, _ in NAMED}))
def test_named_test_exists(file, test):
    path = named_in(file)
    assert path.is_file()
    assert not test or test in definitions(path)


@pytest.mark.parametrize(("file", "test", "sign"), sorted({each for each in NAMED if each[1]}))
def test_long_tests_are_marked(file, test, sign):
    marks = [ast.unparse(each) for each in definitions(named_in(file))[test].decorator_list]
    assert ("pytest.mark.long" in marks) == bool(sign)


def test_all_files_of_tests_of_faults_are_named():
    files = {path.name for path in Path(__file__).parent.glob("test_*.py")} - {Path(__file__).name}
    assert files == {file for file, _, _ in NAMED if "/" not in file}


def definitions(path: Path) -> dict[str, ast.FunctionDef | ast.ClassDef]:
    """Return the functions and classes of a file."""
    tree = ast.parse(path.read_text())
    return {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef | ast.ClassDef)}
