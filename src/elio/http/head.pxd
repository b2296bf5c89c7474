# The types of head.py for its compiled twin.

cimport cython

from elio.http cimport octets
from elio.http.message cimport RequestHead
from elio.http.wire_headers cimport WireHeaders

cdef dict _VERSIONS
cdef dict _METHODS
cdef bytes _HOST


cpdef check_head_size(Py_ssize_t line_size, Py_ssize_t headers_size, Py_ssize_t count, limits)
@cython.locals(words=list)
cpdef tuple check_request_line(bytes line)
@cython.locals(line_end=Py_ssize_t, lower=bytes, connection=list)
cpdef RequestHead parse_request_head(bytes raw)
cdef bint _keeps_alive(list connection, str version) except -1
cdef _check_syntax(parser, bytes raw)
@cython.locals(items=list)
cdef tuple _upgrade(bytes lower)
@cython.locals(start=Py_ssize_t)
cdef bytes _value(bytes lower, bytes name)
@cython.locals(items=list, start=Py_ssize_t, value=bytes)
cdef list _tokens(bytes lower, bytes name)
@cython.locals(start=Py_ssize_t)
cdef _check_host(bytes lower, str version)
cdef _check_target(bytes method, bytes target)
cdef tuple _body_length(bytes lower, str version)
