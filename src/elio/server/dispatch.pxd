# The types of dispatch.py for its compiled twin.

from elio.request cimport Request


cdef class Dispatcher:
    cdef object _not_found
    cdef object _scopes
    cdef object _table

    cdef _find(self, Request request)


cdef class _Refusal:
    cdef Dispatcher _dispatcher
    cdef object _found
