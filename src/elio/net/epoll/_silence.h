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

/* Nothing at all was acknowledged for so many milliseconds, though probes go out more often than that. Where a slow
 * reader has closed its window they do not: bytes wait then, and none is on its way. */
static inline int elio_is_silent(int fd, uint32_t milliseconds)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    int waiting = 0;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return 0;
    if (info.tcpi_last_ack_recv < milliseconds || info.tcpi_state != TCP_ESTABLISHED)
        return 0;
    return info.tcpi_unacked > 0 || (ioctl(fd, SIOCOUTQ, &waiting) == 0 && waiting == 0);
}

#endif
