# The types of observers.py for its compiled twin.


cdef class Observers:
    cdef public list start
    cdef public list end

    cpdef started(self, request, str protocol)
    cpdef ended(self, request, str protocol, cause, seconds)
