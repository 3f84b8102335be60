"""When to make checkpoints."""

from time import monotonic

# Between two checkpoints lies so many times what the last one took.
COSTS_BETWEEN = 100


class Timetable:
    """Says when a process is to make its next checkpoint, so that all of them take about 1% of the time."""

    def __init__(self) -> None:
        self._last, self._cost = monotonic(), 0.0

    def is_due(self, every: float) -> bool:
        """Tell whether it is time, if it should be every so many seconds."""
        return monotonic() >= self._last + max(every, COSTS_BETWEEN * self._cost)

    def took(self, seconds: float) -> None:
        """Note that a checkpoint was made just now, which took so long."""
        self._last, self._cost = monotonic(), seconds
