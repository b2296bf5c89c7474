# The types of frame.py for its compiled twin. Lengths of the wire are unsigned long long, offsets Py_ssize_t.

cimport cython

from elio.websocket cimport octets
from elio.websocket._native cimport MessageBuffer

cdef unsigned char _FIN
cdef unsigned char _RSV1
cdef unsigned char _MASKED
cdef unsigned char _CONTROL
cdef unsigned char _MAX_CONTROL_SIZE
cdef unsigned char _WHOLE_TEXT
cdef unsigned char _WHOLE_BINARY
cdef bytes _ALLOWED
cdef bytes _ALLOWED_WITH_RSV1


@cython.locals(size=Py_ssize_t)
cpdef bytes encode_head(unsigned char head, payload, bytes masking_key)


@cython.final
@cython.auto_pickle(False)
@cython.no_gc
cdef class FrameDecoder:
    cdef bytes _allowed
    cdef readonly bytes _buffer
    cdef bytes _key
    cdef bytes _next_key
    cdef bytes _source
    cdef Py_ssize_t _start
    cdef Py_ssize_t _end
    cdef Py_ssize_t _position
    cdef unsigned long long _remaining
    cdef unsigned char _mask_bit
    cdef readonly unsigned char head
    cdef readonly int part
    cdef public bint compressed
    cdef public unsigned long long max_message_size
    cdef public unsigned long long max_payload_size
    cdef readonly Py_ssize_t size
    cdef readonly object error

    cpdef feed(self, bytes data)
    cpdef release(self)
    cpdef discard(self)
    cpdef bytes read_payload(self)
    cpdef bint pour(self, MessageBuffer buffer) except -1
    cdef _set_part(self, bytes source, Py_ssize_t start, Py_ssize_t end, bytes key)

    @cython.locals(
        buffer=bytes, data="const unsigned char *", position=Py_ssize_t, available=Py_ssize_t, start=Py_ssize_t,
        end=Py_ssize_t, taken=Py_ssize_t, length="unsigned long long", rest="unsigned long long",
        head="unsigned char", second="unsigned char", masked="unsigned char",
    )
    cpdef Py_ssize_t take_messages(self, list messages, Py_ssize_t count, Py_ssize_t size) except -1

    @cython.locals(
        buffer=bytes, data="const unsigned char *", allowed="const unsigned char *", position=Py_ssize_t,
        available=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t, size="unsigned long long", rest="unsigned long long",
        head="unsigned char", second="unsigned char",
    )
    cpdef bint next_part(self) except -1

    cdef bint _start_of_frame(self, unsigned char head, Py_ssize_t start, unsigned long long size) except -1
    cdef bint _next_of_payload(self) except -1
    @cython.locals(key=bytes, position=Py_ssize_t, taken="unsigned long long", turn=Py_ssize_t)
    cdef _take(self, unsigned long long size)
    cdef bint _need_more(self) except -1
    cdef bint _is_minimal(self, unsigned long long size, Py_ssize_t header_size) except -1
    @cython.locals(limit="unsigned long long")
    cdef bint _fits_inflated(self, unsigned char head, unsigned long long size) except -1
    cdef bint _refuse_head(self, unsigned char head) except -1
    cdef bint _fail(self, message) except -1
