/* The modes of the load generator, and the window of time in which they measure. */
#ifndef BENCH_MODES_H
#define BENCH_MODES_H

#include "client.h"

struct window {
    uint64_t started, ended, cpu, count, bytes; /* ns; ns of the servers; messages; payload bytes on the wire */
};

extern uint64_t message_count; /* replies, deliveries, responses */
extern uint64_t wire_bytes;    /* payload bytes of replies as they came */

/* Turns the pool for the warm-up and then for the measured seconds. */
void measure(struct window *window);

/* Logarithmic histogram of nanoseconds, 32 steps to each power of two. */
void histogram_reset(void);
void histogram_add(uint64_t ns);
double histogram_percentile_us(double share);

void run_echo(struct window *window);
void run_get(struct window *window);
void run_fanout(struct window *window, bool streams);
void run_handshake(struct window *window);
void run_idle(bool streams);

/* Random payloads: a pool of bytes and a place in it for each (connection, message). */
void payloads_prepare(const struct options *options);
const uint8_t *payload_of(uint32_t connection, uint64_t message, size_t *size);

/* permessage-deflate of one connection (RFC 7692), both directions with context takeover. */
struct deflater;
struct deflater *deflater_new(const char *head, size_t head_size);
size_t deflater_pack(struct deflater *d, const uint8_t *payload, size_t size, uint8_t *out, size_t room);
/* Inflates a piece and compares it with what is expected; returns how much of it was right, -1 if it was not. */
ssize_t deflater_check(struct deflater *d, const uint8_t *data, size_t size, const uint8_t *expected, size_t left);
void deflater_end(struct deflater *d); /* of a message */

#endif
