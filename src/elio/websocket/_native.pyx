"""The Python face of the C kernels: masking (RFC 6455 5.3) and the UTF-8 check (RFC 6455 8.1).

Nothing here is needed for the library to work: `mask.py` does the same in Python. Messages are not cut, counted or judged
here, only bytes.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t

__all__ = ["Utf8Validator", "apply_mask", "apply_mask_in_place"]


cdef uint32_t _key(bytes key, unsigned long long offset) except? 0:
    if PyBytes_GET_SIZE(key) != 4:
        raise ValueError(f"masking key of {len(key)} bytes, must be 4")
    return elio_load_key(<const unsigned char *> PyBytes_AS_STRING(key), <size_t> (offset & 3))


def apply_mask(data, bytes key not None, unsigned long long offset=0):
    cdef uint32_t word = _key(key, offset)
    cdef Py_buffer source
    PyObject_GetBuffer(data, &source, PyBUF_SIMPLE)
    try:
        masked = PyBytes_FromStringAndSize(NULL, source.len)
        elio_mask(
            <unsigned char *> PyBytes_AS_STRING(masked), <const unsigned char *> source.buf, <size_t> source.len, word
        )
        return masked
    finally:
        PyBuffer_Release(&source)


def apply_mask_in_place(data, bytes key not None, unsigned long long offset=0):
    cdef uint32_t word = _key(key, offset)
    cdef Py_buffer target
    PyObject_GetBuffer(data, &target, PyBUF_WRITABLE)
    try:
        elio_mask(<unsigned char *> target.buf, <const unsigned char *> target.buf, <size_t> target.len, word)
    finally:
        PyBuffer_Release(&target)


@cython.final
cdef class Utf8Validator:
    cdef uint32_t _state

    def feed(self, data):
        cdef Py_buffer source
        PyObject_GetBuffer(data, &source, PyBUF_SIMPLE)
        try:
            self._state = elio_utf8_check(self._state, <const unsigned char *> source.buf, <size_t> source.len)
        finally:
            PyBuffer_Release(&source)
        return self._state != ELIO_UTF8_BAD

    @property
    def complete(self):
        return self._state == ELIO_UTF8_COMPLETE


def _masking_paths():
    cdef int path
    return [elio_path_name(path).decode() for path in range(ELIO_PATHS) if elio_path_name(path) is not NULL]


def _apply_mask_by(str name, bytes data not None, bytes key not None, unsigned long long offset=0):
    cdef uint32_t word = _key(key, offset)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    cdef int path
    for path in range(ELIO_PATHS):
        if elio_path_name(path) is not NULL and elio_path_name(path).decode() == name:
            break
    else:
        raise ValueError(f"no masking path {name!r} here")
    if <size_t> size < elio_path_width(path):
        raise ValueError(f"{size} bytes, the path {name!r} takes no fewer than {elio_path_width(path)}")
    masked = PyBytes_FromStringAndSize(NULL, size)
    above_ascii = elio_mask_by(
        path,
        <unsigned char *> PyBytes_AS_STRING(masked),
        <const unsigned char *> PyBytes_AS_STRING(data),
        <size_t> size,
        word,
    )
    return masked, not above_ascii
