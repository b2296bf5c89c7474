# The functions of digest.py for the compiled twins, as C: hashing so few bytes takes a third of what the calls to the
# modules hashlib and binascii take.

from cpython.unicode cimport PyUnicode_DecodeASCII


cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    const void *PyUnicode_DATA(object text)


cdef extern from "_digest.h" nogil:
    enum:
        ELIO_ACCEPT_SIZE
    bint elio_is_key(const char *text, size_t size)
    void elio_accept(const char *key, char *out)


cdef inline bint is_key(str text) except -1:
    return PyUnicode_IS_ASCII(text) and elio_is_key(<const char *> PyUnicode_DATA(text), <size_t> len(text))


cdef inline str accept_key(str key):
    cdef char out[ELIO_ACCEPT_SIZE]
    if not is_key(key):
        raise ValueError("no Sec-WebSocket-Key")
    elio_accept(<const char *> PyUnicode_DATA(key), out)
    return PyUnicode_DecodeASCII(out, ELIO_ACCEPT_SIZE, NULL)
