# The types of parser.py for its compiled twin.

cimport cython

from elio.sse cimport received

cdef int _MAX_RETRY_DIGITS
cdef bytes _BOM
cdef int _CR
cdef unsigned char _LF
cdef unsigned char _SPACE
cdef int _ANYTHING
cdef int _MAYBE_BOM
cdef int _MAYBE_LF
cdef int _IGNORED


@cython.final
@cython.auto_pickle(False)
cdef class Parser:
    cdef bytearray _buffer
    cdef bytearray _data
    cdef bint _comments
    cdef int _expected
    cdef str _id
    cdef str _last_event_id
    cdef str _type
    cdef Py_ssize_t _limit
    cdef object _retry

    cdef _start(self)
    @cython.locals(events=list, pos=Py_ssize_t, buffer=bytearray)
    cpdef list receive_data(self, bytes data)
    cdef bytes _read_start(self, bytes data)
    @cython.locals(ended_by=int)
    cdef bytes _with_lf(self, bytes data)
    cdef _end(self)
    cdef _fail(self, Py_ssize_t size, str what, list events)
    @cython.locals(
        octets="const unsigned char *", limit=Py_ssize_t, data=bytearray, size=Py_ssize_t, pos=Py_ssize_t, start=Py_ssize_t, stop=Py_ssize_t,
        end=Py_ssize_t,
    )
    cdef Py_ssize_t _read_lines(self, bytes lines, list events) except -1
    cdef _add_event(self, str data, list events)
    @cython.locals(data=bytearray)
    cdef _end_event(self, list events)
    @cython.locals(name=bytes, value=bytes)
    cdef _read_line(self, bytes line, list events)
