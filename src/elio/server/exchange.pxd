# The types of exchange.py for its compiled twin.

from elio.request cimport Request
from elio.server.context cimport Context


cdef class Exchange:
    cdef Context _context
    cdef object _counted
    cdef bint _is_over
    cdef object _line
    cdef object _pace
    cdef object _standing
    cdef double _started
    cdef object _task
    cdef readonly object body
    cdef readonly object events
    cdef readonly bint has_begun
    cdef readonly Request request
    cdef readonly object websocket

    cpdef begin(self)
    cpdef cancel(self, message)
    cdef _make_body(self, head)
    cdef _count_anew(self)
    cdef _stop_pace(self)
    cdef _refusal(self)
    cdef _leave(self)
    cdef _over(self, run)
    cdef _send(self, response)
    cdef _log(self, status)
    cdef _open_websocket(self, response)
    cpdef switch(self, ws, headers)
    cpdef end_stream(self)
