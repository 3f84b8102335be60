"""The figures that stand on the page."""

import shutil
from pathlib import Path


class Album:
    """The folder of the page's figures, which starts empty.

    Args:
        page: the page, beside which it lies in images/reports.
        drafts: where figures are drawn that no run folder has.
    """

    def __init__(self, page: Path, drafts: Path):
        self._page, self._folder, self.drafts = page, page.parent / "images" / "reports", drafts
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in self._folder.glob("*.png"):
            old.unlink()

    def add(self, source: Path, name: str, description: str) -> str:
        """Copy a figure into the folder, and return the Markdown that shows it."""
        kept = self._folder / f"{name}.png"
        shutil.copyfile(source, kept)
        return f"![{description}]({kept.relative_to(self._page.parent).as_posix()})"
