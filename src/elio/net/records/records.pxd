# The types of records.py for its compiled twin.

cimport cython


@cython.auto_pickle(False)
cdef class Records:
    cdef readonly object tls
    cdef public object error
    cdef public bint at_end
    cdef bytes _left
    cdef Py_ssize_t _offset
    cdef bint _unread

    cpdef bint add(self, bytes data)
    cpdef bint has_input(self)
    cpdef drop_input(self)
    cpdef bytes read(self)
    cpdef bytes write(self, data)
    cpdef list write_pieces(self, list_of_data)
    cpdef end(self)
    cpdef bytes take(self)
