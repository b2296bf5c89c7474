/* Opening handshakes, one batch of connections after the other, and connections that stay open and idle. */
#define _GNU_SOURCE
#include "modes.h"

#include <string.h>

static const char *websocket_path(const struct client *c)
{
    (void)c;
    return "/ws";
}

static const char *stream_path(const struct client *c)
{
    (void)c;
    return "/events";
}

static void ignore(struct client *c, uint8_t *data, size_t size)
{
    (void)c, (void)data, (void)size;
}

/* Only the opening is measured: TCP connection, request, response. The closing happens between the batches. */
void run_handshake(struct window *window)
{
    const struct options *o = pool.options;
    uint64_t elapsed = 0;
    pool.path = websocket_path;
    pool.websocket = true;
    pool.on_data = ignore;
    pool_open(0, pool.count / 10 + 1, o->in_flight); /* to warm up */
    pool_close();
    do {
        uint64_t cpu = processes_cpu_ns(o->pids, o->pid_count), start = now_ns();
        pool_open(0, pool.count, o->in_flight);
        elapsed += now_ns() - start;
        window->cpu += processes_cpu_ns(o->pids, o->pid_count) - cpu;
        window->count += (uint64_t)pool.count;
        pool_close();
    } while ((double)elapsed < o->seconds * 1e9);
    window->ended = elapsed;
}

void run_idle(bool streams)
{
    pool.path = streams ? stream_path : websocket_path;
    pool.websocket = !streams;
    pool.on_data = ignore;
    pool_open(0, pool.count, pool.options->in_flight);
}
