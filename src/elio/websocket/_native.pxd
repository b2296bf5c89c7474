# The C kernels, for other Cython modules: `from elio.websocket._native cimport elio_mask`. They are static inline
# functions of a header, so whoever cimports them needs no module at run time.

from cpython.ref cimport PyObject
from libc.stdint cimport uint32_t


cdef extern from "_kernels.h" nogil:
    # Masking: dst may be src or lie below it. Nonzero if a byte above 0x7f was written.
    uint32_t elio_load_key(const unsigned char *key, size_t offset)
    uint32_t elio_rotate_key(uint32_t key, size_t offset)
    int elio_mask(unsigned char *dst, const unsigned char *src, size_t n, uint32_t key)

    # The UTF-8 check: the state behind n more bytes.
    uint32_t ELIO_UTF8_COMPLETE
    uint32_t ELIO_UTF8_BAD
    uint32_t elio_utf8_check(uint32_t state, const unsigned char *p, size_t n)

    # One masking path each, for tests and measurements; n must be at least elio_path_width(path).
    int ELIO_PATHS
    const char *elio_path_name(int path)
    size_t elio_path_width(int path)
    int elio_mask_by(int path, unsigned char *dst, const unsigned char *src, size_t n, uint32_t key)


cdef extern from "_heap.h" nogil:
    void elio_prime_heap(size_t size)


cdef class MessageBuffer:
    cdef PyObject *_held
    cdef Py_ssize_t _room
    cdef Py_ssize_t _size
    cdef uint32_t _state
    cdef bint _is_text
    cdef bint _is_ascii

    cdef unsigned char *_data(self) noexcept
    cdef unsigned char *_reserve(self, Py_ssize_t size, unsigned long long rest) except NULL
    cdef int _resize(self, Py_ssize_t size) except -1
    cdef bint _write(
        self, const unsigned char *data, Py_ssize_t size, uint32_t key, unsigned long long rest
    ) except -1
    cpdef bint write(self, bytes data) except -1
    cpdef bint write_part(
        self, bytes source, Py_ssize_t start, Py_ssize_t end, bytes key, unsigned long long rest
    ) except -1
    cpdef finish(self)
