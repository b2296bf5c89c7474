# The types of message.py for its compiled twin.

cimport cython

from elio.headers cimport Headers


@cython.final
@cython.auto_pickle(False)
@cython.no_gc
cdef class RequestHead:
    cdef readonly str method
    cdef readonly str target
    cdef readonly str http_version
    cdef readonly Headers headers
    cdef readonly tuple upgrade
    cdef readonly object content_length
    cdef readonly bint keep_alive
    cdef readonly bint has_body
    cdef readonly bint expects_continue

    cpdef bint asks_for(self, str protocol) except -1
    cdef bint _is_absolute(self) except -1
