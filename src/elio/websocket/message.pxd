# The types of message.py for its compiled twin.

cimport cython

from elio.websocket._native cimport MessageBuffer
from elio.websocket.frame cimport FrameDecoder

cdef int _CONTINUATION
cdef int _TEXT
cdef int _BINARY
cdef int _CLOSE
cdef int _PING
cdef int _CONTROL
cdef int ENDS
cdef int STARTS
cdef int WHOLE


@cython.final
@cython.auto_pickle(False)
@cython.no_gc
cdef class MessageDecoder:
    cdef FrameDecoder _frames
    cdef object _deflate
    cdef MessageBuffer _buffer
    cdef object _final
    cdef long long _max_empty_frames
    cdef long long _max_fragments
    cdef long long _fragments
    cdef unsigned long long _size
    cdef Py_ssize_t _inflated
    cdef int _opcode
    cdef bint _compressed
    cdef bint _stopped
    cdef public long long empty_frames
    cdef public long long pongs_expected
    cdef readonly bint more

    cpdef stop(self)
    cpdef bint receive(self, bytes data, list events, Py_ssize_t burst, Py_ssize_t burst_size) except -1

    @cython.locals(frames=FrameDecoder, special=bint, before=Py_ssize_t, head="unsigned char")
    cdef bint _receive(self, list events, Py_ssize_t burst, Py_ssize_t burst_size) except -1

    cdef _finish(self, final)
    cdef bint _add_final(self, list events) except -1
    cdef _add_whole(self, int head, bytes payload, list events)
    cdef _add_control(self, int opcode, bytes payload, list events)
    @cython.locals(frames=FrameDecoder, part=int, size=Py_ssize_t, last=bint, good=bint, data=bytes)
    cdef _add_part(self, int head, list events)
    cdef _begin_fragment(self, int head, bint empty)
    cdef _end_message(self, list events)
    cdef _finish_message(self)
    cdef _count_empty_frame(self)
