"""What the tests of figures share."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from tests.display.figure_examples import Draw


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Draw:
    """Calls a drawing function and gives the figure that it would have saved, drawn; its CSV is `figure.csv`."""
    saved: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **named: saved.append(self))

    def draw(function, *arguments, **named):
        function(tmp_path / "figure.png", *arguments, **named)
        saved[-1].canvas.draw()
        return saved[-1]

    return draw
