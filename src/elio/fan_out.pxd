# The types of fan_out.py for its compiled twin.

cimport cython

from elio.event_stream cimport EventStream
from elio.session cimport WebSocket


@cython.locals(ws=WebSocket, stream=EventStream, count=Py_ssize_t, frames=dict, pieces=dict, event=bytes)
cdef _share(targets, message)
