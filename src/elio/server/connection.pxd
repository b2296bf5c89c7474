# The types of connection.py for its compiled twin.

cimport cython

from elio.http.http1 cimport ServerConnection
from elio.http.message cimport RequestHead
from elio.net.outlet cimport Outlet
from elio.server.context cimport Context
from elio.server.exchange cimport Exchange, Line
from elio.session cimport WebSocket


cdef class HttpConnection(Line):
    cdef Exchange _exchange
    cdef double _asked_at
    cdef double _deadline
    cdef long long _bucket
    cdef bint _idle
    cdef bint _lingering
    cdef bint _reading_paused
    cdef bint _shutting_down

    @cython.locals(was_idle=bint)
    cpdef data_received(self, bytes data)
    cpdef connection_lost(self, exc)
    cdef _handle(self, list events)
    cdef _begin(self, RequestHead head)
    cdef _answer(self)
    cdef _violated(self, error)
    cpdef done(self)
    cdef _next(self)
    cpdef stream_opened(self)
    cpdef leave(self, WebSocket ws)
    cdef _fail(self, error, cause)
    cdef _close_behind_response(self)
    cdef _close(self)
    cdef _watch_rest(self)
    cdef _linger(self)
    cpdef _take_output(self)
    cpdef _closed_error(self)
    cpdef pause_writing(self)
    cpdef resume_writing(self)
    @cython.locals(full=bint, wanted=bint)
    cpdef regulate(self)
    cdef _set_deadline(self, seconds)
    @cython.locals(when=double)
    cdef _schedule(self)
    cpdef check_time(self, double now)
    cdef _expire(self)
