# The types of outlet.py for its compiled twin. Attributes are public for subclasses in Python.

cimport cython

from elio.net.runtime cimport Runtime

cdef Py_ssize_t _STREAK
cdef Py_ssize_t _LARGE


cdef class Sink:
    cpdef write(self, data)


cdef class Outlet:
    cdef public object _stream
    cdef public Runtime _runtime
    cdef public object _writers
    cdef public object cause
    cdef public object watcher
    cdef public unsigned long long _turn
    cdef public Py_ssize_t _streak
    cdef public long long _written
    cdef public long long _stall_mark
    cdef public double _stalled_since
    cdef public double _opened_at
    cdef public bint _corked
    cdef public bint _held
    cdef public bint _lost
    cdef public bint _paused

    cpdef _take_output(self)
    cpdef _closed_error(self)
    cpdef explain(self, cause)
    cpdef _departed(self, error)
    cpdef _cut(self, cause)
    cpdef _cut_stalled(self)
    cpdef _cut_slow(self, bound, allowed)
    cpdef _emit(self, Py_ssize_t size)
    cpdef _room(self, Py_ssize_t size)
    cpdef flush(self)
    @cython.locals(sink=Sink)
    @cython.locals(size=Py_ssize_t)
    cpdef _write(self, data)
    cpdef data_received(self, bytes data)
    cpdef _wake_writers(self)
    cpdef pause_writing(self)
    cpdef resume_writing(self)
    cpdef _stop_watching(self)
