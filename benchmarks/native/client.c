#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 512, OPEN_SECONDS = 60, CLOSE_SECONDS = 10 };

struct pool pool;
static uint8_t read_buffer[READ_SIZE];

void client_fail(const struct client *c, const char *why)
{
    die("connection %d (phase %d): %s", c->index, c->phase, why);
}

static void drop(struct client *c)
{
#ifdef WITH_TLS
    if (c->tls)
        SSL_free(c->tls);
    c->tls = NULL;
#endif
    if (c->phase == OPEN || c->phase == CLOSING)
        pool.open--;
    c->phase = CLOSED;
    close(c->fd);
    free(c->pending);
    c->pending = NULL;
    c->pending_size = c->pending_sent = c->pending_capacity = 0;
}

static void watch(struct client *c, bool write)
{
    if (c->watches_write == write)
        return;
    struct epoll_event event = {.events = EPOLLIN | (write ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(pool.epoll, EPOLL_CTL_MOD, c->fd, &event))
        client_fail(c, "epoll_ctl");
    c->watches_write = write;
}

#ifdef WITH_TLS
static ssize_t tls_result(struct client *c, int n)
{
    if (n > 0)
        return n;
    int error = SSL_get_error(c->tls, n);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        errno = EAGAIN;
        return -1;
    }
    return error == SSL_ERROR_ZERO_RETURN ? 0 : (errno = EIO, -1);
}
#endif

static ssize_t raw_send(struct client *c, const void *data, size_t size)
{
#ifdef WITH_TLS
    if (c->tls)
        return tls_result(c, SSL_write(c->tls, data, (int)size));
#endif
    return send(c->fd, data, size, MSG_NOSIGNAL);
}

static ssize_t raw_receive(struct client *c)
{
#ifdef WITH_TLS
    if (c->tls)
        return tls_result(c, SSL_read(c->tls, read_buffer, READ_SIZE));
#endif
    return recv(c->fd, read_buffer, READ_SIZE, 0);
}

static void keep_pending(struct client *c, const uint8_t *data, size_t size)
{
    size_t waiting = c->pending_size - c->pending_sent;
    if (c->pending_sent)
        memmove(c->pending, c->pending + c->pending_sent, waiting);
    if (waiting + size > c->pending_capacity) {
        c->pending_capacity = waiting + size;
        c->pending = realloc(c->pending, c->pending_capacity);
        if (!c->pending)
            die("out of memory");
    }
    memcpy(c->pending + waiting, data, size);
    c->pending_size = waiting + size;
    c->pending_sent = 0;
    watch(c, true);
}

void client_send(struct client *c, const void *data, size_t size)
{
    if (c->phase == CLOSED || !size)
        return;
    ssize_t n = c->pending_size ? 0 : raw_send(c, data, size);
    if (n < 0 && errno != EAGAIN) {
        if (c->phase == CLOSING)
            return;
        client_fail(c, strerror(errno));
    }
    size_t taken = n > 0 ? (size_t)n : 0;
    if (taken < size)
        keep_pending(c, (const uint8_t *)data + taken, size - taken);
}

static void flush(struct client *c)
{
    while (c->pending_sent < c->pending_size) {
        ssize_t n = raw_send(c, c->pending + c->pending_sent, c->pending_size - c->pending_sent);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            client_fail(c, strerror(errno));
        c->pending_sent += (size_t)n;
    }
    c->pending_size = c->pending_sent = 0;
    watch(c, false);
}

size_t build_frame(uint8_t *out, uint8_t first, const uint8_t *payload, size_t size)
{
    uint32_t key = (uint32_t)(next_random() >> 32);
    size_t n = write_header(out, first, size, (const uint8_t *)&key);
    mask_bytes(out + n, payload, size, (const uint8_t *)&key);
    return n + size;
}

