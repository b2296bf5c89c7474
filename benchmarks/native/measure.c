#include "modes.h"

#include <stdio.h>
#include <string.h>

enum { STEP_BITS = 5, STEPS = 1 << STEP_BITS, BUCKETS = 64 * STEPS, SPAN = 64 * 1024, DOCUMENTS = 64 };

uint64_t message_count, wire_bytes;

static uint64_t histogram[BUCKETS], histogram_total;
static uint8_t *payloads;
static size_t payload_size, payload_step;
static uint32_t payload_places;

static int bucket_of(uint64_t ns)
{
    if (ns < STEPS)
        return (int)ns;
    int power = 63 - __builtin_clzll(ns);
    return (power - STEP_BITS + 1) * STEPS + (int)(ns >> (power - STEP_BITS) & (STEPS - 1));
}

static double middle_of(int bucket)
{
    if (bucket < STEPS)
        return bucket;
    int power = bucket / STEPS + STEP_BITS - 1;
    double step = (double)(1ull << (power - STEP_BITS));
    return (double)(1ull << power) + (bucket % STEPS + 0.5) * step;
}

void histogram_reset(void)
{
    memset(histogram, 0, sizeof histogram);
    histogram_total = 0;
}

void histogram_add(uint64_t ns)
{
    histogram[bucket_of(ns)]++;
    histogram_total++;
}

double histogram_percentile_us(double share)
{
    uint64_t wanted = (uint64_t)(share * (double)histogram_total), seen = 0;
    for (int i = 0; i < BUCKETS; i++)
        if ((seen += histogram[i]) > wanted)
            return middle_of(i) / 1000;
    return 0;
}

static void turn_until(uint64_t deadline)
{
    while (now_ns() < deadline)
        pool_turn(100);
}

void measure(struct window *w)
{
    const struct options *o = pool.options;
    turn_until(now_ns() + (uint64_t)(o->warmup * 1e9));
    histogram_reset();
    w->count = message_count;
    w->bytes = wire_bytes;
    w->cpu = processes_cpu_ns(o->pids, o->pid_count);
    w->started = now_ns();
    turn_until(w->started + (uint64_t)(o->seconds * 1e9));
    w->ended = now_ns();
    w->cpu = processes_cpu_ns(o->pids, o->pid_count) - w->cpu;
    w->count = message_count - w->count;
    w->bytes = wire_bytes - w->bytes;
}

/* A document like those that programs send: names repeat, values do not. Exactly `size` bytes. */
static void write_document(char *out, size_t size)
{
    static const char *names[] = {"order", "trade", "quote", "status", "update"};
    size_t n = (size_t)snprintf(out, size, "{\"type\":\"%s\",\"items\":[", names[next_random() >> 32 & 3]);
    while (n + 130 < size) {
        unsigned long long id = next_random() >> 44, price = next_random() >> 50, amount = next_random() >> 56;
        n += (size_t)snprintf(out + n, size - n,
                              "{\"id\":%llu,\"name\":\"%s\",\"price\":%llu.%02llu,\"amount\":%llu,\"active\":%s},", id,
                              names[id % 5], price / 100, price % 100, amount, id & 8 ? "true" : "false");
    }
    static const char tail[] = "null],\"note\":\"";
    memcpy(out + n, tail, sizeof tail - 1);
    n += sizeof tail - 1;
    fill_random((uint8_t *)out + n, size - n - 2, true);
    memcpy(out + size - 2, "\"}", 2);
}

void payloads_prepare(const struct options *o)
{
    payload_size = (size_t)o->size;
    payload_step = o->json ? payload_size : 1;
    payload_places = o->json ? DOCUMENTS : SPAN;
    payloads = must_malloc(payload_places * payload_step + payload_size + 1);
    if (!o->json) {
        fill_random(payloads, SPAN + payload_size, o->text);
        return;
    }
    for (uint32_t i = 0; i < DOCUMENTS; i++)
        write_document((char *)payloads + i * payload_size, payload_size);
}

const uint8_t *payload_of(uint32_t connection, uint64_t message, size_t *size)
{
    uint64_t hash = ((uint64_t)connection << 40 ^ message) * 0x9E3779B97F4A7C15ull;
    *size = payload_size;
    return payloads + (hash >> 40) % payload_places * payload_step;
}
