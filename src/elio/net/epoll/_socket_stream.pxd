"""What the reactor sees of its streams."""

from elio.net.epoll._epoll_set cimport EpollSet, Pollable, elio_address


cdef SocketStream open_stream(EpollSet epoll_set, int fd, receiver, sock, const elio_address *address)


cdef class SocketStream(Pollable):
    cdef object _receiver
    cdef object _sock
    cdef bytes _incoming
    cdef bytes _outgoing
    cdef list _queue
    cdef Py_ssize_t _offset
    cdef Py_ssize_t _waiting
    cdef Py_ssize_t _high
    cdef Py_ssize_t _low
    cdef elio_address _peer
    cdef unsigned char _has_sock
    cdef unsigned char _is_unix
    cdef unsigned char _not_drained
    cdef unsigned char _readable
    cdef unsigned char _writable
    cdef unsigned char _armed
    cdef unsigned char _deferred
    cdef unsigned char _lent
    cdef unsigned char _reading_paused
    cdef unsigned char _writing_paused
    cdef unsigned char _at_end
    cdef unsigned char _eof_written
    cdef unsigned char _closing
    cdef unsigned char _lost

    cpdef write(self, data)

    cdef int _read(self) except -1
    cdef int _send(self, bytes data) except -1
    cdef int _end_of_input(self) except -1
    cdef int _flush(self) except -1
    cdef int _took(self, Py_ssize_t sent) except -1
    cdef int _flushed(self) except -1
    cdef int _keep(self, bytes data, Py_ssize_t sent) except -1
    cdef int _queue_outgoing(self) except -1
    cdef int _wait(self) except -1
    cdef int _pause_writing(self) except -1
    cdef int _resume_writing(self) except -1
    cdef int _tell(self, str name) except -1
    cdef int _lose(self, error) except -1
    cdef int _fail(self, str message, error) except -1
    cdef int _cut(self, error) except -1
