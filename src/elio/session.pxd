# The types of session.py for its compiled twin.

from elio.wire cimport Wire

cdef object _OPEN


cdef class WebSocket(Wire):
    cdef object __weakref__
    cdef public object _opening
    cdef public object _state
    cdef public bint _receiving
    cdef public object request
    cdef public object response_headers
    cdef public object subprotocol

    cpdef _accept(self, subprotocol=?, headers=?)
    cpdef _check_open(self)
    cpdef _begin_receiving(self)
    cpdef send(self, message)
    cpdef bint share(self, message, dict encoded) except -1
