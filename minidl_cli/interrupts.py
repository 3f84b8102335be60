"""How a signal stops the process: at once, or where it does no harm."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import ClassVar

# How long a process that is asked to stop may go on until it comes to a good end; and how long it may clean up.
GRACE_SECONDS, CLEANUP_SECONDS = 1.0, 2.0


class Interrupted(BaseException):
    """The process was asked to stop, by Ctrl-C for example. Not an Exception: nothing should take it for a failure.

    Attributes:
        signal: the number of the signal.
    """

    # The first signal that came. Whoever runs long asks for it, because some imports swallow every exception.
    _came: ClassVar[int | None] = None
    _when: ClassVar[float] = 0.0
    _is_deferred: ClassVar[bool] = False
    _is_long_work: ClassVar[bool] = False
    _has_begun: ClassVar[bool] = False

    def __init__(self, signal: int):
        super().__init__(signal)
        self.signal = signal

    @classmethod
    def handle(cls, number: int, frame: FrameType | None) -> None:
        """Handle a signal: remember that the process was asked to stop, and raise; at once, or soon if deferred.

        It leaves the process two seconds to clean up in peace, in which further signals change nothing. As long as
        there is nothing to clean up the process just ends: not every module bears an exception while it is imported.
        """
        if not cls._has_begun:
            os.write(2, f"stopped by {signal.Signals(number).name}\n".encode())
            os._exit(128 + number)
        if cls._came is None or monotonic() > cls._when + CLEANUP_SECONDS:
            is_first = cls._came is None
            cls._came, cls._when = cls._came or number, monotonic()
            if is_first and cls._is_deferred:
                signal.signal(signal.SIGALRM, cls._end_deferral)
                signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)
            else:
                raise cls(cls._came)

    @classmethod
    def begin(cls) -> None:
        """Note that from now on there is something to clean up."""
        cls._has_begun = True

    @classmethod
    def _end_deferral(cls, number: int, frame: FrameType | None) -> None:
        if cls._is_long_work:
            cls.check()

    @classmethod
    @contextmanager
    def deferred(cls) -> Iterator[None]:
        """Within the context, a signal only raises where `check` is called, or at the end; or soon, in `long_work`."""
        before, cls._is_deferred = cls._is_deferred, True
        try:
            yield
        finally:
            cls._is_deferred = before
            if cls._came is not None:
                signal.setitimer(signal.ITIMER_REAL, 0)
        cls.check()

    @classmethod
    @contextmanager
    def long_work(cls) -> Iterator[None]:
        """Within the context, a signal that is deferred raises a second after it came."""
        cls._is_long_work = True
        try:
            yield
        finally:
            cls._is_long_work = False

    @classmethod
    def came(cls) -> int | None:
        """Return the signal by which the process was asked to stop; None if it was not."""
        return cls._came

    @classmethod
    def check(cls) -> None:
        """Raise if the process was asked to stop and goes on all the same."""
        if cls._came is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise cls(cls._came)
