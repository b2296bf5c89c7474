# The types of runtime.py for its compiled twin.

cdef class Runtime:
    cdef readonly object loop
    cdef readonly object limits
    cdef readonly object timer
    cdef readonly object departure
    cdef readonly object channels
    cdef readonly unsigned long long turn
    cdef readonly double turn_time
    cdef object _batches
    cdef list _held
    cdef bint _scheduled

    cpdef unsigned long long begin_turn(self)
    cpdef flush_later(self, item)
