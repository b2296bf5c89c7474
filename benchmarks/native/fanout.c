/* One publisher, many receivers (WebSockets or event streams). The publisher is at most `in_flight` messages ahead of
 * the slowest receiver; every delivery is counted and compared with what was published. */
#define _GNU_SOURCE
#include "modes.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 4096 };

struct receiver {
    uint64_t received;
    bool ready;
    const uint8_t *expected;
    /* event streams only: chunked framing and lines */
    bool chunked, skip_line_end, has_data;
    char size_line[16];
    size_t size_line_size, chunk_left, line_size;
    char line[MAX_LINE];
};

static const char READY[] = "ready";
static uint64_t published, completed, published_at[MAX_IN_FLIGHT];
static int deliveries[MAX_IN_FLIGHT], receiver_count, ready_count;
static size_t payload_size;

static struct receiver *receiver_of(struct client *c)
{
    return c->own;
}

static void publish(void)
{
    static uint8_t frames[256 * 1024];
    uint64_t window = (uint64_t)pool.options->in_flight, now = now_ns();
    size_t n = 0;
    if (ready_count < receiver_count || pool.stopping)
        return;
    while (published - completed < window && n + payload_size + MAX_HEADER <= sizeof frames) {
        size_t size;
        const uint8_t *payload = payload_of(0, published, &size);
        published_at[published++ % window] = now;
        n += build_frame(frames + n, FIN | OP_TEXT, payload, size);
    }
    client_send(&pool.clients[receiver_count], frames, n);
}

static void delivered(struct receiver *r)
{
    uint64_t place = r->received++ % (uint64_t)pool.options->in_flight;
    histogram_add(now_ns() - published_at[place]);
    message_count++;
    if (++deliveries[place] == receiver_count) {
        deliveries[place] = 0;
        completed++;
    }
}

/* The first message says that the server has the receiver on its list; returns what a later one must be. */
static const uint8_t *expect(struct client *c, size_t *size)
{
    struct receiver *r = receiver_of(c);
    if (!r->ready) {
        *size = sizeof READY - 1;
        return (const uint8_t *)READY;
    }
    if (r->received == published)
        client_fail(c, "more messages than were published");
    return payload_of(0, r->received, size);
}

static void accepted(struct client *c)
{
    struct receiver *r = receiver_of(c);
    if (r->ready)
        delivered(r);
    else
        ready_count++;
    r->ready = true;
}

static void frame_begin(struct client *c, uint8_t first, uint64_t length)
{
    size_t size;
    receiver_of(c)->expected = expect(c, &size);
    if (first != (FIN | OP_TEXT) || length != size)
        client_fail(c, "wrong frame header");
}

static void frame_data(struct client *c, uint64_t position, uint8_t *data, size_t size)
{
    wire_bytes += size;
    if (memcmp(receiver_of(c)->expected + position, data, size))
        client_fail(c, "wrong payload");
}

static void frame_end(struct client *c, uint8_t first)
{
    (void)first;
    accepted(c);
}

static void receive_frames(struct client *c, uint8_t *data, size_t size)
{
    static const struct frame_handler handler = {frame_begin, frame_data, frame_end};
    read_frames(c, data, size, &handler);
    publish();
}

/* Comments and the fields id, event and retry are allowed; data must be one line, the one published. */
static void take_line(struct client *c, const char *line, size_t size)
{
    struct receiver *r = receiver_of(c);
    if (size && line[size - 1] == '\r')
        size--;
    if (!size) {
        if (r->has_data)
            accepted(c);
        r->has_data = false;
        return;
    }
    if (size < 5 || memcmp(line, "data:", 5))
        return;
    size_t expected_size, skip = line[5] == ' ' && size > 5 ? 6 : 5;
    const uint8_t *expected = expect(c, &expected_size);
    if (r->has_data || size - skip != expected_size || memcmp(line + skip, expected, expected_size))
        client_fail(c, "wrong data of an event");
    r->has_data = true;
}

static void keep_line(struct client *c, const uint8_t *data, size_t size)
{
    struct receiver *r = receiver_of(c);
    if (r->line_size + size > MAX_LINE)
        client_fail(c, "line too long");
    memcpy(r->line + r->line_size, data, size);
    r->line_size += size;
}

static void take_lines(struct client *c, const uint8_t *data, size_t size)
{
    struct receiver *r = receiver_of(c);
    wire_bytes += size;
    while (size) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t n = end ? (size_t)(end - data) : size;
        if (!end || r->line_size)
            keep_line(c, data, n);
        if (!end)
            return;
        if (r->line_size)
            take_line(c, r->line, r->line_size);
        else
            take_line(c, (const char *)data, n);
        r->line_size = 0;
        data += n + 1;
        size -= n + 1;
    }
}

/* Collects "SIZE[;extension]" of a chunk up to its line feed; the line end after a chunk is an empty such line. */
static void take_size_byte(struct client *c, uint8_t byte)
{
    struct receiver *r = receiver_of(c);
    if (byte != '\n') {
        if (r->size_line_size + 1 >= sizeof r->size_line)
            client_fail(c, "chunk size too long");
        r->size_line[r->size_line_size++] = (char)byte;
        return;
    }
    r->size_line[r->size_line_size] = 0;
    r->size_line_size = 0;
    if (r->skip_line_end) {
        r->skip_line_end = false;
        return;
    }
    r->chunk_left = strtoul(r->size_line, NULL, 16);
    if (!r->chunk_left)
        client_fail(c, "the event stream ended");
}

static void receive_stream(struct client *c, uint8_t *data, size_t size)
{
    struct receiver *r = receiver_of(c);
    if (c->index == receiver_count) /* the publisher */
        return;
    while (size) {
        if (r->chunked && !r->chunk_left) {
            take_size_byte(c, *data++);
            size--;
            continue;
        }
        size_t n = !r->chunked || size < r->chunk_left ? size : r->chunk_left;
        take_lines(c, data, n);
        data += n;
        size -= n;
        if (r->chunked && !(r->chunk_left -= n))
            r->skip_line_end = true;
    }
    publish();
}

static void stream_opened(struct client *c, const char *head, size_t head_size)
{
    size_t size;
    const char *type = find_header(head, head_size, "Content-Type", &size);
    if (c->index == receiver_count)
        return;
    if (!type || strncmp(type, "text/event-stream", 17))
        client_fail(c, "the response is not an event stream");
    const char *coding = find_header(head, head_size, "Transfer-Encoding", &size);
    receiver_of(c)->chunked = coding && size == 7 && !memcmp(coding, "chunked", 7);
}

static const char *path(const struct client *c)
{
    if (c->index == receiver_count)
        return "/publish";
    return pool.websocket ? "/receive" : "/events";
}

void run_fanout(struct window *window, bool streams)
{
    size_t size;
    payload_of(0, 0, &size);
    payload_size = size;
    receiver_count = pool.count - 1;
    for (int i = 0; i < pool.count; i++)
        if (!(pool.clients[i].own = calloc(1, sizeof(struct receiver))))
            die("out of memory");
    pool.path = path;
    pool.websocket = !streams;
    pool.on_open = streams ? stream_opened : NULL;
    pool.on_data = streams ? receive_stream : receive_frames;
    pool_open(0, pool.count, 64);
    uint64_t deadline = now_ns() + 10000000000ull;
    while (ready_count < receiver_count && now_ns() < deadline)
        pool_turn(100);
    if (ready_count < receiver_count)
        die("only %d of %d receivers are on the server's list", ready_count, receiver_count);
    publish();
    measure(window);
    pool_stop(&published, &completed);
}
