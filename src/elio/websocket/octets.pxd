# The functions of octets.py for the compiled twins, as C over the kernels. A twin writes `from . import octets` in its
# .py and `from elio.websocket cimport octets` in its .pxd; then octets.framed(...) is this one.

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from elio.websocket._native cimport elio_load_key, elio_mask, elio_prime_heap


cdef extern from "Python.h":
    str PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)
    void *PyUnicode_DATA(object text)
    str PyUnicode_DecodeUTF8(const char *data, Py_ssize_t size, const char *errors)
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)


cdef inline bytes plain(bytes buffer, Py_ssize_t start, Py_ssize_t end):
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(buffer) + start, end - start)


cdef inline bytes unmasked(bytes buffer, Py_ssize_t start, Py_ssize_t end):
    cdef const unsigned char *data = <const unsigned char *> PyBytes_AS_STRING(buffer)
    cdef bytes payload = PyBytes_FromStringAndSize(NULL, end - start)
    elio_mask(
        <unsigned char *> PyBytes_AS_STRING(payload), data + start, <size_t> (end - start),
        elio_load_key(data + start - 4, 0),
    )
    return payload


cdef inline str unmasked_text(bytes buffer, Py_ssize_t start, Py_ssize_t end):
    # Most text is ASCII, and then its bytes are the characters: they are unmasked into the str that comes out.
    cdef const unsigned char *data = <const unsigned char *> PyBytes_AS_STRING(buffer)
    cdef str text = PyUnicode_New(end - start, 127)
    cdef unsigned char *characters = <unsigned char *> PyUnicode_DATA(text)
    if not elio_mask(characters, data + start, <size_t> (end - start), elio_load_key(data + start - 4, 0)):
        return text
    return PyUnicode_DecodeUTF8(<const char *> characters, end - start, NULL)


cdef inline void _write_header(
    unsigned char *out, unsigned char head, unsigned char mask_bit, Py_ssize_t size
) noexcept:
    cdef Py_ssize_t i
    out[0] = head
    if size < 126:
        out[1] = mask_bit | <unsigned char> size
    elif size < 65536:
        out[1] = mask_bit | 126
        out[2] = <unsigned char> (size >> 8)
        out[3] = <unsigned char> (size & 0xff)
    else:
        out[1] = mask_bit | 127
        for i in range(8):
            out[9 - i] = <unsigned char> (size >> 8 * i & 0xff)


cdef inline Py_ssize_t _header_size(Py_ssize_t size) noexcept:
    return 2 if size < 126 else 4 if size < 65536 else 10


cdef inline bytes header(unsigned char head, Py_ssize_t size):
    cdef bytes made = PyBytes_FromStringAndSize(NULL, _header_size(size))
    _write_header(<unsigned char *> PyBytes_AS_STRING(made), head, 0, size)
    return made


cdef inline bytes _framed(unsigned char head, const unsigned char *data, Py_ssize_t size, bytes key):
    cdef Py_ssize_t start = _header_size(size)
    cdef uint32_t word = 0
    if key is not None:
        if PyBytes_GET_SIZE(key) != 4:
            raise ValueError(f"masking key of {PyBytes_GET_SIZE(key)} bytes, must be 4")
        word = elio_load_key(<const unsigned char *> PyBytes_AS_STRING(key), 0)
        start += 4
    elio_prime_heap(<size_t> size)
    cdef bytes frame = PyBytes_FromStringAndSize(NULL, start + size)
    cdef unsigned char *out = <unsigned char *> PyBytes_AS_STRING(frame)
    _write_header(out, head, 0 if key is None else 0x80, size)
    if key is None:
        memcpy(out + start, data, <size_t> size)
    else:
        memcpy(out + start - 4, PyBytes_AS_STRING(key), 4)
        elio_mask(out + start, data, <size_t> size, word)
    return frame


cdef inline bytes framed(unsigned char head, payload, bytes key):
    cdef Py_buffer source
    if type(payload) is bytes:
        return _framed(head, <const unsigned char *> PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), key)
    PyObject_GetBuffer(payload, &source, PyBUF_SIMPLE)
    try:
        return _framed(head, <const unsigned char *> source.buf, source.len, key)
    finally:
        PyBuffer_Release(&source)


cdef inline bytes framed_text(unsigned char head, text, bytes key):
    # ASCII characters are their own bytes. For other text PyUnicode_AsUTF8AndSize would keep the encoded form inside the
    # str for as long as that lives.
    if isinstance(text, str) and PyUnicode_IS_COMPACT_ASCII(text):
        return _framed(head, <const unsigned char *> PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text), key)
    return framed(head, text.encode(), key)
