/* WebSocket echo: `in_flight` messages on each connection; every reply is compared byte by byte with what was sent. */
#include "modes.h"

#include <stdlib.h>
#include <string.h>

struct echo {
    uint64_t sent, received;
    const uint8_t *expected;
    size_t size, checked;
    struct deflater *deflater;
    uint64_t sent_at[]; /* of the messages in flight */
};

static uint8_t *scratch;
static size_t scratch_room;
static uint8_t first_byte;
static uint64_t total_sent;

static struct echo *echo_of(struct client *c)
{
    return c->own;
}

static size_t build_message(struct client *c, uint8_t *out)
{
    static uint8_t packed[256 * 1024];
    struct echo *e = echo_of(c);
    size_t size;
    const uint8_t *payload = payload_of((uint32_t)c->index, e->sent++, &size);
    if (!e->deflater)
        return build_frame(out, first_byte, payload, size);
    size = deflater_pack(e->deflater, payload, size, packed, sizeof packed);
    return build_frame(out, first_byte | RSV1, packed, size);
}

/* Sends until `in_flight` messages are on their way, in one write. */
static void refill(struct client *c)
{
    struct echo *e = echo_of(c);
    uint64_t window = (uint64_t)pool.options->in_flight, now = now_ns();
    size_t n = 0;
    while (!pool.stopping && e->sent - e->received < window) {
        total_sent++;
        e->sent_at[e->sent % window] = now;
        n += build_message(c, scratch + n);
    }
    client_send(c, scratch, n);
}

static void begin(struct client *c, uint8_t first, uint64_t length)
{
    struct echo *e = echo_of(c);
    if (e->received == e->sent)
        client_fail(c, "a message that was not asked for");
    if ((first & ~RSV1) != first_byte || (first & RSV1 && !e->deflater))
        client_fail(c, "wrong first byte of a frame");
    e->expected = payload_of((uint32_t)c->index, e->received, &e->size);
    e->checked = 0;
    if (!(first & RSV1) && length != e->size)
        client_fail(c, "wrong length");
}

static void check(struct client *c, uint64_t position, uint8_t *data, size_t size)
{
    struct echo *e = echo_of(c);
    wire_bytes += size;
    if (!(c->reader.header[0] & RSV1)) {
        if (memcmp(e->expected + position, data, size))
            client_fail(c, "wrong payload");
        e->checked += size;
        return;
    }
    ssize_t n = deflater_check(e->deflater, data, size, e->expected + e->checked, e->size - e->checked);
    if (n < 0)
        client_fail(c, "wrong compressed payload");
    e->checked += (size_t)n;
}

static void end(struct client *c, uint8_t first)
{
    struct echo *e = echo_of(c);
    if (first & RSV1) {
        uint8_t tail[4] = {0, 0, 0xff, 0xff};
        check(c, 0, tail, 4);
        wire_bytes -= 4;
        deflater_end(e->deflater);
    }
    if (e->checked != e->size)
        client_fail(c, "a message came back shorter");
    histogram_add(now_ns() - e->sent_at[e->received++ % (uint64_t)pool.options->in_flight]);
    message_count++;
}

static void on_data(struct client *c, uint8_t *data, size_t size)
{
    static const struct frame_handler handler = {begin, check, end};
    read_frames(c, data, size, &handler);
    if (c->phase == OPEN)
        refill(c);
}

static void on_open(struct client *c, const char *head, size_t head_size)
{
    if (pool.options->deflate)
        echo_of(c)->deflater = deflater_new(head, head_size);
}

static const char *path(const struct client *c)
{
    (void)c;
    return "/ws";
}

void run_echo(struct window *window)
{
    const struct options *o = pool.options;
    size_t in_flight = (size_t)o->in_flight;
    first_byte = FIN | (o->text || o->json ? OP_TEXT : OP_BINARY);
    scratch_room = in_flight * ((size_t)o->size + 1024);
    scratch = must_malloc(scratch_room);
    for (int i = 0; i < pool.count; i++)
        if (!(pool.clients[i].own = calloc(1, sizeof(struct echo) + in_flight * sizeof(uint64_t))))
            die("out of memory");
    pool.path = path;
    pool.websocket = true;
    pool.on_open = on_open;
    pool.on_data = on_data;
    pool_open(0, pool.count, 64);
    for (int i = 0; i < pool.count; i++)
        refill(&pool.clients[i]);
    measure(window);
    pool_stop(&total_sent, &message_count);
}
