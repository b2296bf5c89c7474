# The types of addresses.py for its compiled twin.


cdef class Addresses:
    cdef object _bound
    cdef object _key
    cdef dict _open
    cdef object _proxies

    cpdef enter(self, client)
    cpdef leave(self, client)
    cdef _key_of(self, client)
