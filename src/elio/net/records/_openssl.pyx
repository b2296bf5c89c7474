"""Records by OpenSSL itself, past the module `ssl`: no memory buffers, half as many copies.

The library is the one that the module `ssl` has loaded, found at run time; nothing is linked or built against. Where it
cannot be found, or where an object of the module does not look as it is known to, :func:`direct` leaves everything to
the module. Handshakes are always its business: names, certificates and callbacks are its own.
"""

import _ssl
import ssl

from cpython.buffer cimport PyBUF_SIMPLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.string cimport memcpy

from elio.net.records.memory cimport MemoryRecords
from elio.net.records.records cimport Records

__all__ = ["direct"]


cdef extern from "Python.h":
    PyObject *_new_bytes "PyBytes_FromStringAndSize"(const char *, Py_ssize_t) except NULL
    int _resize_bytes "_PyBytes_Resize"(PyObject **, Py_ssize_t) except -1
    char *_octets "PyBytes_AS_STRING"(PyObject *)
    Py_ssize_t _size_of "PyBytes_GET_SIZE"(PyObject *)


cdef extern from "_openssl.h":
    int SSL_ERROR_WANT_READ
    int SSL_ERROR_ZERO_RETURN

    ctypedef struct elio_openssl:
        int (*SSL_read_ex)(void *, void *, size_t, size_t *) noexcept
        int (*SSL_write_ex)(void *, const void *, size_t, size_t *) noexcept
        int (*SSL_pending)(const void *) noexcept
        int (*SSL_shutdown)(void *) noexcept
        int (*SSL_get_error)(const void *, int) noexcept
        void (*SSL_set_bio)(void *, void *, void *) noexcept
        int (*BIO_up_ref)(void *) noexcept
        int (*BIO_free)(void *) noexcept
        void (*BIO_set_data)(void *, void *) noexcept
        void *(*BIO_get_data)(void *) noexcept
        void (*ERR_clear_error)() noexcept
        unsigned long (*ERR_peek_last_error)() noexcept
        const char *(*ERR_reason_error_string)(unsigned long) noexcept

    ctypedef int (*elio_mover)(void *, char *, int) noexcept
    ctypedef int (*elio_taker)(void *, const char *, int) noexcept

    elio_openssl openssl "elio_openssl_functions"
    bint elio_find_openssl(const char *path, elio_mover read, elio_taker write)
    void *elio_new_bio(void *data)
    int elio_retry(void *bio, bint reads)
    void *elio_ssl_of(PyObject *engine, PyObject *context)


cdef Py_ssize_t _RECORD = 16384  # bytes of plaintext that one record has at most (RFC 8446 5.1)
cdef Py_ssize_t _OVERHEAD = 96  # bytes by which a record is longer than its plaintext; a guess that may be too low
cdef Py_ssize_t _OUT = 4 * _RECORD  # bytes of plaintext of one part that is to be sent
cdef Py_ssize_t _IN = 8 * _RECORD  # bytes of plaintext that are read at a time


