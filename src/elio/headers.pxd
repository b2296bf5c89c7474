# The types of headers.py for its compiled twin.

cimport cython


@cython.no_gc
cdef class Headers:
    cdef readonly list _pairs

    cdef list _fields(self)
    cdef list _own(self)
    cpdef get(self, name, default=?)
    cpdef list get_all(self, name)
    cpdef extend(self, items)
    cpdef list items(self)
    cpdef bytes encode(self)


cdef Headers _with_pairs(Headers headers, list pairs)
