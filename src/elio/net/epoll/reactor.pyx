"""The Linux fast path below connections: an epoll set of our own inside any asyncio loop.

The loop watches one descriptor, that of the set; each time it is ready, one turn serves every socket that is. So the
cost of the loop is paid for a turn, not for a socket. Not here: what a stream does (`_socket_stream.pyx`), TLS, and any
logging.
"""

import os
import socket
import warnings

cimport cython
from libc.errno cimport EAGAIN, ETIMEDOUT
from libc.stdint cimport uint32_t

from elio.net.epoll._epoll_set cimport (
    EPOLL_CTL_ADD,
    EPOLL_CTL_DEL,
    EPOLLIN,
    EpollSet,
    Pollable,
    elio_accept,
    elio_address,
    elio_lost_before_accept,
    elio_no_delay,
    elio_watch,
    os_error,
)
from elio.net.epoll._socket_stream cimport SocketStream, open_stream

__all__ = ["Listener", "Reactor", "SocketStream"]


cdef extern from "_epoll.h" nogil:
    void elio_peer(int fd, elio_address *address)
    int close(int fd)

cdef extern from "_silence.h" nogil:
    bint elio_is_silent(int fd, uint32_t milliseconds)


cdef enum:
    ACCEPTS = 64  # connections that one listener accepts in a turn

globals()["SocketStream"] = SocketStream  # what is cimported is no name of the module by itself

cdef double REST = 1.0  # seconds without accepting after the system had no descriptor or no memory for a connection


@cython.final
cdef class Reactor(EpollSet):
    def __init__(self, loop):
        try:
            loop.add_reader(self._epoll, self._on_ready)
        except BaseException:
            close(self._epoll)
            self._epoll = -1
            raise

    @classmethod
    def is_available(cls):
        return os.environ.get("ELIO_REACTOR", "") != "0"

    def __repr__(self):
        return f"<Reactor {'closed' if self._epoll < 0 else 'open'} streams={len(self.streams)}>"

    def __del__(self):
        if self._epoll >= 0:
            warnings.warn(f"unclosed reactor {self!r}", ResourceWarning, source=self)

    @property
    def streams(self):
        return [entry for entry in self._table if isinstance(entry, SocketStream)]

    def listen(self, sock, factory, *, int backlog, on_error=None):
        cdef Listener listener = Listener.__new__(Listener)
        if self._epoll < 0:
            raise RuntimeError("the reactor is closed")
        sock.setblocking(False)
        sock.listen(backlog)
        listener._fd = sock.fileno()
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            elio_no_delay(listener._fd)
        listener._sock = sock
        listener._factory = factory
        listener._on_error = on_error
        self._watch(listener, EPOLLIN)
        return listener

    def adopt(self, sock, receiver):
        cdef elio_address peer
        cdef int fd = sock.fileno()
        if self._epoll < 0:
            raise RuntimeError("the reactor is closed")
        sock.setblocking(False)
        elio_peer(fd, &peer)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            elio_no_delay(fd)
        return open_stream(self, fd, receiver, sock, &peer)

    def cut_silent(self, uint32_t milliseconds, Py_ssize_t first, Py_ssize_t count):
        cdef Py_ssize_t size = len(self._table)
        cdef Py_ssize_t position = first if first < size else 0
        cdef Py_ssize_t end = min(position + count, size)
        while position < end:
            entry = self._table[position]
            position += 1
            if isinstance(entry, SocketStream) and elio_is_silent((<Pollable> entry)._fd, milliseconds):
                (<SocketStream> entry)._cut(os_error(-ETIMEDOUT))
        return 0 if position >= size else position

    def close(self):
        if self._epoll < 0:
            return
        for entry in self._table:
            if isinstance(entry, SocketStream):
                entry.abort()
            elif entry is not None:
                entry.close()
        if not self.loop.is_closed():
            self.loop.remove_reader(self._epoll)
        close(self._epoll)
        self._epoll = -1


@cython.final
cdef class Listener(Pollable):
    cdef object _sock
    cdef object _factory
    cdef object _on_error
    cdef object _timer
    cdef bint _paused
    cdef bint _exhausted
    cdef readonly unsigned long long accepted
    cdef readonly unsigned long long rests

    def __repr__(self):
        state = "closed" if self._fd < 0 else "paused" if self._paused else "resting" if self._timer else "open"
        return f"<Listener {state} accepted={self.accepted} rests={self.rests}>"

    def close(self):
        if self._fd < 0:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        elio_watch(self._set._epoll, EPOLL_CTL_DEL, self._fd, 0, 0)
        self._set._forget(self._fd)
        self._fd = -1
        self._sock.close()
        self._factory = None

    def pause(self):
        self._paused = True
        self._update()

    def resume(self):
        self._paused = False
        self._update()

    cdef int _update(self) except -1:
        """Be in the set or not: one that only has no events to wait for would still be told of errors."""
        cdef bint off = self._paused or self._timer is not None
        if self._fd >= 0:
            operation = EPOLL_CTL_DEL if off else EPOLL_CTL_ADD
            elio_watch(self._set._epoll, operation, self._fd, self._generation, EPOLLIN)
        return 0

    cdef int _ready(self, uint32_t events) except -1:
        cdef elio_address peer
        cdef int fd, count
        for count in range(ACCEPTS):
            if self._fd < 0 or self._paused:
                return 0
            fd = elio_accept(self._fd, &peer)
            if fd == -EAGAIN:
                return 0
            if fd >= 0:
                self._accept(fd, &peer)
            elif not elio_lost_before_accept(fd):
                return self._rest(os_error(fd))
        return 0

    cdef int _accept(self, int fd, const elio_address *peer) except -1:
        self.accepted += 1
        self._exhausted = False
        try:
            receiver = self._factory()
        except BaseException as error:
            close(fd)
            return self._set._report("Error on accepting a connection: the factory failed.", error, None, None)
        try:
            open_stream(self._set, fd, receiver, None, peer)
        except OSError as error:  # the system has no room for another descriptor in the set
            self._rest(error)
        return 0

    cdef int _rest(self, error) except -1:
        """Accept nothing for a while; whoever is interested is told once, until a connection is accepted again."""
        told, self._exhausted = self._exhausted, True
        self.rests += 1
        self._timer = self._set.loop.call_later(REST, self._end_rest)
        self._update()
        if self._on_error is not None and not told:
            self._on_error(error)
        return 0

    def _end_rest(self):
        self._timer = None
        self._update()
