# The types of wire_headers.py for its compiled twin.

cimport cython

from elio.headers cimport Headers
from elio.http cimport octets

cdef dict _LINE_STARTS


@cython.locals(lines=list)
cpdef list parse_fields(bytes block)


@cython.no_gc
cdef class WireHeaders(Headers):
    cdef bytes _raw

    cdef list _fields(self)
    cdef list _own(self)
    @cython.locals(key=bytes, start=Py_ssize_t)
    cpdef get(self, name, default=?)
    @cython.locals(key=bytes, start=Py_ssize_t)
    cpdef list get_all(self, name)


@cython.locals(key=bytes)
cdef bytes _line_start(str name)
