# The types of request.py for its compiled twin.

from elio.http.message cimport RequestHead


cdef class Request:
    cdef readonly RequestHead head
    cdef public object scheme
    cdef public object server
    cdef public object tls
    cdef object _body
    cdef object _client
    cdef object _cookies
    cdef object _host
    cdef readonly object _identity
    cdef object _params
    cdef object _query
    cdef object _state

    cpdef watch_identity(self, runtime, end)
    cpdef forget_identity(self)
