/* GET / over and over on kept connections; the response must be 200 with the 13 bytes "Hello, World!". */
#define _GNU_SOURCE
#include "modes.h"

#include <stdlib.h>
#include <string.h>

struct get {
    char input[2048];
    size_t size;
    uint64_t sent_at;
    bool first; /* its head was taken by the pool */
};

static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n";
static const char body[] = "Hello, World!";
static uint64_t sent;

static bool response_complete(struct client *c, const struct get *g)
{
    if (g->first)
        return g->size == sizeof body - 1;
    const char *end = memmem(g->input, g->size, "\r\n\r\n", 4);
    if (!end)
        return false;
    if (strncmp(g->input, "HTTP/1.1 200", 12))
        client_fail(c, "the response is not 200");
    size_t value_size, head_size = (size_t)(end - g->input) + 4;
    const char *length = find_header(g->input, head_size, "Content-Length", &value_size);
    if (!length || atoi(length) != sizeof body - 1)
        client_fail(c, "no Content-Length of 13");
    return g->size == head_size + sizeof body - 1;
}

static void on_data(struct client *c, uint8_t *data, size_t size)
{
    struct get *g = c->own;
    if (g->size + size > sizeof g->input)
        client_fail(c, "response too long");
    memcpy(g->input + g->size, data, size);
    g->size += size;
    if (!response_complete(c, g))
        return;
    if (memcmp(g->input + g->size - (sizeof body - 1), body, sizeof body - 1))
        client_fail(c, "wrong body");
    uint64_t now = now_ns();
    if (!g->first)
        histogram_add(now - g->sent_at);
    message_count++;
    g->first = false;
    g->size = 0;
    g->sent_at = now;
    if (pool.stopping)
        return;
    sent++;
    client_send(c, request, sizeof request - 1);
}

static const char *path(const struct client *c)
{
    (void)c;
    return "/";
}

void run_get(struct window *window)
{
    for (int i = 0; i < pool.count; i++) {
        struct get *g = calloc(1, sizeof *g);
        if (!g)
            die("out of memory");
        g->first = true;
        pool.clients[i].own = g;
    }
    pool.path = path;
    pool.on_data = on_data;
    sent = (uint64_t)pool.count; /* the first requests, by the pool */
    pool_open(0, pool.count, 64);
    measure(window);
    pool_stop(&sent, &message_count);
}
