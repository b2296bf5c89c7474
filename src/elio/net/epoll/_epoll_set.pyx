"""The epoll set of the reactor: its turns, its descriptors, the buffer that all streams in it read into.

An event names a descriptor and the generation of what was registered with it, so one that was meant for a closed stream
is no other's. Not here: what a stream does (:mod:`elio.net.epoll._socket_stream`), listening, and the place in the event loop
(:mod:`elio.net.epoll.reactor`).
"""

import os

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.errno cimport errno
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from elio.net.outlet cimport Outlet

__all__ = ["EpollSet"]


cdef extern from *:
    """
    /* The same object with another size, up to what it was made with. Nobody else may hold it. */
    static inline void elio_set_size(PyObject *bytes, Py_ssize_t size)
    {
        Py_SET_SIZE(bytes, size);
        PyBytes_AS_STRING(bytes)[size] = 0;
    #if defined(__GNUC__)
    #pragma GCC diagnostic push
    #pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    #endif
        ((PyBytesObject *)bytes)->ob_shash = -1;
    #if defined(__GNUC__)
    #pragma GCC diagnostic pop
    #endif
    }
    """
    void elio_set_size(PyObject *, Py_ssize_t)


cdef extern from "Python.h":
    PyObject *_new_bytes "PyBytes_FromStringAndSize"(const char *, Py_ssize_t) except NULL
    Py_ssize_t Py_REFCNT(PyObject *)
    const char *_octets "PyBytes_AS_STRING"(PyObject *)


cdef extern from "_epoll.h" nogil:
    const int AF_INET
    const int EPOLL_CLOEXEC

    int epoll_create1(int flags)
    int close(int fd)
    Py_ssize_t elio_receive(int fd, void *buffer, size_t size, int *cut)
    uint32_t ntohl(uint32_t number)
    bint elio_host(const elio_address *address, char *text)
    int elio_port(const elio_address *address)


cdef enum:
    LEND = 131072  # from so many bytes on the receiver gets the buffer itself; it comes back unless it is kept
    LEND_OWN = 32768  # the same for receivers of our own, which keep little of what they get
    EVENTS = 512  # events of one turn; what more is ready has its turn next
    BATCH_SIZE = 262144  # bytes that are read before the receivers are told
    PATIENCE = 200000  # nanoseconds for which what one receiver writes waits for the receivers after it


cdef long long now() noexcept:
    """Nanoseconds of a clock that never goes back."""
    cdef timespec time
    clock_gettime(CLOCK_MONOTONIC, &time)
    return <long long> time.tv_sec * 1000000000 + time.tv_nsec


cdef object os_error(int code):
    """The exception for a result -errno."""
    return OSError(-code, os.strerror(-code))


cdef object address_tuple(const elio_address *address):
    """An address of IPv4 or IPv6 as the module `socket` has it."""
    cdef char host[64]
    if not elio_host(address, host):
        return None
    if address.any.sa_family == AF_INET:
        return host.decode("ascii"), elio_port(address)
    return host.decode("ascii"), elio_port(address), ntohl(address.v6.sin6_flowinfo), address.v6.sin6_scope_id


cdef class Pollable(Sink):
    def __cinit__(self):
        self._fd = -1

    cdef int _ready(self, uint32_t events) except -1:
        return 0

    cdef int _go_on(self) except -1:
        return 0

    cdef int _hand_over(self) except -1:
        return 0

    cdef int _write_out(self) except -1:
        return 0

    cdef int _finish(self, error) except -1:
        return 0


