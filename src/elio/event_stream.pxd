# The types of event_stream.py for its compiled twin.

from elio.net.outlet cimport Outlet


cdef class EventStream(Outlet)


cdef class _FirstPiece:
    cdef EventStream _stream
    cdef object _frame


cdef class Ending:
    cdef EventStream _stream
    cdef object _inner


cdef class EventStream(Outlet):
    cdef object __weakref__
    cdef public object request
    cdef public object _headers
    cdef public list _closed_waiters
    cdef public object _response
    cdef public object _frame
    cdef public object _state
    cdef public list _output
    cdef public long long _bucket
    cdef public double _begin_due
    cdef public double _idle_since
    cdef public bint _closed

    cpdef begin(self)
    cpdef first_sent(self, frame)
    cpdef bint share(self, bytes data, dict framed) except -1
    cpdef _send(self, bytes data)
    cdef _queue(self, bytes data)
    cpdef _end(self)
    cdef _stop(self)
    cdef _wait_closed(self)
    cdef _new_waiter(self)
    cpdef finish(self)
    cpdef _schedule(self)
    cpdef check_time(self, double now)
