#define _GNU_SOURCE
#include "modes.h"

#include <stdlib.h>
#include <string.h>

#ifdef WITH_DEFLATE
#include <zlib.h>

struct deflater {
    z_stream out, in;
    bool reset_out, reset_in; /* no context takeover */
};

static int window_bits(const char *extensions, size_t size, const char *name)
{
    const char *at = memmem(extensions, size, name, strlen(name));
    if (!at || at[strlen(name)] != '=')
        return 15;
    int bits = atoi(at + strlen(name) + 1);
    return bits < 9 ? 9 : bits > 15 ? 15 : bits;
}

struct deflater *deflater_new(const char *head, size_t head_size)
{
    size_t size;
    const char *extensions = find_header(head, head_size, "Sec-WebSocket-Extensions", &size);
    if (!extensions || !memmem(extensions, size, "permessage-deflate", 18))
        die("the server did not accept permessage-deflate");
    struct deflater *d = calloc(1, sizeof *d);
    if (!d)
        die("out of memory");
    d->reset_out = memmem(extensions, size, "client_no_context_takeover", 26);
    d->reset_in = memmem(extensions, size, "server_no_context_takeover", 26);
    int bits = window_bits(extensions, size, "client_max_window_bits");
    if (deflateInit2(&d->out, 6, Z_DEFLATED, -bits, 8, Z_DEFAULT_STRATEGY) != Z_OK || inflateInit2(&d->in, -15) != Z_OK)
        die("zlib");
    return d;
}

size_t deflater_pack(struct deflater *d, const uint8_t *payload, size_t size, uint8_t *out, size_t room)
{
    d->out.next_in = (Bytef *)payload;
    d->out.avail_in = (uInt)size;
    d->out.next_out = out;
    d->out.avail_out = (uInt)room;
    if (deflate(&d->out, Z_SYNC_FLUSH) != Z_OK || d->out.avail_in || !d->out.avail_out)
        die("zlib deflate");
    if (d->reset_out)
        deflateReset(&d->out);
    return room - d->out.avail_out - 4; /* RFC 7692 7.2.1: without the last four bytes */
}

ssize_t deflater_check(struct deflater *d, const uint8_t *data, size_t size, const uint8_t *expected, size_t left)
{
    static uint8_t plain[64 * 1024];
    size_t good = 0;
    d->in.next_in = (Bytef *)data;
    d->in.avail_in = (uInt)size;
    do {
        d->in.next_out = plain;
        d->in.avail_out = sizeof plain;
        int result = inflate(&d->in, Z_SYNC_FLUSH);
        size_t n = sizeof plain - d->in.avail_out;
        if ((result != Z_OK && result != Z_BUF_ERROR) || n > left - good || memcmp(plain, expected + good, n))
            return -1;
        good += n;
    } while (d->in.avail_in || !d->in.avail_out);
    return (ssize_t)good;
}

void deflater_end(struct deflater *d)
{
    if (d->reset_in)
        inflateReset(&d->in);
}

#else

struct deflater *deflater_new(const char *head, size_t head_size)
{
    (void)head;
    (void)head_size;
    die("built without permessage-deflate: install the development files of zlib");
}

size_t deflater_pack(struct deflater *d, const uint8_t *payload, size_t size, uint8_t *out, size_t room)
{
    (void)d, (void)payload, (void)size, (void)out, (void)room;
    return 0;
}

ssize_t deflater_check(struct deflater *d, const uint8_t *data, size_t size, const uint8_t *expected, size_t left)
{
    (void)d, (void)data, (void)size, (void)expected, (void)left;
    return -1;
}

void deflater_end(struct deflater *d)
{
    (void)d;
}
#endif
