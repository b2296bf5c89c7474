# The types of connection.py for its compiled twin.

cimport cython

from elio.websocket cimport octets
from elio.websocket.frame cimport encode_head
from elio.websocket.message cimport MessageDecoder

cdef object _OPEN
cdef object _CLOSING
cdef object _CLOSED
cdef object _CLIENT
cdef object _SERVER
cdef unsigned char _FIN
cdef unsigned char _RSV1
cdef unsigned char _TEXT
cdef unsigned char _BINARY
cdef unsigned char _CLOSE
cdef unsigned char _CONTROL
cdef unsigned char _PING
cdef unsigned char _PONG
cdef Py_ssize_t _LARGE
cdef Py_ssize_t _MAX_FRAMES_BEFORE_PONG


@cython.final
@cython.auto_pickle(False)
@cython.no_gc
cdef class Connection:
    cdef MessageDecoder _messages
    cdef object _deflate
    cdef object _out
    cdef Py_ssize_t _burst
    cdef Py_ssize_t _burst_size
    cdef Py_ssize_t _last_pong
    cdef int _sending
    cdef bint _is_client
    cdef bint _eof
    cdef bint _has_large
    cdef bint _sending_compressed
    cdef readonly bint more
    cdef readonly object role
    cdef readonly object state
    cdef readonly object close_sent
    cdef readonly object close_received
    cdef readonly object error

    @cython.locals(events=list)
    cpdef list receive_data(self, bytes data)
    cpdef send_text(self, text)
    cpdef send_binary(self, data)
    cpdef send_shared(self, bytes frame)
    cpdef bytes data_to_send(self)
    cpdef pieces_to_send(self)

    cdef _answer(self, list events)
    cdef _check_open(self)
    cdef _refuse_message(self)
    cdef _send_message(self, unsigned char opcode, payload)
    cdef _queue(self, unsigned char head, payload)
    cdef _push(self, bytes frame)
    cdef _queue_pong(self, bytes payload)
    cdef _queue_close(self, code, reason=?)
    cdef _receive_close(self, close)
    cdef _fail(self, error)
    cdef _end(self)


cdef _as_bytes(data)
