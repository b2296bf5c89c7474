/* The load: one thread, one epoll set, WebSocket, event-stream and HTTP clients to a server on the loopback interface.
 *
 * usage: load MODE --port N [options], where MODE is
 *   echo       messages there and back, --in-flight of them on each of --connections
 *   get        HTTP GET / on kept connections
 *   broadcast  WebSocket receivers (/receive) and one publisher (/publish)
 *   sse        event streams (/events) and one publisher (/publish)
 *   handshake  batches of --connections opening handshakes, --in-flight at once
 *   idle-ws, idle-sse  opens connections
 * and the options are --connections --in-flight --size (bytes) --seconds --warmup --pid (a server process whose CPU time
 * is read at both ends of the measured window; may be repeated) --text --json --deflate --tls --spin (never sleep)
 * --hold (after the result, keep everything open until standard input ends).
 *
 * Every reply is checked; the first wrong one ends the process with status 1 and a reason on stderr. The result is one
 * line of JSON on stdout. Everything is bounded: connections, messages in flight, and all waiting. */
#define _GNU_SOURCE
#include "native/modes.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SECONDS = 300, MAX_SIZE = 16 << 20 };

static const struct option long_options[] = {
    {"port", required_argument, NULL, 'p'},      {"connections", required_argument, NULL, 'c'},
    {"in-flight", required_argument, NULL, 'f'}, {"size", required_argument, NULL, 's'},
    {"seconds", required_argument, NULL, 't'},   {"warmup", required_argument, NULL, 'w'},
    {"pid", required_argument, NULL, 'P'},       {"text", no_argument, NULL, 'T'},
    {"json", no_argument, NULL, 'J'},            {"deflate", no_argument, NULL, 'D'},
    {"tls", no_argument, NULL, 'S'},             {"spin", no_argument, NULL, 'X'},
    {"hold", no_argument, NULL, 'H'},            {NULL, 0, NULL, 0},
};

static int bounded(const char *text, const char *name, int low, int high)
{
    int value = atoi(text);
    if (value < low || value > high)
        die("%s must be %d to %d", name, low, high);
    return value;
}

static void take_option(struct options *o, int letter)
{
    switch (letter) {
    case 'p': o->port = (uint16_t)bounded(optarg, "port", 1, 65535); break;
    case 'c': o->connections = bounded(optarg, "connections", 1, MAX_CONNECTIONS); break;
    case 'f': o->in_flight = bounded(optarg, "in-flight", 1, MAX_IN_FLIGHT); break;
    case 's': o->size = bounded(optarg, "size", 1, MAX_SIZE); break;
    case 't': o->seconds = atof(optarg); break;
    case 'w': o->warmup = atof(optarg); break;
    case 'P':
        if (o->pid_count == MAX_PIDS)
            die("more than %d processes", MAX_PIDS);
        o->pids[o->pid_count++] = atoi(optarg);
        break;
    case 'T': o->text = true; break;
    case 'J': o->json = true; break;
    case 'D': o->deflate = true; break;
    case 'S': o->tls = true; break;
    case 'X': o->spin = true; break;
    case 'H': o->hold = true; break;
    default: die("see the head of load.c for the options");
    }
}

static struct options read_options(int argc, char **argv)
{
    struct options o = {.connections = 64, .in_flight = 1, .size = 32, .seconds = 1, .warmup = 0.3};
    if (argc < 2)
        die("usage: load MODE --port N [options]");
    o.mode = argv[1];
    for (int letter; (letter = getopt_long(argc - 1, argv + 1, "", long_options, NULL)) != -1;)
        take_option(&o, letter);
    if (!o.port || o.seconds <= 0 || o.seconds > MAX_SECONDS || o.warmup < 0 || o.warmup > MAX_SECONDS)
        die("--port is needed; seconds are 0 to %d", MAX_SECONDS);
    if (o.json && o.size < 256)
        die("a JSON document has at least 256 bytes");
    return o;
}

static void run(const struct options *o, struct window *window)
{
    if (!strcmp(o->mode, "echo"))
        run_echo(window);
    else if (!strcmp(o->mode, "get"))
        run_get(window);
    else if (!strcmp(o->mode, "broadcast") || !strcmp(o->mode, "sse"))
        run_fanout(window, *o->mode == 's');
    else if (!strcmp(o->mode, "handshake"))
        run_handshake(window);
    else if (!strcmp(o->mode, "idle-ws") || !strcmp(o->mode, "idle-sse"))
        run_idle(!strcmp(o->mode, "idle-sse"));
    else
        die("no mode %s", o->mode);
}

static void print_result(const struct options *o, const struct window *w)
{
    double seconds = (double)(w->ended - w->started) / 1e9, count = w->count ? (double)w->count : 1;
    printf("{\"mode\": \"%s\", \"connections\": %d, \"messages\": %llu, \"seconds\": %.4f, \"per_second\": %.1f, "
           "\"cpu_us\": %.4f, \"cpu_share\": %.4f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"wire_bytes\": %.1f}\n",
           o->mode, pool.open, (unsigned long long)w->count, seconds, seconds > 0 ? count / seconds : 0,
           (double)w->cpu / 1000 / count, seconds > 0 ? (double)w->cpu / 1e9 / seconds : 0,
           histogram_percentile_us(0.5), histogram_percentile_us(0.99), (double)w->bytes / count);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct options o = read_options(argc, argv);
    struct window window = {0};
    bool fans_out = !strcmp(o.mode, "broadcast") || !strcmp(o.mode, "sse");
    alarm((unsigned)(o.seconds + o.warmup) + 180);
    pool_prepare(&o, o.connections + (fans_out ? 1 : 0));
    payloads_prepare(&o);
    run(&o, &window);
    print_result(&o, &window);
    if (o.hold) {
        char byte;
        alarm(MAX_SECONDS);
        while (read(STDIN_FILENO, &byte, 1) > 0)
            continue;
    }
    pool_close();
    return 0;
}
