# The types of event_source.py for its compiled twin: its task is cold, but what programs iterate over is this class.

from elio.client.feed cimport EventFeed
from elio.sse.parser cimport Parser


cdef class EventSource(EventFeed):
    cdef object __weakref__
    cdef public object headers
    cdef public object _classify
    cdef public object _on_change
    cdef public object _opened
    cdef public object _reconnection
    cdef public object _request
    cdef public object _route
    cdef public object _secrets
    cdef public object _signs
    cdef public object _started_from
    cdef public object _state
    cdef public object _task
    cdef public Parser _parser
    cdef public bint _is_complete

    cpdef _begin_receiving(self)