cdef class DirectRecords(Records):
    """The records of one connection, whose handshake is complete."""

    cdef void *_ssl
    cdef void *_bio
    cdef const char *_input
    cdef Py_ssize_t _input_size
    cdef Py_ssize_t _held
    cdef Py_ssize_t _used
    cdef PyObject *_output

    def __cinit__(self):
        self._ssl = self._bio = NULL
        self._input = NULL
        self._input_size = self._held = self._used = 0
        self._output = NULL

    def __dealloc__(self):
        Py_XDECREF(self._output)
        if self._bio is not NULL:
            openssl.BIO_set_data(self._bio, NULL)  # OpenSSL's object may live on
            openssl.BIO_free(self._bio)

    cdef int _take_over(self, void *connection) except -1:
        self._ssl = connection
        self._bio = elio_new_bio(<void *>self)
        if self._bio is NULL:
            raise MemoryError
        openssl.BIO_up_ref(self._bio)
        openssl.SSL_set_bio(connection, self._bio, self._bio)
        return 0

    cpdef bytes read(self):
        """The plaintext of the records that are there, or of the first of them; empty if none is complete."""
        cdef bytes left = self._left
        cdef Py_ssize_t size
        # No record has more plaintext than ciphertext.
        size = len(left) - self._offset + self._held + openssl.SSL_pending(self._ssl)
        if size > _IN:
            size = _IN
        self._input = <const char *>left + self._offset
        self._input_size = len(left) - self._offset
        try:
            return self._read(max(size, 1))
        finally:
            if self._input_size:
                self._offset = len(left) - self._input_size
            else:
                self._left = b""
                self._offset = 0
            self._input = NULL
            self._input_size = 0
            self._unread = not self.at_end and openssl.SSL_pending(self._ssl) > 0

    cdef bytes _read(self, Py_ssize_t size):
        cdef PyObject *data = _new_bytes(NULL, size)
        cdef Py_ssize_t count = 0
        cdef Py_ssize_t before
        cdef size_t got = 0
        try:
            _forget_errors()
            while count < size:
                before = self._input_size
                if openssl.SSL_read_ex(self._ssl, _octets(data) + count, size - count, &got) <= 0:
                    self._held += before - self._input_size
                    self._look_at_failure()
                    break
                self._held = 0
                count += <Py_ssize_t>got
                if not self._input_size and not openssl.SSL_pending(self._ssl):
                    break
            if not count:
                return b""
            _resize_bytes(&data, count)
            return <bytes>data
        finally:
            Py_XDECREF(data)

    cdef int _look_at_failure(self) except -1:
        cdef int kind = openssl.SSL_get_error(self._ssl, 0)
        if kind == SSL_ERROR_WANT_READ:
            return 0
        self.at_end = True
        if kind != SSL_ERROR_ZERO_RETURN:
            self.error = _error(kind)
        return 0

    cpdef bytes write(self, data):
        """The records of these bytes, behind what :meth:`take` would return."""
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            self._write(<const char *>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)
        return self.take()

    cpdef list write_pieces(self, list_of_data):
        """The records of several pieces, one behind the other, in one or several parts."""
        cdef Py_buffer view
        cdef Py_ssize_t start
        cdef list parts = []
        for data in list_of_data:
            PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
            try:
                for start in range(0, view.len, _OUT):
                    self._write(<const char *>view.buf + start, min(view.len - start, _OUT))
                    if self._used >= _OUT:
                        parts.append(self.take())
            finally:
                PyBuffer_Release(&view)
        if self._used:
            parts.append(self.take())
        return parts

    cdef int _write(self, const char *data, Py_ssize_t size) except -1:
        cdef size_t written = 0
        _forget_errors()
        self._make_room(size + (size // _RECORD + 1) * _OVERHEAD)
        while size:
            if openssl.SSL_write_ex(self._ssl, data, size, &written) <= 0:
                raise _error(openssl.SSL_get_error(self._ssl, 0))
            data += written
            size -= <Py_ssize_t>written
        return 0

    cdef int _make_room(self, Py_ssize_t size) except -1:
        """So many bytes more are about to be sent."""
        if self._output is NULL:
            self._output = _new_bytes(NULL, size)
            self._used = 0
        elif self._used + size > _size_of(self._output):
            _resize_bytes(&self._output, self._used + size)
        return 0

    cpdef end(self):
        """Make our close_notify (RFC 8446 6.1)."""
        openssl.SSL_shutdown(self._ssl)  # which fails where the peer has done what forbids it
        _forget_errors()

    cpdef bytes take(self):
        """What is to be sent."""
        cdef PyObject *data = self._output
        if data is NULL or not self._used:
            return b""
        self._output = NULL
        try:
            _resize_bytes(&data, self._used)
            return <bytes>data
        finally:
            self._used = 0
            Py_XDECREF(data)


cdef int _bio_read(void *bio, char *data, int size) noexcept:
    """OpenSSL asks for ciphertext of the peer."""
    cdef void *owner = openssl.BIO_get_data(bio)
    if owner is NULL or size <= 0:
        return elio_retry(bio, True)
    records = <DirectRecords>owner
    if not records._input_size:
        return elio_retry(bio, True)
    if size > records._input_size:
        size = <int>records._input_size
    memcpy(data, records._input, size)
    records._input += size
    records._input_size -= size
    return size


cdef int _bio_write(void *bio, const char *data, int size) noexcept:
    """OpenSSL has made something that is to be sent."""
    cdef void *owner = openssl.BIO_get_data(bio)
    if owner is NULL or size <= 0:
        return elio_retry(bio, False)
    records = <DirectRecords>owner
    try:
        records._make_room(size)
    except MemoryError:
        return -1
    memcpy(_octets(records._output) + records._used, data, size)
    records._used += size
    return size


cdef int _forget_errors() noexcept:
    """OpenSSL takes an error that somebody else has left in this thread for one of the next call."""
    if openssl.ERR_peek_last_error():
        openssl.ERR_clear_error()
    return 0


cdef object _error(int kind):
    """Why OpenSSL fails, in the words of the module `ssl`."""
    cdef const char *text = openssl.ERR_reason_error_string(openssl.ERR_peek_last_error())
    openssl.ERR_clear_error()
    if text is NULL:
        return ssl.SSLError(kind, "OpenSSL failed and gives no reason")
    words = (<bytes>text).decode("ascii", "replace")
    reason = words.upper().replace(" ", "_")
    error = ssl.SSLError(kind, f"[SSL: {reason}] {words}")
    error.library = "SSL"
    error.reason = reason
    return error


def direct(MemoryRecords records) -> Records:
    """The same connection's records past the module `ssl`; those given where that cannot be done.

    Args:
        records: of a complete handshake, of which nothing is left to be taken. They are not to be used any more,
            unless they are what comes back.
    """
    cdef DirectRecords found
    cdef void *connection
    engine = getattr(records.tls, "_sslobj", None)
    if not _IS_FOUND or engine is None:
        return records
    context = records.tls.context
    connection = elio_ssl_of(<PyObject *>engine, <PyObject *>context)
    if connection is NULL:
        return records
    found = DirectRecords(records.tls)
    found._take_over(connection)
    rest = records.take_input()
    if rest:
        found.add(rest)
    return found


cdef bint _find() except -1:
    path = getattr(_ssl, "__file__", None)
    if path is None or not ssl.OPENSSL_VERSION.startswith("OpenSSL "):
        return False
    return elio_find_openssl(path.encode(), _bio_read, _bio_write)


cdef bint _IS_FOUND = _find()
