# The types of dispatch.py for its compiled twin.

cimport cython

from elio.http.message cimport RequestHead
from elio.request cimport Request


cdef class Dispatcher:
    cdef object _not_found
    cdef object _scopes
    cdef object _table

    @cython.locals(head=RequestHead)
    cdef _find(self, Request request)


cdef class _Refusal:
    cdef Dispatcher _dispatcher
    cdef object _found
