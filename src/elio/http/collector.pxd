# The types of collector.py for its compiled twin.

cimport cython

from elio.http cimport octets

cdef bytes _BLANK_LINE


@cython.locals(end=Py_ssize_t)
cpdef tuple split_head(bytes data, limits)
@cython.locals(line_end=Py_ssize_t)
cdef tuple _split(bytes data, Py_ssize_t end, limits)


cdef class HeadCollector:
    cdef object _limits
    cdef object _check_line
    cdef object _buffer
    cdef Py_ssize_t _empty_lines
    cdef Py_ssize_t _empty_lines_left
    cdef readonly Py_ssize_t _scanned
    cdef Py_ssize_t _line_count
    cdef Py_ssize_t _line_end

    cdef _reset(self)
    cpdef tuple collect(self, bytes data)
    cdef _check_unfinished(self, data)
