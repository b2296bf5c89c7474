# The types of event_body.py for its compiled twin.

cimport cython

from elio.client.feed cimport EventFeed
from elio.sse.parser cimport Parser

cdef int _BLOCKS


@cython.final
cdef class EventBody:
    cdef object _body
    cdef object _decoder
    cdef object _end
    cdef object _error
    cdef EventFeed _feed
    cdef Parser _parser
    cdef object _runtime
    cdef object _signs
    cdef object _timer
    cdef bint _is_open
    cdef bint _is_over
    cdef bint _reading_paused
    cdef bint _scheduled
    cdef double _heard_at
    cdef double _progress_at
    cdef long long _bucket
    cdef readonly bint is_done
    cdef readonly bint is_fatal

    cpdef body_received(self, bytes data)
    cpdef body_ended(self, error)
    cdef _complete(self)
    cdef _finish(self, error, bint abort=*)
    cdef _fail(self, error)
    @cython.locals(found=list)
    cdef _parse(self, bytes data)
    @cython.locals(number=Py_ssize_t, kept=Py_ssize_t)
    cdef _cut_behind_done(self, list events, done)
    cdef _decode(self, bytes data)
    cpdef _go_on(self)
    @cython.locals(is_full=bint, more=bint, wanted=bint)
    cpdef _update_reading(self)
    cdef _schedule(self)
    cpdef check_time(self, double now)
    cdef _stall(self, str what, double seconds)
