# The types of transport_stream.py for its compiled twin.

cimport cython

from elio.net.outlet cimport Outlet, Sink

cdef Py_ssize_t _PIECE
cdef Py_ssize_t _HIGH_WATER

cdef bytes _as_bytes(object data)


@cython.auto_pickle(False)
cdef class TransportStream(Sink):
    cdef object _receiver
    cdef object _transport
    cdef list _kept
    cdef Py_ssize_t _kept_size
    cdef Py_ssize_t _high
    cdef Py_ssize_t _low
    cdef bint _blocked
    cdef bint _closing
    cdef bint _ending
    cdef bint _lost
    cdef bint _writing_paused

    @cython.locals(outlet=Outlet)
    cpdef data_received(self, bytes data)
    cpdef write(self, data)
    cdef _keep(self, bytes data)
    @cython.locals(kept=list, size=Py_ssize_t, count=Py_ssize_t)
    cdef _next_piece(self)
    cdef _pause_receiver(self)
    cdef _tell(self, str name)
    cpdef Py_ssize_t get_write_buffer_size(self) except -1
    cpdef pause_reading(self)
    cdef _end_as_asked(self)
    cdef _lose(self)
