/* The limit: what a server with no language runtime, no library and no care for bad peers costs on this machine.
 *
 * One thread, one epoll set. GET / answers 13 bytes; /ws echoes WebSocket messages of any size; what comes in on /publish
 * goes to every WebSocket on /receive and as an event to every event stream on /events, a burst in one write per peer.
 * It does not check UTF-8, fragments or limits beyond its own memory, knows no compression and no TLS, sends no pings.
 *
 * usage: bare PORT */
#define _GNU_SOURCE
#include "native/peers.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_SIZE = 256 * 1024, MAX_FRAME = 64 << 20, MAX_HEAD = 16 * 1024, BATCH = 512 };

static uint8_t buffer[BUFFER_SIZE], bulk[2 * BUFFER_SIZE];

/* Keeps an unfinished head or frame; `needed` is the whole size if it is known. */
static void keep_input(struct connection *c, const uint8_t *data, size_t size, size_t needed)
{
    if (c->input && c->input_capacity >= needed) {
        memmove(c->input, data, size);
    } else {
        uint8_t *input = must_malloc(needed);
        memcpy(input, data, size);
        free(c->input);
        c->input = input;
        c->input_capacity = needed;
    }
    c->input_size = size;
}

static void drop_input(struct connection *c)
{
    free(c->input);
    c->input = NULL;
    c->input_size = c->input_capacity = 0;
}

/* Bytes of the frame that starts here, 0 while even that is unknown. */
static size_t frame_size(const uint8_t *data, size_t size)
{
    if (size < 2 || size < header_size(data))
        return 0;
    uint64_t length = payload_length(data);
    if (length > MAX_FRAME)
        return SIZE_MAX;
    return header_size(data) + (size_t)length;
}

static void unmask(uint8_t *data, size_t size, const uint8_t *key)
{
    mask_bytes(data, data, size, key);
}

/* Writes the answer to one frame at `out`, which is at or before `frame`; returns the end of what is written. */
static uint8_t *answer(uint8_t *frame, uint8_t *out, uint8_t *start)
{
    size_t head = header_size(frame), length = (size_t)payload_length(frame);
    uint8_t first = frame[0], header[MAX_HEADER], *payload = frame + head;
    unmask(payload, length, payload - 4);
    size_t n = write_header(header, first, length, NULL);
    if (out == start) { /* a single large frame is not moved at all */
        memcpy(payload - n, header, n);
        return payload + length;
    }
    memcpy(out, header, n);
    memmove(out + n, payload, length);
    return out + n + length;
}

/* Echoes the complete frames; returns how many bytes they were. */
static size_t echo_frames(struct connection *c, uint8_t *data, size_t size)
{
    size_t used = 0, whole;
    uint8_t *start = NULL, *out = NULL;
    bool closing = false;
    while (!closing && (whole = frame_size(data + used, size - used)) && whole <= size - used) {
        uint8_t *frame = data + used;
        closing = (frame[0] & 15) == OP_CLOSE;
        if (!start) {
            uint8_t header[MAX_HEADER];
            start = out = frame + header_size(frame) - write_header(header, 0, payload_length(frame), NULL);
        }
        out = answer(frame, out, start);
        used += whole;
    }
    if (start)
        transmit(c, start, (size_t)(out - start));
    if (closing)
        close_connection(c);
    return used;
}

static uint8_t *add_message(uint8_t *out, const uint8_t *payload, size_t length)
{
    out += write_header(out, FIN | OP_TEXT, length, NULL);
    return (uint8_t *)mempcpy(out, payload, length);
}

static uint8_t *add_event(uint8_t *out, const uint8_t *payload, size_t length)
{
    out = mempcpy(out, "data: ", 6);
    out = mempcpy(out, payload, length);
    return mempcpy(out, "\n\n", 2);
}

static void publish_events(size_t size)
{
    char line[24];
    size_t n = (size_t)snprintf(line, sizeof line, "%zx\r\n", size);
    uint8_t *start = bulk + 32 - n;
    memcpy(start, line, n);
    memcpy(bulk + 32 + size, "\r\n", 2);
    broadcast(&streams, start, n + size + 2);
}

/* One burst of published messages is one write to each member of the audience. */
static size_t publish_frames(struct connection *c, uint8_t *data, size_t size)
{
    size_t used = 0, whole;
    uint8_t *out = bulk + 32;
    while ((whole = frame_size(data + used, size - used)) && whole <= size - used) {
        uint8_t *frame = data + used, *payload = frame + header_size(frame);
        size_t length = (size_t)payload_length(frame);
        if ((frame[0] & 15) == OP_CLOSE) {
            close_connection(c);
            return size;
        }
        unmask(payload, length, payload - 4);
        out = streams.count ? add_event(out, payload, length) : add_message(out, payload, length);
        used += whole;
    }
    size_t total = (size_t)(out - bulk - 32);
    if (total && streams.count)
        publish_events(total);
    else if (total)
        broadcast(&receivers, bulk + 32, total);
    return used;
}

