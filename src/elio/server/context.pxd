# The types of context.py for its compiled twin.

from elio.net.runtime cimport Runtime
from elio.server.entry.addresses cimport Addresses
from elio.server.watch.counters cimport Counters
from elio.server.watch.observers cimport Observers


cdef class Context:
    cdef readonly object app
    cdef readonly Runtime runtime
    cdef readonly object on_error
    cdef readonly object origins
    cdef readonly object allowed_hosts
    cdef readonly object scheme
    cdef readonly object proxies
    cdef public Addresses addresses
    cdef public Py_ssize_t handshaking
    cdef readonly object access_log
    cdef readonly dict connections
    cdef readonly dict websockets
    cdef readonly Counters counters
    cdef readonly Observers observers
    cdef public bint closing
    cdef public object drain
    cdef object _empty
    cdef object _date
    cdef long long _date_second

    cpdef forget(self, gone)
    cpdef enter(self, client)
    cpdef enter_address(self, client)
    cdef _check(self, str name, count)
    cpdef date(self)
