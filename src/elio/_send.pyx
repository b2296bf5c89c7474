"""Gives ``Steps`` the slot through which tasks get a value without an exception that carries it (the type slot am_send).

A value that comes back as ``StopIteration(value)`` costs as much as the rest of a small message.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF

from elio.net.ready cimport Steps, Wakeup


cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    ctypedef PySendResult (*sendfunc)(PyObject *, PyObject *, PyObject **) except PYGEN_ERROR
    ctypedef struct PyAsyncMethods:
        sendfunc am_send
    ctypedef struct PyTypeObject:
        PyAsyncMethods *tp_as_async
    void PyType_Modified(PyTypeObject *)


cdef PySendResult _send(PyObject *steps, PyObject *value, PyObject **result) except PYGEN_ERROR:
    result[0] = NULL
    stepped = (<Steps> steps).step()
    Py_INCREF(stepped)
    result[0] = <PyObject *> stepped
    return PYGEN_NEXT if type(stepped) is Wakeup else PYGEN_RETURN


cdef _install():
    cdef PyTypeObject *kind = <PyTypeObject *> Steps
    kind.tp_as_async.am_send = _send
    PyType_Modified(kind)


_install()
