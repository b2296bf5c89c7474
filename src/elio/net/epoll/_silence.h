/* Whether the peer's system still acknowledges what is sent to it; Linux only. No Python objects, no allocation. */
#ifndef ELIO_SILENCE_H
#define ELIO_SILENCE_H

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Lets the system probe a peer; the times are those of probe_silent_peers() in net/listen.py. */
static inline void elio_probe(int fd, uint32_t milliseconds)
{
    int on = 1, probes = 2;
    int interval = (int)((3ll * milliseconds + 5000) / 10000);
    int first = (int)(milliseconds / 1000);
    if (interval < 1)
        interval = 1;
    first -= probes * interval;
    if (first < 1)
        first = 1;
    /* In this order the first probe goes out at once if it is due: the next look must not be sooner. */
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &first, sizeof first);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

/* Nothing at all was acknowledged for so many milliseconds, though probes go out more often than that. Where a slow
 * reader has closed its window they do not: bytes wait then, and none is on its way. Who is not probed has not been
 * asked, and is from now on: a connection may have come before the server switched that on for its listening socket. */
static inline int elio_is_silent(int fd, uint32_t milliseconds)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    int waiting = 0, is_probed = 0;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return 0;
    if (info.tcpi_last_ack_recv < milliseconds || info.tcpi_state != TCP_ESTABLISHED)
        return 0;
    if (info.tcpi_unacked == 0 && (ioctl(fd, SIOCOUTQ, &waiting) < 0 || waiting > 0))
        return 0;
    size = sizeof is_probed;
    if (getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &is_probed, &size) == 0 && !is_probed) {
        elio_probe(fd, milliseconds);
        return 0;
    }
    return 1;
}

#endif
