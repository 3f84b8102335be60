"""How the built-in workers send what there is to tell."""

from contextlib import nullcontext

import pytest

from minidl_cli.sweeps import worker


class TestOutbox:
    @pytest.fixture
    def sent(self, monkeypatch):
        """What was sent, and a clock that stands still unless it is set."""
        self.time, self.lists = 100.0, []
        monkeypatch.setattr(worker, "monotonic", lambda: self.time)
        return self.lists

    def send(self, events):
        self.lists.append(list(events))

    def test_what_is_urgent_goes_at_once_with_what_waits(self, sent):
        with worker._Outbox(self) as outbox:
            outbox.put("epoch 1", is_urgent=False)
            outbox.put("epoch 2", is_urgent=False)
            assert sent == []
            outbox.put("checkpoint", is_urgent=True)
            assert sent == [["epoch 1", "epoch 2", "checkpoint"]]
            outbox.put("round", is_urgent=True)
        assert sent == [["epoch 1", "epoch 2", "checkpoint"], ["round"]]

    def test_what_is_not_goes_when_it_is_time(self, sent):
        with worker._Outbox(self) as outbox:
            for epoch in range(8):
                outbox.put(epoch, is_urgent=False)
                self.time += 0.4 * worker.SEND_SECONDS
            assert sent == [[0, 1, 2, 3], [4, 5, 6]]
        assert sent == [[0, 1, 2, 3], [4, 5, 6], [7]]

    @pytest.mark.parametrize("error", [None, ValueError])
    def test_the_rest_goes_in_the_end(self, sent, error):
        with pytest.raises(error) if error else nullcontext(), worker._Outbox(self) as outbox:
            outbox.put("epoch 1", is_urgent=False)
            if error:
                raise error
        assert sent == [["epoch 1"]]
