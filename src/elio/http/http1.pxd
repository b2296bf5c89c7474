# The types of http1.py for its compiled twin.

cimport cython

from elio.headers cimport Headers
from elio.http.collector cimport HeadCollector, split_head
from elio.http.head cimport parse_request_head
from elio.http.message cimport RequestHead
from elio.http.response cimport ResponseWriter

cdef object _HEAD
cdef object _BODY
cdef object _UPGRADE
cdef object _COMPLETE
cdef object _SWITCHED
cdef object _FAILED


cdef class ServerConnection:
    cdef object _limits
    cdef ResponseWriter _writer
    cdef HeadCollector _collector
    cdef bytes _rest
    cdef object _state
    cdef RequestHead _head
    cdef object _body
    cdef bint _eof
    cdef readonly bint expects_continue

    cdef _expect_head(self)
    @cython.locals(events=list)
    cpdef list receive_data(self, bytes data)
    cpdef list receive_eof(self)
    cpdef list start_next(self)
    cdef list _read_rest(self)
    cdef bytes _take_rest(self)
    cdef _fail(self)
    @cython.locals(head=RequestHead, raw=bytes, rest=bytes, found=tuple)
    cdef _receive_head(self, bytes data, list events)
    cdef tuple _find_head(self, bytes data)
    cdef _begin_request(self, RequestHead head, bytes raw)
    cdef _receive_body(self, bytes data, list events)
    cpdef bytes take_rest(self)
    cpdef list decline_upgrade(self)
    cpdef send_switch(self, Headers headers, str date)
    cdef bint _will_be_read(self) except -1
    cpdef send_body(self, data)
    cpdef end_body(self)
    cpdef bytes data_to_send(self)
