/* A received event made without the constructor of elio.sse.event.Event, a frozen dataclass with slots, which checks
 * values and costs 0.6 us: the slots are filled where they lie. Their places are taken from their descriptors, once for
 * each module that includes this. */
#ifndef ELIO_EVENT_H
#define ELIO_EVENT_H

#include <Python.h>
#include <structmember.h>

static PyTypeObject *elio_event_type;
static Py_ssize_t elio_event_slots[4];

static int elio_find_event(void)
{
    static const char *const names[4] = {"data", "type", "id", "retry"};
    PyObject *module = PyImport_ImportModule("elio.sse.event");
    PyObject *type = module ? PyObject_GetAttrString(module, "Event") : NULL;
    Py_XDECREF(module);
    if (!type)
        return -1;
    if (!PyType_Check(type) || !PyType_IS_GC((PyTypeObject *)type) ||
        ((PyTypeObject *)type)->tp_basicsize != (Py_ssize_t)(sizeof(PyObject) + 4 * sizeof(PyObject *)))
        goto unknown;
    for (int i = 0; i < 4; i++) {
        PyObject *descriptor = PyObject_GetAttrString(type, names[i]);
        const int is_slot = descriptor && Py_IS_TYPE(descriptor, &PyMemberDescr_Type) &&
                            ((PyMemberDescrObject *)descriptor)->d_member->type == T_OBJECT_EX;
        if (is_slot)
            elio_event_slots[i] = ((PyMemberDescrObject *)descriptor)->d_member->offset;
        Py_XDECREF(descriptor);
        if (!is_slot)
            goto unknown;
    }
    elio_event_type = (PyTypeObject *)type;
    return 0;
unknown:
    Py_DECREF(type);
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_TypeError, "elio.sse.event.Event has not the slots that the compiled parser fills");
    return -1;
}

static inline void elio_fill_slot(PyObject *event, int slot, PyObject *value)
{
    Py_INCREF(value);
    *(PyObject **)((char *)event + elio_event_slots[slot]) = value;
}

/* Returns a new reference, NULL with an exception. */
static inline PyObject *elio_new_event(PyObject *data, PyObject *type, PyObject *id)
{
    PyObject *event;
    if (!elio_event_type && elio_find_event() < 0)
        return NULL;
    /* Not tracked by the collector: with strings only it cannot be part of a cycle. */
    event = PyObject_GC_New(PyObject, elio_event_type);
    if (!event)
        return NULL;
    elio_fill_slot(event, 0, data);
    elio_fill_slot(event, 1, type);
    elio_fill_slot(event, 2, id);
    elio_fill_slot(event, 3, Py_None);
    return event;
}

#endif
