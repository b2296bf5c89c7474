/* The client side of the load generator: a pool of connections on one epoll set, and what every mode of load shares. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "common.h"

#ifdef WITH_TLS
#include <openssl/ssl.h>
#else
typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;
#endif

enum { READ_SIZE = 256 * 1024, MAX_CONNECTIONS = 15000, MAX_IN_FLIGHT = 1024, MAX_PIDS = 64, MAX_HEAD = 8192 };

struct options {
    const char *mode;
    uint16_t port;
    int connections, in_flight, size, hold;
    double seconds, warmup;
    bool text, json, deflate, tls, spin;
    pid_t pids[MAX_PIDS];
    int pid_count;
};

enum phase { CONNECTING, SECURING, ASKING, OPEN, CLOSING, CLOSED };

/* Where a stream of frames stands: the header so far, then what is left of the payload. */
struct reader {
    uint8_t header[MAX_HEADER];
    uint8_t have;
    bool in_payload;
    uint64_t left, position;
};

struct client {
    int fd;
    enum phase phase;
    int index;
    bool watches_write;
    SSL *tls;
    char *head; /* of the response, while it is incomplete */
    size_t head_size;
    uint8_t *pending; /* what the socket did not take */
    size_t pending_size, pending_sent, pending_capacity;
    struct reader reader;
    void *own; /* of the mode */
};

struct pool {
    const struct options *options;
    int epoll, count, open;
    bool stopping; /* the modes send nothing new */
    struct client *clients;
    SSL_CTX *tls;
    const char *(*path)(const struct client *c);
    bool websocket;
    void (*on_open)(struct client *c, const char *head, size_t head_size);
    void (*on_data)(struct client *c, uint8_t *data, size_t size);
};

/* What frames do to a mode: begin gets the header's first byte; data comes in pieces. */
struct frame_handler {
    void (*begin)(struct client *c, uint8_t first, uint64_t length);
    void (*data)(struct client *c, uint64_t position, uint8_t *data, size_t size);
    void (*end)(struct client *c, uint8_t first);
};

extern struct pool pool;

void pool_prepare(const struct options *options, int count);
void pool_open(int from, int to, int at_once); /* returns when all of them are open; ends the process if one fails */
void pool_turn(int timeout_ms);
void pool_stop(const uint64_t *sent, const uint64_t *done); /* waits until all that was sent is answered */
void pool_close(void); /* closing handshakes, at most five seconds of them */

void client_send(struct client *c, const void *data, size_t size);
void client_fail(const struct client *c, const char *why);
void read_frames(struct client *c, uint8_t *data, size_t size, const struct frame_handler *handler);

/* Builds a masked frame at out, returns its size. */
size_t build_frame(uint8_t *out, uint8_t first, const uint8_t *payload, size_t size);

#endif
