# The types of counters.py for its compiled twin.


cdef class Counters:
    cdef public long long accepted
    cdef public long long rejected
    cdef public long long event_streams
    cdef public dict handshakes
    cdef public dict ends
    cdef public dict limits

    cpdef count_end(self, str protocol, cause)
    cpdef count_limit(self, str name)
    cpdef count_handshake(self, str result)