static void ask(struct client *c)
{
    char request[512], key[32] = "";
    const char *path = pool.path(c), *extension = "";
    c->phase = ASKING;
    if (pool.options->deflate)
        extension = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n", path, pool.options->port);
    if (pool.websocket || !strcmp(path, "/publish")) {
        uint64_t nonce[2] = {next_random(), (uint64_t)c->index};
        base64((const uint8_t *)nonce, sizeof nonce, key);
        n += snprintf(request + n, sizeof request - (size_t)n,
                      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n%s"
                      "Sec-WebSocket-Key: %s\r\n\r\n",
                      extension, key);
    } else {
        n += snprintf(request + n, sizeof request - (size_t)n, "Accept: */*\r\n\r\n");
    }
    c->head = must_malloc(MAX_HEAD);
    memcpy(c->head, key, sizeof key);
    c->head_size = sizeof key; /* the key stands before the response head until that is checked */
    client_send(c, request, (size_t)n);
}

static void check_head(struct client *c, const char *key, const char *head, size_t size)
{
    char expected[ACCEPT_SIZE + 1];
    size_t value_size;
    if (!*key) {
        if (strncmp(head, "HTTP/1.1 200", 12))
            client_fail(c, "the response is not 200");
        return;
    }
    const char *accept = find_header(head, size, "Sec-WebSocket-Accept", &value_size);
    accept_key(key, strlen(key), expected);
    if (strncmp(head, "HTTP/1.1 101", 12))
        client_fail(c, "the response to the opening handshake is not 101");
    if (!accept || value_size != ACCEPT_SIZE || memcmp(accept, expected, ACCEPT_SIZE))
        client_fail(c, "wrong Sec-WebSocket-Accept");
}

static void take_head(struct client *c, const uint8_t *data, size_t size)
{
    enum { KEY = 32 };
    if (c->head_size + size > MAX_HEAD)
        client_fail(c, "response head too long");
    memcpy(c->head + c->head_size, data, size);
    c->head_size += size;
    char *head = c->head + KEY, *end = memmem(head, c->head_size - KEY, "\r\n\r\n", 4);
    if (!end)
        return;
    size_t head_size = (size_t)(end - head) + 4, rest = c->head_size - KEY - head_size;
    char *whole = c->head;
    check_head(c, whole, head, head_size);
    c->head = NULL;
    c->phase = OPEN;
    pool.open++;
    if (pool.on_open)
        pool.on_open(c, head, head_size);
    if (rest)
        pool.on_data(c, (uint8_t *)head + head_size, rest);
    free(whole);
}

static void secure(struct client *c)
{
#ifdef WITH_TLS
    int n = SSL_connect(c->tls);
    if (n != 1) {
        if (tls_result(c, n) < 0 && errno == EAGAIN)
            return;
        client_fail(c, "TLS handshake");
    }
#endif
    ask(c);
}

static void connected(struct client *c)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error)
        client_fail(c, strerror(error));
    watch(c, false);
#ifdef WITH_TLS
    if (pool.tls) {
        c->tls = SSL_new(pool.tls);
        SSL_set_fd(c->tls, c->fd);
        c->phase = SECURING;
        secure(c);
        return;
    }
#endif
    ask(c);
}

static void read_ready(struct client *c)
{
    do {
        ssize_t n = raw_receive(c);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            if (c->phase != CLOSING)
                client_fail(c, n ? strerror(errno) : "the server closed the connection");
            drop(c);
            return;
        }
        if (c->phase == ASKING)
            take_head(c, read_buffer, (size_t)n);
        else if (c->phase == OPEN)
            pool.on_data(c, read_buffer, (size_t)n);
    } while (c->tls && c->phase != CLOSED); /* TLS keeps decrypted bytes that epoll does not know of */
}

void pool_turn(int timeout_ms)
{
    struct epoll_event events[BATCH];
    int n = epoll_wait(pool.epoll, events, BATCH, pool.options->spin ? 0 : timeout_ms);
    for (int i = 0; i < n; i++) {
        struct client *c = events[i].data.ptr;
        if (c->phase == CLOSED)
            continue;
        if (c->phase == CONNECTING) {
            connected(c);
            continue;
        }
        if (c->phase == SECURING) {
            secure(c);
            continue;
        }
        if (events[i].events & EPOLLOUT && c->pending_size)
            flush(c);
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            read_ready(c);
    }
}

