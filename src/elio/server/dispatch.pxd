# The types of dispatch.py for its compiled twin.


cdef class Dispatcher:
    cdef object _not_found
    cdef object _scopes
    cdef object _table


cdef class _Refusal:
    cdef Dispatcher _dispatcher
    cdef object _found
