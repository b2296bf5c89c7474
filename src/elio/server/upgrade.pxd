# The types of upgrade.py for its compiled twin.

from elio.request cimport Request
from elio.server.context cimport Context
from elio.session cimport WebSocket


cdef class _Handshake:
    cdef object _carrier
    cdef object _extensions
    cdef object _headers
    cdef object _key
    cdef Request _request

    cpdef accept(self, ws, subprotocol, headers)


cdef str _check_handshake(Request request)


cdef class WebSocketRun:
    cdef Context _context
    cdef object _route
    cdef readonly WebSocket ws

    cpdef start(self)
    cpdef returned(self)
    cpdef failed(self, error)
    cpdef cancelled(self)
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
