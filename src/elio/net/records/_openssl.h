/* OpenSSL as the module `ssl` of Python has loaded it: what `_openssl.pyx` needs of it, looked up by name.

   No header of OpenSSL is included and nothing is linked: types are pointers to what nobody looks into here, and the
   numbers are those of its interface, which do not change (OpenSSL 1.1.1 to 3.x). */

#ifndef ELIO_OPENSSL_H
#define ELIO_OPENSSL_H

#include <dlfcn.h>
#include <stddef.h>

#include <Python.h>

#define SSL_ERROR_WANT_READ 2
#define SSL_ERROR_ZERO_RETURN 6

#define ELIO_BIO_TYPE_SOURCE_SINK 0x0400
#define ELIO_BIO_FLAGS_READ 0x01
#define ELIO_BIO_FLAGS_WRITE 0x02
#define ELIO_BIO_FLAGS_SHOULD_RETRY 0x08
#define ELIO_BIO_FLAGS_ALL 0x0f
#define ELIO_BIO_CTRL_FLUSH 11

typedef int (*elio_mover)(void *, char *, int);
typedef int (*elio_taker)(void *, const char *, int);
typedef long (*elio_controller)(void *, int, long, void *);

typedef struct {
    int (*SSL_read_ex)(void *, void *, size_t, size_t *);
    int (*SSL_write_ex)(void *, const void *, size_t, size_t *);
    int (*SSL_pending)(const void *);
    int (*SSL_shutdown)(void *);
    int (*SSL_get_error)(const void *, int);
    void (*SSL_set_bio)(void *, void *, void *);
    void *(*BIO_meth_new)(int, const char *);
    int (*BIO_meth_set_read)(void *, elio_mover);
    int (*BIO_meth_set_write)(void *, elio_taker);
    int (*BIO_meth_set_ctrl)(void *, elio_controller);
    int (*BIO_get_new_index)(void);
    void *(*BIO_new)(const void *);
    int (*BIO_up_ref)(void *);
    int (*BIO_free)(void *);
    void (*BIO_set_init)(void *, int);
    void (*BIO_set_data)(void *, void *);
    void *(*BIO_get_data)(void *);
    void (*BIO_set_flags)(void *, int);
    void (*BIO_clear_flags)(void *, int);
    void (*ERR_clear_error)(void);
    unsigned long (*ERR_peek_last_error)(void);
    const char *(*ERR_reason_error_string)(unsigned long);
} elio_openssl;

static elio_openssl elio_openssl_functions;
static void *elio_bio_method;

/* Nothing is there to be read, or nothing can be written: to be asked again. */
static int elio_retry(void *bio, int reads)
{
    int flags = (reads ? ELIO_BIO_FLAGS_READ : ELIO_BIO_FLAGS_WRITE) | ELIO_BIO_FLAGS_SHOULD_RETRY;
    elio_openssl_functions.BIO_clear_flags(bio, ELIO_BIO_FLAGS_ALL);
    elio_openssl_functions.BIO_set_flags(bio, flags);
    return -1;
}

static long elio_bio_control(void *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == ELIO_BIO_CTRL_FLUSH;
}

static void *elio_new_bio(void *data)
{
    void *bio = elio_openssl_functions.BIO_new(elio_bio_method);
    if (bio != NULL) {
        elio_openssl_functions.BIO_set_data(bio, data);
        elio_openssl_functions.BIO_set_init(bio, 1);
    }
    return bio;
}

/* Look the functions up in the library at this path, the module `ssl`, and in those that it has loaded. Whether all of
   them are there: a module with OpenSSL inside of it shows none. It stays loaded as long as the interpreter lives. */
static int elio_find_openssl(const char *path, elio_mover read, elio_taker write)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return 0;
#define ELIO_FIND(name)                                                                                                \
    do {                                                                                                               \
        *(void **)&elio_openssl_functions.name = dlsym(library, #name);                                                \
        if (elio_openssl_functions.name == NULL)                                                                       \
            return 0;                                                                                                  \
    } while (0)
    ELIO_FIND(SSL_read_ex);
    ELIO_FIND(SSL_write_ex);
    ELIO_FIND(SSL_pending);
    ELIO_FIND(SSL_shutdown);
    ELIO_FIND(SSL_get_error);
    ELIO_FIND(SSL_set_bio);
    ELIO_FIND(BIO_meth_new);
    ELIO_FIND(BIO_meth_set_read);
    ELIO_FIND(BIO_meth_set_write);
    ELIO_FIND(BIO_meth_set_ctrl);
    ELIO_FIND(BIO_get_new_index);
    ELIO_FIND(BIO_new);
    ELIO_FIND(BIO_up_ref);
    ELIO_FIND(BIO_free);
    ELIO_FIND(BIO_set_init);
    ELIO_FIND(BIO_set_data);
    ELIO_FIND(BIO_get_data);
    ELIO_FIND(BIO_set_flags);
    ELIO_FIND(BIO_clear_flags);
    ELIO_FIND(ERR_clear_error);
    ELIO_FIND(ERR_peek_last_error);
    ELIO_FIND(ERR_reason_error_string);
#undef ELIO_FIND
    elio_bio_method = elio_openssl_functions.BIO_meth_new(
        elio_openssl_functions.BIO_get_new_index() | ELIO_BIO_TYPE_SOURCE_SINK, "elio");
    return elio_bio_method != NULL && elio_openssl_functions.BIO_meth_set_read(elio_bio_method, read) &&
           elio_openssl_functions.BIO_meth_set_write(elio_bio_method, write) &&
           elio_openssl_functions.BIO_meth_set_ctrl(elio_bio_method, elio_bio_control);
}

/* The connection of OpenSSL behind an object of the module `ssl`, or NULL if the object does not look as it is known to
   (CPython 3.11 to 3.14): socket, connection, context. The context is known, so it proves what stands before it. */
static void *elio_ssl_of(PyObject *engine, PyObject *context)
{
    struct {
        PyObject_HEAD
        PyObject *socket;
        void *connection;
        PyObject *context;
    } *known = (void *)engine;
    if (Py_TYPE(engine)->tp_basicsize < (Py_ssize_t)sizeof(*known) || known->context != context)
        return NULL;
    return known->connection;
}

#endif
