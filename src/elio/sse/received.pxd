# The functions of received.py for the compiled parser, as C. The parser writes `from . import received` in its .py and
# `from elio.sse cimport received` in its .pxd; then received.event(...) is this one.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy


cdef extern from "Python.h":
    int PyByteArray_Resize(bytearray data, Py_ssize_t size) except -1
    char *PyByteArray_AS_STRING(bytearray data)
    Py_ssize_t PyByteArray_GET_SIZE(bytearray data)


cdef extern from "_event.h":
    object elio_new_event(object data, object type, object id)


cdef extern from "_text.h":
    Py_ssize_t elio_line_end(const char *lines, Py_ssize_t size, Py_ssize_t pos)
    str elio_text(const char *data, Py_ssize_t size)
    Py_ssize_t elio_block_end(const char *lines, Py_ssize_t size, Py_ssize_t pos)
    str elio_block_text(const char *lines, Py_ssize_t pos, Py_ssize_t end)


cdef inline Py_ssize_t line_end(bytes lines, Py_ssize_t pos):
    return elio_line_end(PyBytes_AS_STRING(lines), PyBytes_GET_SIZE(lines), pos)


cdef inline str text(bytes lines, Py_ssize_t start, Py_ssize_t stop):
    return elio_text(PyBytes_AS_STRING(lines) + start, stop - start)


cdef inline Py_ssize_t block_end(bytes lines, Py_ssize_t pos):
    return elio_block_end(PyBytes_AS_STRING(lines), PyBytes_GET_SIZE(lines), pos)


cdef inline str block_text(bytes lines, Py_ssize_t pos, Py_ssize_t end):
    return elio_block_text(PyBytes_AS_STRING(lines), pos, end)


cdef inline object event(str data, str type, str id):
    return elio_new_event(data, type, id)


cdef inline append(bytearray buffer, bytes data, Py_ssize_t start, Py_ssize_t stop):
    cdef Py_ssize_t size = PyByteArray_GET_SIZE(buffer)
    PyByteArray_Resize(buffer, size + (stop - start))
    memcpy(PyByteArray_AS_STRING(buffer) + size, PyBytes_AS_STRING(data) + start, <size_t> (stop - start))


cdef inline bytes joined(bytearray buffer, bytes data):
    cdef Py_ssize_t size = PyByteArray_GET_SIZE(buffer)
    cdef bytes whole = PyBytes_FromStringAndSize(NULL, size + PyBytes_GET_SIZE(data))
    memcpy(PyBytes_AS_STRING(whole), PyByteArray_AS_STRING(buffer), <size_t> size)
    memcpy(PyBytes_AS_STRING(whole) + size, PyBytes_AS_STRING(data), <size_t> PyBytes_GET_SIZE(data))
    return whole


cdef inline keep(bytearray buffer, bytes data, Py_ssize_t start):
    PyByteArray_Resize(buffer, PyBytes_GET_SIZE(data) - start)
    memcpy(
        PyByteArray_AS_STRING(buffer), PyBytes_AS_STRING(data) + start, <size_t> (PyBytes_GET_SIZE(data) - start)
    )


cdef inline str take_text(bytearray data):
    cdef str text = elio_text(PyByteArray_AS_STRING(data), PyByteArray_GET_SIZE(data) - 1)
    PyByteArray_Resize(data, 0)
    return text
