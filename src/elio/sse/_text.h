/* Bytes of an event stream to lines and text: what the compiled parser does for every line. */
#ifndef ELIO_TEXT_H
#define ELIO_TEXT_H

#include <Python.h>
#include <stdint.h>
#include <string.h>

/* The position of the first LF from pos on, -1 if there is none. */
static inline Py_ssize_t elio_line_end(const char *lines, Py_ssize_t size, Py_ssize_t pos)
{
    const char *end = memchr(lines + pos, '\n', (size_t)(size - pos));
    return end ? end - lines : -1;
}

/* How many characters of two bytes the text has, if it has no other ones above ASCII and all are below U+0100; else -1. */
static inline Py_ssize_t elio_count_latin(const unsigned char *data, Py_ssize_t size)
{
    Py_ssize_t count = 0;
    unsigned char bad = (data[0] > 0x7f && data[0] < 0xc2) || data[0] > 0xc3 || data[size - 1] > 0xbf;
    for (Py_ssize_t i = 1; i < size; i++) { /* compilers make vectors of this and of the loop in elio_text */
        const unsigned char continues = data[i] > 0x7f && data[i] < 0xc0;
        const unsigned char begun = data[i - 1] == 0xc2 || data[i - 1] == 0xc3;
        bad |= (continues ^ begun) | (data[i] > 0xc3) | (data[i] == 0xc0) | (data[i] == 0xc1);
        count += continues;
    }
    return bad ? -1 : count;
}

/* Write such text, which has at least one character above ASCII: CPython's decoder takes three times as long. */
static inline void elio_write_latin(unsigned char *out, const unsigned char *data, Py_ssize_t size)
{
    const unsigned char *const end = data + size;
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    while (end - data >= 16) { /* of 16 bytes at least 8 characters are to come, so 8 may be written */
        uint64_t word;
        memcpy(&word, data, 8);
        memcpy(out, &word, 8);
        word &= UINT64_C(0x8080808080808080);
        const int ascii = word ? __builtin_ctzll(word) >> 3 : 8;
        data += ascii, out += ascii;
        if (word) {
            *out++ = (unsigned char)(data[0] << 6 | (data[1] & 0x3f));
            data += 2;
        }
    }
#endif
    while (data < end) {
        *out++ = *data < 0x80 ? *data : (unsigned char)(data[0] << 6 | (data[1] & 0x3f));
        data += *data < 0x80 ? 1 : 2;
    }
}

/* The text of UTF-8, with U+FFFD for what is not. */
static inline PyObject *elio_text(const char *data, Py_ssize_t size)
{
    Py_ssize_t latin = 0;
    unsigned char seen = 0;
    PyObject *text;
    for (Py_ssize_t i = 0; i < size; i++)
        seen |= (unsigned char)data[i];
    if (seen > 0x7f)
        latin = elio_count_latin((const unsigned char *)data, size);
    if (latin < 0)
        return PyUnicode_DecodeUTF8(data, size, "replace");
    text = PyUnicode_New(size - latin, latin ? 0xff : 0x7f);
    if (text && latin)
        elio_write_latin(PyUnicode_DATA(text), (const unsigned char *)data, size);
    else if (text && size)
        memcpy(PyUnicode_DATA(text), data, (size_t)size);
    return text;
}

/* The position of the empty line behind the run of "data: " lines that begins at pos, -1 if something else follows. */
static inline Py_ssize_t elio_block_end(const char *lines, Py_ssize_t size, Py_ssize_t pos)
{
    while (size - pos > 6 && memcmp(lines + pos, "data: ", 6) == 0) {
        pos = elio_line_end(lines, size, pos + 6) + 1;
        if (pos > 0 && pos < size && lines[pos] == '\n')
            return pos;
        if (pos == 0)
            break;
    }
    return -1;
}

/* The text of such a run: the values of its lines, with LF between them. */
static inline PyObject *elio_block_text(const char *lines, Py_ssize_t pos, Py_ssize_t end)
{
    PyObject *text;
    Py_ssize_t size = 0;
    char *values = PyMem_Malloc((size_t)(end - pos));
    if (!values)
        return PyErr_NoMemory();
    while (pos < end) {
        const Py_ssize_t next = elio_line_end(lines, end, pos + 6) + 1;
        memcpy(values + size, lines + pos + 6, (size_t)(next - pos - 6));
        size += next - pos - 6;
        pos = next;
    }
    text = elio_text(values, size - 1);
    PyMem_Free(values);
    return text;
}

#endif
