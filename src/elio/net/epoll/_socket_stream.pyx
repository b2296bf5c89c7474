"""The streams of the reactor: reading, writing, flow control, the end.

A stream does what an ``asyncio.Transport`` of the selector loop does, without a Python socket: it is registered once,
edge-triggered; it owns no buffer while nothing waits to be sent; and what it receives is read into one buffer that all
streams of the set share. Not here: the set (:mod:`elio.net.epoll._epoll_set`), listening, and the place in the event loop
(:mod:`elio.net.epoll.reactor`).
"""

import socket
from asyncio.trsock import TransportSocket

from elio.limits import LARGE

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.errno cimport EAGAIN
from libc.stdint cimport uint32_t

from elio.net.epoll._epoll_set cimport (
    ELIO_CONNECTION,
    ELIO_NOT_DRAINED,
    ELIO_WRITABLE,
    EPOLL_CTL_DEL,
    EPOLL_CTL_MOD,
    EPOLLET,
    EPOLLOUT,
    READ_SIZE,
    EpollSet,
    Pollable,
    address_tuple,
    elio_address,
    elio_watch,
    os_error,
)
from elio.net.outlet cimport Outlet

__all__ = ["SocketStream"]


cdef extern from "_epoll.h" nogil:
    const int AF_INET
    const int AF_INET6
    const int SHUT_WR

    cdef struct iovec:
        void *iov_base
        size_t iov_len

    int close(int fd)
    int shutdown(int fd, int how)
    Py_ssize_t elio_send(int fd, iovec *parts, size_t count)


cdef enum:
    WRITE_SIZE = 1048576  # the most that one stream writes of its queue in a turn
    PARTS = 256  # pieces of the queue that one system call takes
    HIGH_WATER = 65536
    LOW_WATER = 16384

cdef Py_ssize_t DIRECT = LARGE  # bytes from which on a write does not wait for the end of the batch


cdef bytes as_bytes(data):
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")


cdef SocketStream open_stream(EpollSet epoll_set, int fd, receiver, sock, const elio_address *address):
    """A stream over a connected socket. Its receiver has been told when this returns."""
    cdef SocketStream stream = SocketStream.__new__(SocketStream)
    stream._fd = fd
    stream._sock = sock
    stream._has_sock = sock is not None
    stream._receiver = receiver
    stream._peer = address[0]
    stream._is_unix = address.any.sa_family != AF_INET and address.any.sa_family != AF_INET6
    epoll_set._watch(stream, ELIO_CONNECTION)
    stream._closing = stream._lost = False
    try:
        receiver.connection_made(stream)
    except BaseException as error:
        stream._fail("Fatal error: protocol.connection_made() call failed.", error)
    return stream


