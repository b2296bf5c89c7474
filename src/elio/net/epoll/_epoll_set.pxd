"""What the streams and the listeners of the reactor see of the set that they are in."""

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t

from elio.net.outlet cimport Sink


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
    const uint32_t EPOLLET
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


cdef enum:
    READ_SIZE = 262144  # bytes of the shared buffer, and the most that one stream is read in a turn


cdef object os_error(int code)
cdef object address_tuple(const elio_address *address)


cdef class Pollable(Sink):
    """Something with a descriptor that an EpollSet watches."""

    cdef EpollSet _set
    cdef int _fd
    cdef uint32_t _generation
    cdef unsigned char _left_over

    cdef int _ready(self, uint32_t events) except -1
    cdef int _go_on(self) except -1
    cdef int _hand_over(self) except -1
    cdef int _write_out(self) except -1
    cdef int _finish(self, error) except -1


cdef class EpollSet:
    """One epoll set and what all streams in it share: the read buffer, and the lists of those with something to do."""

    cdef readonly object loop
    cdef readonly Py_ssize_t watched
    cdef public object on_empty
    cdef int _epoll
    cdef bint _in_turn
    cdef bint _scheduled
    cdef int _next
    cdef int _count
    cdef int _error
    cdef uint32_t _generations
    cdef epoll_event *_events
    cdef PyObject *_buffer
    cdef PyObject *_lent
    cdef list _table
    cdef list _left
    cdef list _lost
    cdef list _read
    cdef list _written
    cdef list _ends
    cdef Py_ssize_t _read_size

    cdef int _turn(self) except -1
    cdef int _serve_events(self) except -1
    cdef int _serve_left(self, list left) except -1
    cdef int _hand_over(self) except -1
    cdef int _end_batch(self) except -1
    cdef int _write_out(self) except -1
    cdef int _finish_lost(self) except -1
    cdef int _watch(self, Pollable pollable, uint32_t events) except -1
    cdef int _forget(self, int fd) except -1
    cdef int _turn_again(self) except -1
    cdef int _leave(self, Pollable stream) except -1
    cdef int _lose(self, Pollable stream, error) except -1
    cdef int _report(self, str message, error, stream, receiver) except -1
    cdef int _has_read(self, Pollable stream, Py_ssize_t size) except -1
    cdef int _write_later(self, Pollable stream) except -1
    cdef bytes _receive(self, int fd, receiver, int *cut)
    cdef int _take_back(self) except -1