cdef class EpollSet:
    """One epoll set. The loop watches its descriptor; each time it is ready, one turn serves all that are."""

    def __cinit__(self, loop):
        self.loop = loop
        self._epoll = -1
        self._table = []
        self._left = []
        self._lost = []
        self._read = []
        self._written = []
        self._ends = []
        self._events = <epoll_event *> malloc(EVENTS * sizeof(epoll_event))
        if self._events is NULL:
            raise MemoryError
        self._epoll = epoll_create1(EPOLL_CLOEXEC)
        if self._epoll < 0:
            raise os_error(-errno)

    def __dealloc__(self):
        if self._epoll >= 0:
            close(self._epoll)
        free(self._events)
        Py_XDECREF(self._buffer)
        Py_XDECREF(self._lent)

    # -- the turn ------------------------------------------------------------------------------------------------------

    def _on_ready(self):
        self._turn()

    def _on_turn(self):
        self._scheduled = False
        self._turn()

    cdef int _turn(self) except -1:
        """Serve what is ready, then what an earlier turn has left over, then those that are lost.

        Streams are served in batches: all of them are read, then their receivers are told, then what these wrote is
        sent. The system and Python's interpreter each find their code and tables in the processor's caches that way,
        which a system call between two receivers empties each time.

        What a callback that raises (SystemExit, KeyboardInterrupt) keeps from being served is served in the next turn.
        """
        cdef list left = self._left
        cdef bint nested = self._in_turn
        self._in_turn = True
        if left:
            self._left = []
        try:
            self._serve_events()
            if left and left is not self._left:
                self._serve_left(left)
            if self._read:
                self._hand_over()
            while self._lost or self._written or self._ends:
                self._finish_lost()
                self._write_out()
        finally:
            self._in_turn = nested
            if self._left or self._lost or self._read or self._written or self._ends or self._next < self._count:
                self._turn_again()
        return 0

    cdef int _serve_left(self, list left) except -1:
        left.reverse()
        try:
            while left:
                stream = left.pop()
                (<Pollable> stream)._go_on()
        finally:
            self._left += left
        return 0

    cdef int _hand_over(self) except -1:
        """Tell the receivers of the streams that were read, then send what they wrote."""
        cdef list read = self._read
        cdef long long begun = now()
        self._read = []
        self._read_size = 0
        read.reverse()
        try:
            while read:
                stream = read.pop()
                (<Pollable> stream)._hand_over()
                if self._written and now() - begun > PATIENCE:
                    self._write_out()
                    begun = now()
        finally:
            self._read += read
        return self._write_out()

    def at_batch_end(self, callback):
        if not self._in_turn:
            return False
        self._ends.append(callback)
        return True

    cdef int _end_batch(self) except -1:
        cdef list ends = self._ends
        self._ends = []
        try:
            while ends:
                ends.pop()()
        finally:
            self._ends += ends
        return 0

    cdef int _write_out(self) except -1:
        cdef list written
        if self._ends:
            self._end_batch()
        written = self._written
        if not written:
            return 0
        self._written = []
        written.reverse()
        try:
            while written:
                stream = written.pop()
                (<Pollable> stream)._write_out()
        finally:
            self._written += written
        return 0

    cdef int _has_read(self, Pollable stream, Py_ssize_t size) except -1:
        """The stream has read so much, and waits to hand it over."""
        self._read.append(stream)
        self._read_size += size
        if self._read_size >= BATCH_SIZE:
            self._hand_over()
        return 0

    cdef int _write_later(self, Pollable stream) except -1:
        """The stream has something to write in the end of the batch. Only in a turn."""
        self._written.append(stream)
        return 0

    cdef int _finish_lost(self) except -1:
        cdef list lost = self._lost
        self._lost = []
        lost.reverse()
        try:
            while lost:
                stream, error = lost.pop()
                (<Pollable> stream)._finish(error)
        finally:
            self._lost += lost
        return 0

    cdef int _serve_events(self) except -1:
        cdef Pollable pollable
        cdef epoll_event *event
        if self._next >= self._count and self._epoll >= 0:
            self._next = 0
            self._count = max(0, elio_poll(self._epoll, self._events, EVENTS))
        while self._next < self._count:
            event = &self._events[self._next]
            self._next += 1
            entry = self._table[elio_event_fd(event)]
            if entry is not None:
                pollable = <Pollable> entry
                if pollable._generation == elio_event_generation(event):
                    pollable._ready(event.events)
        return 0

    cdef int _turn_again(self) except -1:
        if not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self._on_turn)
        return 0

    cdef int _leave(self, Pollable stream) except -1:
        """The stream has something to do that no event will tell: it goes on in the next turn."""
        if not stream._left_over:
            stream._left_over = True
            self._left.append(stream)
            if not self._in_turn:
                self._turn_again()
        return 0

    cdef int _lose(self, Pollable stream, error) except -1:
        """The stream is closed; its receiver is told at the end of the turn."""
        self._lost.append((stream, error))
        if not self._in_turn:
            self._turn_again()
        return 0

    cdef int _report(self, str message, error, stream, receiver) except -1:
        """A callback has raised: tell the loop's exception handler, but let what ends the program through."""
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            raise error
        self.loop.call_exception_handler(
            {"message": message, "exception": error, "transport": stream, "protocol": receiver}
        )
        return 0

    # -- descriptors ---------------------------------------------------------------------------------------------------

    cdef int _watch(self, Pollable pollable, uint32_t events) except -1:
        cdef int fd = pollable._fd
        cdef int result
        self._generations = (self._generations + 1) & 0x7FFFFFFF
        result = elio_watch(self._epoll, EPOLL_CTL_ADD, fd, self._generations, events)
        if result < 0:
            raise os_error(result)
        while PyList_GET_SIZE(self._table) <= fd:
            self._table.append(None)
        pollable._set = self
        pollable._generation = self._generations
        self._table[fd] = pollable
        self.watched += 1
        return 0

    cdef int _forget(self, int fd) except -1:
        self._table[fd] = None
        self.watched -= 1
        if self.watched == 0 and self.on_empty is not None:
            self.loop.call_soon(self.on_empty)
        return 0

    cdef bytes _receive(self, int fd, receiver, int *cut):
        """What can be read now, at most READ_SIZE bytes; b"" at the end; None on an error, which is in `_error`.

        If `_lent` is set then, the receiver is told at once, and `_take_back` called behind it.
        """
        cdef PyObject *buffer = self._buffer
        cdef Py_ssize_t size
        if buffer is NULL:
            buffer = self._buffer = _new_bytes(NULL, READ_SIZE)
        size = elio_receive(fd, <void *> _octets(buffer), READ_SIZE, cut)
        if size < 0:
            self._error = <int> size
            return None
        if size < LEND_OWN or size < LEND and not isinstance(receiver, (Outlet, Sink)):
            return PyBytes_FromStringAndSize(_octets(buffer), size)
        self._buffer = NULL
        self._lent = buffer
        elio_set_size(buffer, size)
        return <bytes> buffer

    cdef int _take_back(self) except -1:
        """The receiver has had what it was lent. What it has kept is its own from now on."""
        cdef PyObject *buffer = self._lent
        self._lent = NULL
        if self._buffer is NULL and Py_REFCNT(buffer) == 1:
            elio_set_size(buffer, READ_SIZE)
            self._buffer = buffer
        else:
            Py_XDECREF(buffer)
        return 0
