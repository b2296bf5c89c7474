# The types of sync.py for its compiled twin. Compiled, a thread is interrupted (KeyboardInterrupt) only where it waits.

cimport cython

from elio.net.outlet cimport Outlet
from elio.net.ready cimport Steps, Wakeup

cdef object READY


cdef class _Receiver:
    cdef object __weakref__
    cdef object _background
    cdef object _lock
    cdef object _poll
    cdef object _signal
    cdef object _stream
    cdef object _turn
    cdef dict _waiting
    cdef double _interval
    cdef int _event
    cdef bint _check_due
    cdef bint _taken

    cpdef take(self, begin, timeout)
    @cython.locals(fd=int)
    cdef _follow(self, Steps steps, timeout, deadline)
    cdef int _begin_waiting(self, Wakeup wakeup) except -2
    cdef bint _wait(self, int fd, seconds) except -1
    cpdef tell(self)
    cpdef _check(self)


cdef class WebSocket:
    cdef object __weakref__
    cdef object _background
    cdef object _lock
    cdef bint _is_direct
    cdef _Receiver _receiver
    cdef Outlet _outlet
    cdef object _ws
