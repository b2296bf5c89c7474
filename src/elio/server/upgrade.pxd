# The types of upgrade.py for its compiled twin.

cimport cython

from elio.headers cimport Headers
from elio.http.message cimport RequestHead
from elio.net.runtime cimport Runtime
from elio.request cimport Request
from elio.server.context cimport Context
from elio.session cimport WebSocket
from elio.websocket.connection cimport Connection
from elio.websocket.handshake cimport accept_response, check_version_and_key, parse_subprotocols


cdef class _Handshake:
    cdef object _carrier
    cdef object _extensions
    cdef object _headers
    cdef object _key
    cdef Request _request

    @cython.locals(answer=Headers)
    cpdef accept(self, WebSocket ws, subprotocol, headers)


@cython.locals(head=RequestHead)
cdef str _check_handshake(Request request)
@cython.locals(headers=Headers, runtime=Runtime, base=Runtime, connection=Connection)
cpdef WebSocket open_websocket(carrier, Request request, upgrade, origins)


cdef class WebSocketRun:
    cdef Context _context
    cdef object _route
    cdef readonly WebSocket ws

    cpdef start(self)
    cpdef returned(self)
    cpdef failed(self, error)
    cpdef cancelled(self)
    cpdef check_time(self, double now)
    cdef _cancel(self)


cdef class StreamRun:
    cdef object _carrier
    cdef object _headers
    cdef object _route
    cdef readonly object stream

    cpdef start(self)
    cpdef returned(self)
    cpdef failed(self, error)
    cpdef cancelled(self)
