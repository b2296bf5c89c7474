#define _GNU_SOURCE
#include "peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int epoll_fd;
struct audience receivers, streams;
static struct connection *dead[MAX_PEERS];
static int dead_count;

static void leave(struct audience *audience, struct connection *c)
{
    struct connection *last = audience->members[--audience->count];
    audience->members[c->slot] = last;
    last->slot = c->slot;
}

void join(struct audience *audience, struct connection *c)
{
    if (audience->count == MAX_PEERS)
        die("more than %d peers", MAX_PEERS);
    c->slot = audience->count;
    audience->members[audience->count++] = c;
}

/* The memory lives until the end of the turn: later events of the same batch may still point to it. */
void close_connection(struct connection *c)
{
    if (c->closed)
        return;
    c->closed = true;
    close(c->fd);
    if (c->kind == RECEIVER)
        leave(&receivers, c);
    if (c->kind == STREAM)
        leave(&streams, c);
    if (dead_count == MAX_PEERS)
        die("too many connections closed in one turn");
    dead[dead_count++] = c;
}

void bury(void)
{
    while (dead_count) {
        struct connection *c = dead[--dead_count];
        free(c->input);
        free(c->output);
        free(c);
    }
}

/* While output waits nothing is read, which bounds the memory of a peer that does not take its echoes. */
static void watch(struct connection *c)
{
    struct epoll_event event = {.events = c->output ? EPOLLOUT : EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event))
        close_connection(c);
}

static void keep_output(struct connection *c, const uint8_t *data, size_t size)
{
    size_t waiting = c->output_size - c->output_sent;
    uint8_t *output = must_malloc(waiting + size);
    if (waiting)
        memcpy(output, c->output + c->output_sent, waiting);
    memcpy(output + waiting, data, size);
    bool first = !c->output;
    free(c->output);
    c->output = output;
    c->output_size = waiting + size;
    c->output_sent = 0;
    if (first)
        watch(c);
}

void transmit(struct connection *c, const void *data, size_t size)
{
    if (c->closed || !size)
        return;
    ssize_t n = c->output ? 0 : send(c->fd, data, size, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        close_connection(c);
        return;
    }
    size_t taken = n > 0 ? (size_t)n : 0;
    if (taken < size)
        keep_output(c, (const uint8_t *)data + taken, size - taken);
}

void flush(struct connection *c)
{
    ssize_t n = send(c->fd, c->output + c->output_sent, c->output_size - c->output_sent, MSG_NOSIGNAL);
    if (n < 0) {
        if (errno != EAGAIN)
            close_connection(c);
        return;
    }
    c->output_sent += (size_t)n;
    if (c->output_sent < c->output_size)
        return;
    free(c->output);
    c->output = NULL;
    c->output_size = c->output_sent = 0;
    watch(c);
}

void broadcast(struct audience *audience, const uint8_t *data, size_t size)
{
    for (uint32_t i = audience->count; i-- > 0;)
        transmit(audience->members[i], data, size);
}