static bool is_for(const char *head, const char *path)
{
    size_t n = strlen(path);
    return !strncmp(head + 4, path, n) && head[4 + n] == ' ';
}

static void upgrade(struct connection *c, const char *head, size_t size)
{
    char answer_head[256], accept[ACCEPT_SIZE + 1];
    size_t key_size;
    const char *key = find_header(head, size, "Sec-WebSocket-Key", &key_size);
    if (!key) {
        close_connection(c);
        return;
    }
    accept_key(key, key_size, accept);
    int n = snprintf(answer_head, sizeof answer_head,
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: %s\r\n\r\n",
                     accept);
    transmit(c, answer_head, (size_t)n);
    c->kind = is_for(head, "/receive") ? RECEIVER : is_for(head, "/publish") ? PUBLISHER : ECHO;
    if (c->kind == RECEIVER && !c->closed) {
        join(&receivers, c);
        transmit(c, "\x81\x05ready", 7);
    }
}

static void open_stream(struct connection *c)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
                               "Transfer-Encoding: chunked\r\n\r\nd\r\ndata: ready\n\n\r\n";
    c->kind = STREAM;
    join(&streams, c);
    transmit(c, head, sizeof head - 1);
}

static void respond(struct connection *c)
{
    static const char response[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
                                   "Content-Length: 13\r\n\r\nHello, World!";
    transmit(c, response, sizeof response - 1);
}

/* Answers one request if its head is complete; returns the bytes of it. */
static size_t take_head(struct connection *c, uint8_t *data, size_t size)
{
    uint8_t *end = memmem(data, size, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t head_size = (size_t)(end - data) + 4;
    const char *head = (const char *)data;
    if (is_for(head, "/"))
        respond(c);
    else if (is_for(head, "/events"))
        open_stream(c);
    else
        upgrade(c, head, head_size);
    return head_size;
}

static size_t take(struct connection *c, uint8_t *data, size_t size)
{
    switch (c->kind) {
    case HEAD:
        return take_head(c, data, size);
    case PUBLISHER:
        return publish_frames(c, data, size);
    default:
        return echo_frames(c, data, size);
    }
}

static void handle(struct connection *c, uint8_t *data, size_t size)
{
    size_t used = 0, n = 1;
    while (n && used < size && !c->closed) {
        n = take(c, data + used, size - used);
        used += n;
    }
    if (c->closed)
        return;
    if (used == size) {
        if (c->input)
            drop_input(c);
        return;
    }
    size_t needed = c->kind == HEAD ? MAX_HEAD : frame_size(data + used, size - used);
    if (needed == SIZE_MAX || size - used > (needed ? needed : MAX_HEADER))
        close_connection(c);
    else
        keep_input(c, data + used, size - used, needed ? needed : MAX_HEADER);
}

static void read_ready(struct connection *c)
{
    bool kept = c->input != NULL;
    uint8_t *into = kept ? c->input + c->input_size : buffer;
    size_t room = kept ? c->input_capacity - c->input_size : BUFFER_SIZE;
    ssize_t n = recv(c->fd, into, room, 0);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            close_connection(c);
        return;
    }
    if (kept)
        c->input_size += (size_t)n;
    if (kept && c->kind != HEAD && frame_size(c->input, c->input_size) > c->input_size)
        if (frame_size(c->input, c->input_size) <= c->input_capacity)
            return;
    handle(c, kept ? c->input : buffer, kept ? c->input_size : (size_t)n);
}

static void accept_all(int listener)
{
    for (int i = 0; i < BATCH; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        set_no_delay(fd);
        struct connection *c = calloc(1, sizeof *c);
        if (!c)
            die("out of memory");
        c->fd = fd;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

static void serve(int listener)
{
    static struct epoll_event events[BATCH];
    for (;;) {
        int n = epoll_wait(epoll_fd, events, BATCH, -1);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c)
                accept_all(listener);
            else if (c->closed)
                continue;
            else if (c->output)
                flush(c);
            else
                read_ready(c);
        }
        bury();
    }
}

int main(int argc, char **argv)
{
    if (argc != 2)
        die("usage: bare PORT");
    raise_file_limit();
    mallopt(M_MMAP_THRESHOLD, MAX_FRAME); /* large messages reuse warm pages instead of faulting in new ones */
    mallopt(M_TRIM_THRESHOLD, MAX_FRAME);
    mallopt(M_TOP_PAD, 4 << 20);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on((uint16_t)atoi(argv[1]), 4096);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event))
        die("epoll: %s", strerror(errno));
    serve(listener);
}
