# The types of exchange.py for its compiled twin.

cimport cython

from elio.http.http1 cimport ServerConnection
from elio.http.message cimport RequestHead
from elio.net.outlet cimport Outlet
from elio.request cimport Request
from elio.server.context cimport Context
from elio.server.failures cimport respond
from elio.server.upgrade cimport WebSocketRun, open_websocket
from elio.session cimport WebSocket
from elio.websocket.handshake cimport host_allowed


cdef class Line(Outlet):
    cdef readonly Context context
    cdef readonly ServerConnection http
    cdef readonly object client

    cpdef regulate(self)
    cpdef stream_opened(self)
    cpdef leave(self, WebSocket ws)
    cpdef done(self)


cdef class Exchange:
    cdef Context _context
    cdef object _counted
    cdef bint _is_over
    cdef Line _line
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
    cdef _make_body(self, RequestHead head)
    cdef _count_anew(self)
    cdef _stop_pace(self)
    @cython.locals(request=Request, context=Context)
    cdef _refusal(self)
    cdef _leave(self)
    cdef _over(self, run)
    @cython.locals(line=Line, http=ServerConnection, request=Request)
    cdef _send(self, response)
    cdef _log(self, status)
    @cython.locals(context=Context, ws=WebSocket)
    cdef WebSocketRun _open_websocket(self, response)
    @cython.locals(line=Line)
    cpdef switch(self, WebSocket ws, headers)
    cpdef end_stream(self)