@cython.final
cdef class SocketStream(Pollable):
    remembers_peer = True

    def __cinit__(self):
        self._closing = True
        self._lost = True
        self._high = HIGH_WATER
        self._low = LOW_WATER

    def __dealloc__(self):
        if self._fd >= 0 and not self._has_sock:
            close(self._fd)

    def __repr__(self):
        state = "closed" if self._fd < 0 else "closing" if self._closing else "open"
        return f"<SocketStream {state} fd={self._fd} waiting={self._waiting}>"

    # -- facts ---------------------------------------------------------------------------------------------------------

    def get_extra_info(self, str name, default=None):
        if name == "peername" and not self._is_unix:
            return address_tuple(&self._peer)
        if name not in ("peername", "sockname", "socket") or self._fd < 0:
            return default
        if self._sock is None:
            self._sock = socket.socket(fileno=self._fd)
            self._has_sock = True
            self._sock.setblocking(False)
        if name == "socket":
            return TransportSocket(self._sock)
        try:
            return self._sock.getpeername() if name == "peername" else self._sock.getsockname()
        except OSError:
            return None

    def is_closing(self):
        return bool(self._closing)

    def get_protocol(self):
        return self._receiver

    def set_protocol(self, protocol):
        self._receiver = protocol

    # -- reading -------------------------------------------------------------------------------------------------------

    cdef int _ready(self, uint32_t events) except -1:
        if events & ELIO_NOT_DRAINED:
            self._not_drained = True
        if events & ~EPOLLOUT:
            self._readable = True
        if events & ELIO_WRITABLE:
            self._writable = True
        if self._left_over:
            return 0  # it has its turn when what was left over goes on
        return self._go_on()

    cdef int _go_on(self) except -1:
        self._left_over = False
        if self._incoming is not None:
            self._set._has_read(self, PyBytes_GET_SIZE(self._incoming))
        elif self._readable:
            self._read()
        if self._writable and self._waiting and not self._deferred:
            self._flush()
        return 0

    cdef int _read(self) except -1:
        """Read once. What may be left in the socket is read in the next turn."""
        cdef int cut = 0
        if self._closing or self._reading_paused or self._at_end:
            return 0
        data = self._set._receive(self._fd, self._receiver, &cut if self._is_unix else NULL)
        if data is None:
            self._readable = False
            if self._set._error != -EAGAIN:
                self._cut(os_error(self._set._error))
            return 0
        size = PyBytes_GET_SIZE(data)
        self._readable = size != 0 and (self._not_drained or cut or size == READ_SIZE)
        self._incoming = data
        data = None
        self._set._has_read(self, size)
        if self._set._lent is not NULL:
            try:
                self._set._hand_over()
            finally:
                self._set._take_back()
        return 0

    cdef int _hand_over(self) except -1:
        """Tell the receiver what was read, unless it wants nothing now."""
        data = self._incoming
        if self._closing:
            self._incoming = None
            return 0
        if data is None or self._reading_paused:
            return 0
        self._incoming = None
        if PyBytes_GET_SIZE(data) == 0:
            return self._end_of_input()
        if self._readable:
            self._set._leave(self)
        try:
            if isinstance(self._receiver, Outlet):
                (<Outlet> self._receiver).data_received(data)
            else:
                self._receiver.data_received(data)
        except BaseException as error:
            self._fail("Fatal error: protocol.data_received() call failed.", error)
        return 0

    cdef int _end_of_input(self) except -1:
        self._at_end = True
        try:
            keep = self._receiver.eof_received()
        except BaseException as error:
            return self._fail("Fatal error: protocol.eof_received() call failed.", error)
        if not keep:
            self.close()
        return 0

    def is_reading(self):
        return not (self._closing or self._reading_paused)

    def pause_reading(self):
        if not self._closing:
            self._reading_paused = True

    def resume_reading(self):
        if self._closing or not self._reading_paused:
            return
        self._reading_paused = False
        if self._readable or self._incoming is not None:
            self._set._leave(self)

    # -- lending: another thread waits for input, instead of the loop --------------------------------------------------

    def lend(self):
        if self._closing or self._reading_paused or self._waiting or self._left_over or self._at_end:
            self.take_back()
            return -1
        if not self._lent:
            self._lent = True
            elio_watch(self._set._epoll, EPOLL_CTL_MOD, self._fd, self._generation, EPOLLET)
        return self._fd

    def serve(self):
        self._readable = True
        if not self._left_over:
            self._go_on()
            if self._set._read:
                self._set._hand_over()

    def take_back(self):
        if self._lent:
            self._lent = False
            if self._fd >= 0 and not self._armed:
                elio_watch(self._set._epoll, EPOLL_CTL_MOD, self._fd, self._generation, ELIO_CONNECTION)

    # -- writing -------------------------------------------------------------------------------------------------------

    cpdef write(self, data):
        if type(data) is not bytes:
            data = as_bytes(data)
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._lost or not data:
            return
        if self._waiting:
            self._keep(data, 0)
        elif self._set._in_turn and PyBytes_GET_SIZE(data) < DIRECT:
            self._deferred = True
            self._outgoing = data
            self._waiting = PyBytes_GET_SIZE(data)
            self._set._write_later(self)
        else:
            self._send(data)

    cdef int _send(self, bytes data) except -1:
        cdef iovec part
        cdef Py_ssize_t sent
        part.iov_base = PyBytes_AS_STRING(data)
        part.iov_len = PyBytes_GET_SIZE(data)
        sent = elio_send(self._fd, &part, 1)
        if sent == <Py_ssize_t> part.iov_len:
            return 0
        if sent >= 0 or sent == -EAGAIN:
            return self._keep(data, max(sent, 0))
        return self._cut(os_error(<int> sent))

    def writelines(self, list_of_data):
        cdef list parts = [as_bytes(data) for data in list_of_data if len(data)]
        cdef bint is_first = self._waiting == 0
        if self._eof_written:
            raise RuntimeError("Cannot call writelines() after write_eof()")
        if self._lost or not parts:
            return
        if is_first:
            self._queue = []
            self._offset = 0
        self._queue_outgoing()
        self._queue += parts
        for data in parts:
            self._waiting += PyBytes_GET_SIZE(<bytes> data)
        if is_first:
            self._flush()
        self._wait()

    cdef int _keep(self, bytes data, Py_ssize_t sent) except -1:
        """Keep what the system did not take. The bytes are not copied."""
        self._queue_outgoing()
        if self._queue is None:
            self._queue = []
            self._offset = sent
        self._queue.append(data)
        self._waiting += PyBytes_GET_SIZE(data) - sent
        return self._wait()

    cdef int _queue_outgoing(self) except -1:
        """What waits for the end of the batch is not alone any more."""
        if self._outgoing is not None:
            self._queue = [self._outgoing]
            self._offset = 0
            self._outgoing = None
        return 0

    cdef int _wait(self) except -1:
        """Be told when the system takes more, if something waits."""
        if self._deferred:
            return 0 if self._waiting < DIRECT else self._write_out()
        if self._waiting and not self._armed:
            self._armed = True
            self._lent = False
            elio_watch(self._set._epoll, EPOLL_CTL_MOD, self._fd, self._generation, ELIO_CONNECTION | EPOLLOUT)
        return self._pause_writing()

    cdef int _write_out(self) except -1:
        """Write what was kept for the end of the batch."""
        if not self._deferred:
            return 0
        self._deferred = False
        data = self._outgoing
        if data is None:
            if self._waiting:
                self._flush()
            return self._wait()
        self._outgoing = None
        self._waiting = 0
        self._send(data)
        return self._flushed()

    cdef int _flush(self) except -1:
        """Write once from the queue. If the system takes all that it is given, the rest follows in the next turn."""
        cdef iovec parts[PARTS]
        cdef Py_ssize_t asked = 0, sent, size
        cdef Py_ssize_t offset = self._offset
        cdef int count = 0
        while count < PARTS and count < PyList_GET_SIZE(self._queue) and asked < WRITE_SIZE:
            data = <bytes> PyList_GET_ITEM(self._queue, count)
            size = min(PyBytes_GET_SIZE(data) - offset, WRITE_SIZE - asked)
            parts[count].iov_base = <char *> PyBytes_AS_STRING(data) + offset
            parts[count].iov_len = size
            asked += size
            offset = 0
            count += 1
        sent = elio_send(self._fd, parts, count)
        self._writable = sent == asked
        if sent == -EAGAIN:
            return 0
        if sent < 0:
            return self._cut(os_error(<int> sent))
        return self._took(sent)

    cdef int _took(self, Py_ssize_t sent) except -1:
        """The system has taken so many bytes of the queue."""
        cdef int count = 0
        cdef Py_ssize_t size
        self._waiting -= sent
        sent += self._offset
        while count < PyList_GET_SIZE(self._queue):
            size = PyBytes_GET_SIZE(<bytes> PyList_GET_ITEM(self._queue, count))
            if sent < size:
                break
            sent -= size
            count += 1
        self._offset = sent
        if self._waiting:
            del self._queue[:count]
        else:
            self._queue = None
        self._resume_writing()
        if self._waiting and self._writable:
            self._set._leave(self)
        return self._flushed()

    cdef int _flushed(self) except -1:
        """Do what was to be done once nothing waits."""
        if self._waiting or self._lost:
            return 0
        if self._armed:
            self._armed = False
            elio_watch(self._set._epoll, EPOLL_CTL_MOD, self._fd, self._generation, ELIO_CONNECTION)
        if self._closing:
            self._lose(None)
        elif self._eof_written:
            shutdown(self._fd, SHUT_WR)
        return 0

    cdef int _pause_writing(self) except -1:
        if self._writing_paused or self._deferred or self._waiting <= self._high:
            return 0
        self._writing_paused = True
        return self._tell("pause_writing")

    cdef int _resume_writing(self) except -1:
        if not self._writing_paused or self._waiting > self._low:
            return 0
        self._writing_paused = False
        return self._tell("resume_writing")

    cdef int _tell(self, str name) except -1:
        try:
            getattr(self._receiver, name)()
        except BaseException as error:
            self._set._report(f"protocol.{name}() failed", error, self, self._receiver)
        return 0

    def get_write_buffer_size(self):
        return self._waiting

    def get_write_buffer_limits(self):
        return self._low, self._high

    def set_write_buffer_limits(self, high=None, low=None):
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high = high
        self._low = low
        self._pause_writing()

    # -- the end -------------------------------------------------------------------------------------------------------

    def can_write_eof(self):
        return True

    def write_eof(self):
        if self._closing or self._eof_written:
            return
        self._eof_written = True
        if not self._waiting:
            shutdown(self._fd, SHUT_WR)

    def close(self):
        if self._closing:
            return
        self._closing = True
        if not self._waiting:
            self._lose(None)

    def abort(self):
        self._cut(None)

    cdef int _lose(self, error) except -1:
        self._lost = True
        return self._set._lose(self, error)

    cdef int _cut(self, error) except -1:
        """Close now; what waits is dropped, but what would have been written at once by then is."""
        if self._deferred:
            self._write_out()
        if self._lost:
            return 0
        self._queue = None
        self._waiting = 0
        self._closing = True
        return self._lose(error)

    cdef int _fail(self, str message, error) except -1:
        """The receiver has raised."""
        self._set._report(message, error, self, self._receiver)
        return self._cut(error)

    cdef int _finish(self, error) except -1:
        """Tell the receiver that the stream is closed, and close the descriptor."""
        try:
            self._receiver.connection_lost(error)
        except BaseException as failure:
            self._set._report("protocol.connection_lost() failed", failure, self, self._receiver)
        finally:
            fd, self._fd = self._fd, -1
            self._receiver = None
            self._incoming = None
            self._set._forget(fd)
            if self._sock is None:
                close(fd)
            else:  # others may hold copies of the descriptor, for which the set would keep it
                elio_watch(self._set._epoll, EPOLL_CTL_DEL, fd, 0, 0)
                self._sock.close()
        return 0
