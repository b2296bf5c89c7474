# The types of tls_stream.py for its compiled twin.

cimport cython

from elio.net.outlet cimport Sink
from elio.net.records.records cimport Records

cdef Py_ssize_t _RECORD
cdef Py_ssize_t _BUFFER
cdef int _HANDSHAKE
cdef int _OPEN
cdef int _CLOSING
cdef int _CLOSED


@cython.auto_pickle(False)
cdef class TlsRuntime:
    cdef readonly bytearray buffer
    cdef public object context
    cdef readonly object gate
    cdef readonly object loop
    cdef readonly double handshake_timeout


@cython.auto_pickle(False)
cdef class TlsStream(Sink):
    cdef TlsRuntime _shared
    cdef Records _records
    cdef object _error
    cdef object _receiver
    cdef object _stream
    cdef object _timer
    cdef bint _reading_paused
    cdef bint _told
    cdef int _state

    cdef _shake_hands(self)
    cdef _fail_handshake(self, cause)
    cdef _stop_timer(self)
    cdef _fail(self, str what, error)
    cdef _go_on(self)
    @cython.locals(data=bytes)
    cdef _read(self)
    cdef _end_of_input(self)
    cpdef write(self, data)
    @cython.locals(data=bytes)
    cdef _send_out(self)
    cdef _end_output(self)
    cdef _drop(self)
