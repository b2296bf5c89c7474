# The types of upgrade.py for its compiled twin.


cdef class _Handshake:
    cdef object _carrier
    cdef object _extensions
    cdef object _headers
    cdef object _key
    cdef object _request

    cpdef accept(self, ws, subprotocol, headers)


cdef _check_handshake(request)


cdef class WebSocketRun:
    cdef object _context
    cdef object _route
    cdef readonly object ws

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
