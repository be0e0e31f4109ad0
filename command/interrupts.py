"""Interrupts end the command in order: what is under way unwinds, and nothing of it is left.

A signal raises `Interruption` where the command is, so that files and processes are cleaned up as
after any error. What does not unwind within `GRACE_SECONDS`, such as a long call of a library, is
ended from another thread.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import NoReturn, Self

from gscn.system.files import remove_unfinished
from gscn.system.processes import ask_descendants, end_descendants

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE_SECONDS = 2.5
"""Limit of time for the command to unwind."""
_STATUS = 128
"""Added to a signal's number: the status that shells give to what it ended."""


class Interruption(KeyboardInterrupt):
    """A signal asks the command to end; unwinds like Ctrl-C in any Python program."""


class Interrupts:
    """Takes signals over for as long as this context lasts, in the main thread.

    After a signal no exception leaves the context: whatever it is, it is the signal's doing.
    Contexts inside another one do nothing.

    Parameters
    ----------
    leaving
        Whether the process ends with the context: then signals that come later end it at once.
    """

    _outermost: Interrupts | None = None

    def __init__(self, *, leaving: bool = False) -> None:
        self.number: int | None = None
        """Of the signal that came, None if there was none."""
        self._leaving = leaving
        self._entered = False
        self._raising = True
        self._before: dict[int, object] = {}
        self._ended = threading.Event()
        self._said = False

    def run(self, function: Callable[[], int]) -> int:
        """Call a function in this context; return the exit status that it returns, or a signal's.

        See `status`.
        """
        status = 0
        try:
            with self:
                status = function()
        except Interruption as error:
            if Interrupts._outermost is not self:
                raise
            # It came just as the context was being left.
            self.__exit__(type(error), error, error.__traceback__)
        return self.status(status)

    def status(self, status: int) -> int:
        """Return the exit status: that of the signal if there was one, else the one given.

        A process that leaves after a signal ends here. All is cleaned up, and to take down the
        interpreter with large libraries in it can take seconds.
        """
        if self.number is None:
            return status
        if self._leaving:
            _free_semaphores()
            os._exit(_STATUS + self.number)
        return _STATUS + self.number

    def __enter__(self) -> Self:
        in_main = threading.current_thread() is threading.main_thread()
        if Interrupts._outermost is not None or not in_main:
            return self
        Interrupts._outermost = self
        reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._hooks_before = (
            sys.unraisablehook,
            threading.excepthook,
            warnings.showwarning,
            logging.root.manager.disable,
        )
        threading.Thread(
            target=self._watch, args=(reader,), name="gscn-interrupts", daemon=True
        ).start()
        for number in SIGNALS:
            # Whoever started this with a signal ignored, as `nohup` does, wants it to go on.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.getsignal(number)
                signal.signal(number, self._interrupt)
        if self._leaving:
            # First, so that it is called last. Then the interpreter would let signals kill it, with
            # nothing left to do but to end with the command's own status.
            atexit.register(self._ignore)
        self._entered = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> bool:
        if Interrupts._outermost is not self:
            return False
        self._raising = False
        if self.number is None and self._leaving:
            for number in self._before:
                signal.signal(number, _leave)
        if self.number is not None:
            end_descendants()
            remove_unfinished()
            self._say()
        if not self._leaving:
            self._give_back()
        return self.number is not None

    def _give_back(self) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        signal.set_wakeup_fd(self._wakeup_before)
        sys.unraisablehook, threading.excepthook, warnings.showwarning, disabled = (
            self._hooks_before
        )
        logging.disable(disabled)
        self._ended.set()
        os.close(self._writer)  # ends the thread
        Interrupts._outermost = None

    def _ignore(self) -> None:
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Begin the end; later signals change nothing, as it is under way and its time limited."""
        if self.number is not None:
            return
        self.number = number
        # What goes on in other threads, and in callbacks, fails now; nobody needs to know.
        sys.unraisablehook = self._raise_again
        threading.excepthook = lambda _: None
        warnings.showwarning = lambda *_, **__: None
        logging.disable(logging.CRITICAL)
        if _importing(frame) or not self._entered:
            # Libraries in C++ do not survive an exception in their initialisation. An exception
            # before the context is entered would not be caught by it.
            self._end_at_once()
        # Whoever waits for a process goes on, and finds that it has ended.
        ask_descendants()
        if self._raising:
            raise Interruption(number)

    def _raise_again(self, unraisable: object) -> None:
        """Raise what a callback of the interpreter could not pass on, outside of it."""
        if isinstance(unraisable.exc_value, Interruption) and self._raising:
            # Not at once: here it would be lost again.
            signal.signal(signal.SIGALRM, self._raise)
            signal.setitimer(signal.ITIMER_REAL, 0.01)

    def _raise(self, *_: object) -> None:
        if self._raising:
            raise Interruption(self.number)

    def _watch(self, reader: int) -> None:
        """Wait for a signal, which this thread sees even while Python's own handler has to wait."""
        while received := os.read(reader, 1):
            if received[0] in self._before and not self._ended.wait(GRACE_SECONDS):
                self.number = self.number or received[0]
                self._end_at_once()
        os.close(reader)

    def _end_at_once(self) -> NoReturn:
        # Nothing that takes a lock, which whatever does not unwind may hold.
        end_descendants()
        remove_unfinished()
        self._say()
        os._exit(_STATUS + self.number)

    def _say(self) -> None:
        if self._said:
            return
        self._said = True
        # Standard error may be closed, or its reader gone.
        with contextlib.suppress(OSError, AttributeError, ValueError):
            if sys.stderr.isatty():
                sys.stderr.write("\x1b[?25h")  # shows the cursor, which a bar may have hidden
            sys.stderr.write(f"gscn: ended by {signal.Signals(self.number).name}\n")
            sys.stderr.flush()


def _free_semaphores() -> None:
    """Do what `multiprocessing` does when the interpreter ends; otherwise it warns of the lack."""
    util = sys.modules.get("multiprocessing.util")
    with contextlib.suppress(Exception):  # whatever they are: the others do not depend on it
        util._run_finalizers(0)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib."):
            return True
        frame = frame.f_back
    return False


def _leave(number: int, _: FrameType | None) -> None:
    """End a process that has nothing left to do but to end."""
    os._exit(_STATUS + number)
