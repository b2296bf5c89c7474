# The types of context.py for its compiled twin.


cdef class Context:
    cdef readonly object app
    cdef readonly object runtime
    cdef readonly object on_error
    cdef readonly object origins
    cdef readonly object allowed_hosts
    cdef readonly object scheme
    cdef readonly object proxies
    cdef public object addresses
    cdef public Py_ssize_t handshaking
    cdef readonly object access_log
    cdef readonly dict connections
    cdef readonly dict websockets
    cdef readonly object counters
    cdef readonly object observers
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