void pool_prepare(const struct options *options, int count)
{
    raise_file_limit();
    pool.options = options;
    pool.count = count;
    pool.clients = calloc((size_t)count, sizeof *pool.clients);
    pool.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!pool.clients || pool.epoll < 0)
        die("out of memory");
#ifdef WITH_TLS
    if (options->tls && !(pool.tls = SSL_CTX_new(TLS_client_method())))
        die("no TLS context");
    if (pool.tls)
        SSL_CTX_set_mode(pool.tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
#else
    if (options->tls)
        die("built without TLS: install the development files of OpenSSL");
#endif
}

static void start(int index)
{
    struct client *c = &pool.clients[index];
    void *own = c->own;
    memset(c, 0, sizeof *c);
    c->own = own;
    c->index = index;
    c->fd = start_connect(pool.options->port);
    c->watches_write = true;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    if (epoll_ctl(pool.epoll, EPOLL_CTL_ADD, c->fd, &event))
        client_fail(c, "epoll_ctl");
}

void pool_open(int from, int to, int at_once)
{
    uint64_t deadline = now_ns() + OPEN_SECONDS * 1000000000ull;
    int before = pool.open, next = from;
    while (pool.open - before < to - from) {
        while (next < to && (next - from) - (pool.open - before) < at_once)
            start(next++);
        pool_turn(100);
        if (now_ns() > deadline)
            die("%d of %d connections open after %d s", pool.open - before, to - from, OPEN_SECONDS);
    }
}

void pool_stop(const uint64_t *sent, const uint64_t *done)
{
    uint64_t deadline = now_ns() + CLOSE_SECONDS * 1000000000ull;
    pool.stopping = true;
    while (*done < *sent && now_ns() < deadline)
        pool_turn(100);
    if (*done < *sent)
        die("%llu replies are missing", (unsigned long long)(*sent - *done));
}

void pool_close(void)
{
    uint64_t deadline = now_ns() + CLOSE_SECONDS * 1000000000ull;
    uint8_t frame[16];
    for (int i = 0; i < pool.count; i++) {
        struct client *c = &pool.clients[i];
        if (c->phase != OPEN)
            continue;
        c->phase = CLOSING;
        if (pool.websocket)
            client_send(c, frame, build_frame(frame, FIN | OP_CLOSE, (const uint8_t *)"\x03\xe8", 2));
        else
            drop(c);
    }
    while (pool.open && now_ns() < deadline)
        pool_turn(100);
    for (int i = 0; i < pool.count; i++)
        if (pool.clients[i].phase == CLOSING)
            drop(&pool.clients[i]);
}

/* Collects the header; returns the bytes taken from data. */
static size_t take_header(struct client *c, const uint8_t *data, size_t size, const struct frame_handler *handler)
{
    struct reader *r = &c->reader;
    size_t used = 0;
    while (used < size && (r->have < 2 || r->have < header_size(r->header)))
        r->header[r->have++] = data[used++];
    if (r->have < 2 || r->have < header_size(r->header))
        return used;
    if (r->header[1] & MASKED)
        client_fail(c, "a masked frame came from the server");
    r->left = payload_length(r->header);
    r->position = 0;
    r->in_payload = true;
    if ((r->header[0] & 15) < OP_CLOSE)
        handler->begin(c, r->header[0], r->left);
    else if ((r->header[0] & 15) == OP_CLOSE && c->phase == OPEN)
        client_fail(c, "the server sent a close frame");
    return used;
}

/* Control frames are passed over: a ping of a run of seconds needs no pong. */
void read_frames(struct client *c, uint8_t *data, size_t size, const struct frame_handler *handler)
{
    struct reader *r = &c->reader;
    while (size || (r->in_payload && !r->left)) {
        if (!r->in_payload) {
            size_t used = take_header(c, data, size, handler);
            data += used;
            size -= used;
            continue;
        }
        bool is_data = (r->header[0] & 15) < OP_CLOSE;
        size_t n = r->left < size ? (size_t)r->left : size;
        if (is_data && n)
            handler->data(c, r->position, data, n);
        r->position += n;
        r->left -= n;
        data += n;
        size -= n;
        if (r->left)
            return;
        r->in_payload = false;
        r->have = 0;
        if (is_data)
            handler->end(c, r->header[0]);
    }
}
