"""What the reactor sees of its streams, and they of the set that they are in."""

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t


cdef extern from "_epoll.h" nogil:
    cdef struct epoll_event:
        uint32_t events

    cdef struct sockaddr:
        unsigned short sa_family

    cdef struct sockaddr_in6:
        uint32_t sin6_flowinfo
        uint32_t sin6_scope_id

    ctypedef union elio_address:
        sockaddr any
        sockaddr_in6 v6

    const uint32_t EPOLLIN
    const uint32_t EPOLLOUT
    const uint32_t ELIO_CONNECTION
    const uint32_t ELIO_NOT_DRAINED
    const uint32_t ELIO_WRITABLE
    const int EPOLL_CTL_ADD
    const int EPOLL_CTL_DEL
    const int EPOLL_CTL_MOD

    int elio_watch(int set, int operation, int fd, uint32_t generation, uint32_t events)
    int elio_event_fd(const epoll_event *event)
    uint32_t elio_event_generation(const epoll_event *event)
    int elio_poll(int set, epoll_event *events, int size)
    int elio_accept(int listener, elio_address *address)
    bint elio_lost_before_accept(int error)
    void elio_no_delay(int fd)


cdef object os_error(int code)


cdef class Pollable:
    """Something with a descriptor that an EpollSet watches."""

    cdef EpollSet _set
    cdef int _fd
    cdef uint32_t _generation

    cdef int _ready(self, uint32_t events) except -1


cdef class EpollSet:
    """One epoll set and what all streams in it share: the read buffer, and the lists of those with something to do."""

    cdef readonly object loop
    cdef int _epoll
    cdef bint _in_turn
    cdef bint _scheduled
    cdef int _next
    cdef int _count
    cdef int _error
    cdef uint32_t _generations
    cdef epoll_event *_events
    cdef PyObject *_buffer
    cdef list _table
    cdef list _left
    cdef list _lost

    cdef int _turn(self) except -1
    cdef int _serve_events(self) except -1
    cdef int _serve_left(self, list left) except -1
    cdef int _finish_lost(self) except -1
    cdef int _watch(self, Pollable pollable, uint32_t events) except -1
    cdef int _forget(self, int fd) except -1
    cdef int _turn_again(self) except -1
    cdef int _leave(self, SocketStream stream) except -1
    cdef int _lose(self, SocketStream stream, error) except -1
    cdef int _report(self, str message, error, stream, receiver) except -1
    cdef bytes _receive(self, int fd, int *cut)
    cdef SocketStream _open(self, int fd, receiver, sock, const elio_address *address)


cdef class SocketStream(Pollable):
    cdef object _receiver
    cdef object _sock
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
    cdef unsigned char _left_over
    cdef unsigned char _reading_paused
    cdef unsigned char _writing_paused
    cdef unsigned char _at_end
    cdef unsigned char _eof_written
    cdef unsigned char _closing
    cdef unsigned char _lost

    cdef object _peer_name(self)
    cdef int _take_sock(self) except -1
    cdef int _go_on(self) except -1
    cdef int _read(self) except -1
    cdef int _end_of_input(self) except -1
    cdef int _flush(self) except -1
    cdef int _took(self, Py_ssize_t sent) except -1
    cdef int _flushed(self) except -1
    cdef int _keep(self, bytes data, Py_ssize_t sent) except -1
    cdef int _pause_writing(self) except -1
    cdef int _resume_writing(self) except -1
    cdef int _lose(self, error) except -1
    cdef int _fail(self, str message, error) except -1
    cdef int _cut(self, error) except -1
    cdef int _finish(self, error) except -1
    cdef int _release(self) except -1
