# The types of memory.py for its compiled twin.

cimport cython

from elio.net.records.records cimport Records

cdef Py_ssize_t _RECORD
cdef Py_ssize_t _PIECE
cdef Py_ssize_t _OUT


@cython.auto_pickle(False)
cdef class MemoryRecords(Records):
    cdef object _engine
    cdef object _incoming
    cdef object _outgoing
    cdef bytearray _buffer
    cdef object _view

    cpdef bint shake_hands(self) except -1
    cpdef bytes take_input(self)
    @cython.locals(data=bytes, start=Py_ssize_t, size=Py_ssize_t)
    cdef _feed(self)
    @cython.locals(buffer=bytearray, data="const unsigned char *", room=Py_ssize_t, count=Py_ssize_t, size=Py_ssize_t)
    cpdef bytes read(self)
    cpdef bytes write(self, data)
    @cython.locals(start=Py_ssize_t, size=Py_ssize_t)
    cpdef list write_pieces(self, list_of_data)
