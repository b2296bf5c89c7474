# The types of observers.py for its compiled twin.


cdef class Observers:
    cdef readonly list start
    cdef readonly list end

    cpdef started(self, request, str protocol)
    cpdef ended(self, request, str protocol, cause, seconds)
