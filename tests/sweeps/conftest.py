"""What the tests of run folders share."""

import pytest


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the figures of run folders, which take longer to draw than small networks to train."""
    monkeypatch.setattr("minidl_cli.sweeps.drawing.draw_figures", lambda *_: None)
    for name in ("variants", "rounds", "final_points", "final_pairs", "predictions"):
        monkeypatch.setattr(f"minidl_cli.display.figures.draw_{name}", lambda *_, **__: None)
