# The types of feed.py for its compiled twin.

cimport cython

from elio.net.ready cimport Steps, Wakeup


cdef class EventFeed


cdef class ReceiveEvent(Steps):
    @cython.locals(feed=EventFeed)
    cdef step(self)
    @cython.locals(feed=EventFeed)
    cpdef close(self)


cdef class EventFeed:
    cdef public list _ready
    cdef public list _later
    cdef ReceiveEvent _receiving
    cdef public object _error
    cdef public object _latest
    cdef public object _on_room
    cdef public object _runtime
    cdef public Wakeup _spare
    cdef public Wakeup _waiter
    cdef public bint _ended
    cdef public Py_ssize_t _count
    cdef public Py_ssize_t _max_queue

    @cython.locals(receive=ReceiveEvent)
    cdef ReceiveEvent _begin(self, bint iterating)
    @cython.locals(ready=list)
    cdef _next(self, bint iterating)
    cdef _miss(self, bint iterating)
    cpdef _begin_receiving(self)
    cdef Wakeup _wait(self)
    cdef _tell_room(self)
    cpdef put(self, list events)
    cpdef end(self, error)
    cpdef wake(self)
    cpdef when_room(self, callback)
