"""How often checkpoints are made."""

import numpy as np
import pytest

from minidl_cli.sweeps import timetable
from minidl_cli.sweeps.timetable import Timetable


class TestTimetable:
    @pytest.fixture
    def clock(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(timetable, "monotonic", lambda: self.now)

    def due_times(self, every, seconds, until=1000):
        self.now = 0.0
        times, found = Timetable(), []
        for self.now in np.arange(0.0, until, 0.25):
            if times.is_due(every):
                found.append(self.now)
                times.took(seconds)
        return found

    def test_every_so_many_seconds(self, clock):
        assert self.due_times(30, 0.01, 100) == [30, 60, 90]
        assert self.due_times(0.5, 0.001, 2) == [0.5, 1.0, 1.5]

    @pytest.mark.parametrize("seconds", [0.25, 1, 7])
    def test_never_takes_more_than_a_hundredth(self, clock, seconds):
        due = self.due_times(0.01, seconds)
        assert len(due) * seconds <= 1000 / 100 + seconds
