# The types of timer.py for its compiled twin.

cimport cython

cdef double _WIDTH


cdef class CoarseTimer:
    cdef object _loop
    cdef object _time
    cdef readonly dict _buckets
    cdef object _handle
    cdef double _due
    cdef double _blocked
    cdef double _aftermath
    cdef bint _recovering
    cdef object _blockage
    cdef long long _last
    cdef readonly double lag
    cdef readonly object lags

    cpdef double now(self) except? -1
    @cython.locals(bucket="long long", items=dict)
    cpdef long long schedule(self, item, double when) except? -1
    cpdef blockage(self)
    @cython.locals(items=dict)
    cpdef forget(self, item, long long bucket)
    cdef _arm(self, long long bucket)
