"""The Python face of the C kernels: masking (RFC 6455 5.3) and the UTF-8 check (RFC 6455 8.1).

Nothing here is needed for the library to work: `mask.py` does the same in Python. Messages are not cut, counted or judged
here, only bytes.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.ref cimport Py_XDECREF, PyObject
from libc.stdint cimport uint32_t

cdef extern from "Python.h":
    PyObject *PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar) except NULL
    int PyUnicode_Resize(PyObject **text, Py_ssize_t size) except -1
    void *PyUnicode_DATA(PyObject *text)
    str PyUnicode_DecodeUTF8(const char *data, Py_ssize_t size, const char *errors)
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *data, Py_ssize_t size) except NULL
    int _PyBytes_Resize(PyObject **data, Py_ssize_t size) except -1
    char *bytes_data "PyBytes_AS_STRING"(PyObject *data)

__all__ = ["MessageBuffer", "Utf8Validator", "apply_mask", "apply_mask_in_place"]


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


@cython.final
@cython.auto_pickle(False)
cdef class MessageBuffer:
    # What is held is the object that comes out in the end, made longer as bytes arrive: bytes, or a str for ASCII. A str
    # that got other bytes never leaves; it is decoded.

    def __cinit__(self, bint is_text):
        self._is_text = is_text
        self._is_ascii = True

    def __dealloc__(self):
        Py_XDECREF(self._held)

    cdef unsigned char *_data(self) noexcept:
        return <unsigned char *> (PyUnicode_DATA(self._held) if self._is_text else bytes_data(self._held))

    cdef unsigned char *_reserve(self, Py_ssize_t size, unsigned long long rest) except NULL:
        cdef Py_ssize_t wanted = self._size + size
        cdef unsigned long long more = <unsigned long long> wanted
        if self._held is NULL or wanted > self._room:
            # All that is announced, if four times what has arrived is enough for it: it is not written to before it
            # comes, and making a large block longer can mean a new one each time. Otherwise as much as has arrived.
            wanted += <Py_ssize_t> (rest if rest >> 2 <= more else more)
            elio_prime_heap(<size_t> wanted)
            if not rest:  # many small fragments need some room in any case
                wanted = max(wanted, self._room + (self._room >> 2), 64)
            if self._held is NULL:
                self._held = PyUnicode_New(wanted, 127) if self._is_text else new_bytes(NULL, wanted)
            else:
                self._resize(wanted)
            self._room = wanted
        return self._data() + self._size

    cdef int _resize(self, Py_ssize_t size) except -1:
        if self._is_text:
            return PyUnicode_Resize(&self._held, size)
        try:
            return _PyBytes_Resize(&self._held, size)
        except MemoryError:
            self._size = self._room = 0  # nothing is held any more
            raise

    cdef bint _write(
        self, const unsigned char *data, Py_ssize_t size, uint32_t key, unsigned long long rest
    ) except -1:
        cdef unsigned char *out = self._reserve(size, rest)
        cdef bint above_ascii = elio_mask(out, data, <size_t> size, key) != 0
        self._size += size
        if self._is_text and (above_ascii or self._state != ELIO_UTF8_COMPLETE):
            self._is_ascii = False
            self._state = elio_utf8_check(self._state, out, <size_t> size)
        return self._state != ELIO_UTF8_BAD

    cpdef bint write(self, bytes data) except -1:
        return self._write(<const unsigned char *> PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), 0, 0)

    cpdef bint write_part(
        self, bytes source, Py_ssize_t start, Py_ssize_t end, bytes key, unsigned long long rest
    ) except -1:
        if not 0 <= start <= end <= PyBytes_GET_SIZE(source):
            raise ValueError(f"no part from {start} to {end} in {PyBytes_GET_SIZE(source)} bytes")
        cdef uint32_t word = _key(key, 0) if key else 0
        return self._write(<const unsigned char *> PyBytes_AS_STRING(source) + start, end - start, word, rest)

    cpdef finish(self):
        if self._state != ELIO_UTF8_COMPLETE:
            return None
        if not self._size:
            return "" if self._is_text else b""
        if self._is_text and not self._is_ascii:
            return PyUnicode_DecodeUTF8(<const char *> self._data(), self._size, NULL)
        if self._size != self._room:
            self._resize(self._size)
        message = <object> self._held
        Py_XDECREF(self._held)
        self._held = NULL
        self._size = self._room = 0
        return message


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
