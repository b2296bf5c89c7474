/* The connections of the bare server: what they keep, how they write and how they end. */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include "common.h"

enum { MAX_PEERS = 20000 };

enum kind { HEAD, ECHO, RECEIVER, PUBLISHER, STREAM };

struct connection {
    int fd;
    uint8_t kind;
    bool closed;
    uint32_t slot; /* place in its audience */
    uint8_t *input, *output;
    size_t input_size, input_capacity;
    size_t output_size, output_sent;
};

struct audience {
    struct connection *members[MAX_PEERS];
    uint32_t count;
};

extern int epoll_fd;
extern struct audience receivers, streams;

void join(struct audience *audience, struct connection *c);
void transmit(struct connection *c, const void *data, size_t size); /* keeps what the socket does not take */
void flush(struct connection *c);
void broadcast(struct audience *audience, const uint8_t *data, size_t size);
void close_connection(struct connection *c);
void bury(void); /* frees the closed ones, at the end of a turn */

#endif
