/* What the load generator and the bare server share: clocks, random numbers, sockets, and the words of RFC 6455
 * (accept key, frame headers, masking). Linux only, loopback only, nothing here allocates. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum opcode { OP_CONTINUATION = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

enum { FIN = 0x80, RSV1 = 0x40, MASKED = 0x80, MAX_HEADER = 14, ACCEPT_SIZE = 28 };

/* Prints the reason on stderr and ends the process with status 1. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Monotonic time in nanoseconds. */
uint64_t now_ns(void);

/* CPU time (user and system, all threads) of other processes so far, in nanoseconds. */
uint64_t processes_cpu_ns(const pid_t *pids, int count);

/* xorshift64*: fast, for payloads and for masking keys of a load generator; nothing secret comes from it. */
uint64_t next_random(void);
void fill_random(uint8_t *out, size_t size, bool printable);

void raise_file_limit(void);
int listen_on(uint16_t port, int backlog);
int start_connect(uint16_t port); /* not blocking; the result shows when the socket becomes writable */
void set_no_delay(int fd);
void *must_malloc(size_t size);

/* RFC 6455 4.2.2: base64(sha1(key + GUID)), ACCEPT_SIZE characters and a terminating zero. */
void accept_key(const char *key, size_t key_size, char out[ACCEPT_SIZE + 1]);
size_t base64(const uint8_t *data, size_t size, char *out);

/* The value of a header field in a head of lines ended by CRLF (the search ignores case), or NULL. */
const char *find_header(const char *head, size_t head_size, const char *name, size_t *value_size);

/* RFC 6455 5.2. Writes a frame header (with room for a masking key if `mask`), returns its size. */
static inline size_t write_header(uint8_t *out, uint8_t first, uint64_t length, const uint8_t *mask)
{
    size_t n = 2;
    out[0] = first;
    if (length < 126) {
        out[1] = (uint8_t)length;
    } else if (length < 65536) {
        out[1] = 126;
        out[2] = (uint8_t)(length >> 8);
        out[3] = (uint8_t)length;
        n = 4;
    } else {
        out[1] = 127;
        for (int i = 0; i < 8; i++)
            out[2 + i] = (uint8_t)(length >> (56 - 8 * i));
        n = 10;
    }
    if (mask) {
        out[1] |= MASKED;
        __builtin_memcpy(out + n, mask, 4);
        n += 4;
    }
    return n;
}

/* Size of the frame header that starts with these bytes (at least two of them). */
static inline size_t header_size(const uint8_t *data)
{
    uint8_t length = data[1] & 0x7f;
    return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + (data[1] & MASKED ? 4 : 0);
}

static inline uint64_t payload_length(const uint8_t *data)
{
    uint8_t length = data[1] & 0x7f;
    if (length < 126)
        return length;
    if (length == 126)
        return (uint64_t)data[2] << 8 | data[3];
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | data[2 + i];
    return value;
}

/* out may be in. The compiler makes vector instructions of the loop over words. */
static inline void mask_bytes(uint8_t *out, const uint8_t *in, size_t size, const uint8_t key[4])
{
    uint32_t key32;
    __builtin_memcpy(&key32, key, 4);
    uint64_t key64 = (uint64_t)key32 << 32 | key32;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        __builtin_memcpy(&word, in + i, 8);
        word ^= key64;
        __builtin_memcpy(out + i, &word, 8);
    }
    for (; i < size; i++)
        out[i] = in[i] ^ key[i & 3];
}

#endif
