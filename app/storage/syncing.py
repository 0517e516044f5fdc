"""Waiting for the disk without waiting: `fdatasync` as an event of the loop. And `make_durable`, for who may wait.

Linux does it by itself (`io_submit` with IOCB_CMD_FDSYNC, 4.18 and later) and says by an eventfd that it is done. A thread would do the same,
but has to get the interpreter back from a busy event loop, twice: measured with lookups at full rate, some milliseconds each time. The
thread remains for systems that have no such call, or forbid it.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import platform
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

Told = Callable[[int], None]
"""Is told how it went: 0, or the number of an error. In the event loop's thread."""

# io_setup, io_destroy, io_submit, io_getevents
_CALLS = {"x86_64": (206, 207, 209, 208), "aarch64": (0, 1, 2, 4)}
_FSYNC, _FDSYNC = 2, 3
_TELL_BY_EVENT = 1
_REQUEST = struct.Struct("<QIIHhIQQqQII")
_EVENT = struct.Struct("<QQqq")


class Syncer(Protocol):
    """One file at a time."""

    def begin(self, handle: int, told: Told, *, whole: bool = False) -> None:
        """Make what was written to a file durable; OSError if that cannot even be begun. `whole`: `fsync`, as a folder needs it."""
        ...

    def close(self) -> None:
        """Give everything back; none may be under way."""
        ...


def make_syncer(loop: asyncio.AbstractEventLoop) -> Syncer:
    """The best that this system has, for this loop."""
    try:
        return KernelSyncer(loop)
    except OSError:
        return ThreadSyncer(loop)


class KernelSyncer:
    """Through the kernel. OSError where it has no such call."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        calls = _CALLS.get(platform.machine())
        if calls is None or platform.system() != "Linux":
            raise OSError(errno.ENOSYS, "no such calls are known for this system")
        # None of these calls waits, so the interpreter is kept: PyDLL.
        self._system = ctypes.PyDLL(None, use_errno=True).syscall
        self._system.restype = ctypes.c_long
        self._setup, self._destroy, self._submit, self._events = calls
        self._context = ctypes.c_ulong(0)
        self._call(self._setup, 1, ctypes.byref(self._context))
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._request = ctypes.create_string_buffer(_REQUEST.size)
        self._requests = (ctypes.c_void_p * 1)(ctypes.addressof(self._request))
        self._answer = ctypes.create_string_buffer(_EVENT.size)
        self._told: Told | None = None
        self._loop = loop
        loop.add_reader(self._bell, self._ring)

    def begin(self, handle: int, told: Told, *, whole: bool = False) -> None:
        """See `Syncer`."""
        _REQUEST.pack_into(self._request, 0, 0, 0, 0, _FSYNC if whole else _FDSYNC, 0, handle, 0, 0, 0, 0, _TELL_BY_EVENT, self._bell)
        self._told = told
        self._call(self._submit, self._context, 1, self._requests)

    def close(self) -> None:
        """See `Syncer`."""
        self._loop.remove_reader(self._bell)
        os.close(self._bell)
        self._call(self._destroy, self._context)

    def _ring(self) -> None:
        try:
            os.eventfd_read(self._bell)
        except BlockingIOError:
            return
        if self._call(self._events, self._context, 0, 1, self._answer, None) == 1 and self._told is not None:
            _, _, result, _ = _EVENT.unpack(self._answer.raw)
            told, self._told = self._told, None
            told(-int(result))

    def _call(self, number: int, *arguments: object) -> int:
        result = int(self._system(ctypes.c_long(number), *arguments))
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return result


class ThreadSyncer:
    """Through a thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._work: SimpleQueue[tuple[int, Told, bool] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="cordon-sync", daemon=True)
        self._thread.start()

    def begin(self, handle: int, told: Told, *, whole: bool = False) -> None:
        """See `Syncer`."""
        self._work.put((handle, told, whole))

    def close(self) -> None:
        """See `Syncer`."""
        self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._work.get()) is not None:
            handle, told, whole = job
            try:
                (os.fsync if whole else os.fdatasync)(handle)
            except OSError as error:
                code = error.errno or errno.EIO
            else:
                code = 0
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(told, code)


def make_durable(path: Path) -> None:
    """What stands in a file, also what was stored through a mapping, or which names stand in a folder: on the disk when this returns.

    Blocking, but in a thread of its own it holds nobody up, unlike `mmap.flush`, which keeps Python's lock.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
