# The types of response.py for its compiled twin.

cimport cython

from elio.headers cimport Headers
from elio.http cimport octets

cdef dict _STATUS_LINES


cdef bytes _status_line(status)
@cython.locals(count=Py_ssize_t, block=bytes, size=Py_ssize_t, newlines=Py_ssize_t, returns=Py_ssize_t)
cpdef bytes encode_headers(Headers headers)


@cython.no_gc
cdef class ResponseWriter:
    cdef list _out
    cdef object _remaining
    cdef bint _head_only
    cdef readonly bint begun
    cdef readonly bint chunked
    cdef readonly bint complete
    cdef readonly bint keep_alive

    cpdef reset(self)
    @cython.locals(head=bytes, lower=bytes, line=bytes)
    cpdef write_switch(self, Headers headers, str date)
    cpdef write_body(self, data)
    cpdef write_end(self)
    cdef _push(self, bytes data)
    cpdef bytes data_to_send(self)


cdef class _Given:
    cdef object length
    cdef list connection
    cdef bint coding
    cdef bint date


@cython.locals(given=_Given)
cdef _Given _framing_headers(headers)
cdef _announced_size(status, _Given given, body_size, bint no_body)
cdef bytes _connection_line(list given, bint keep_alive, bint old_client)
