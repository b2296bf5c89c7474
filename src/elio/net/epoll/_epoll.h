/* The system calls of the reactor, Linux only. Every function that can fail returns -errno; none waits, and none is
 * interrupted by a signal (EINTR). No Python objects, no allocation. */
#ifndef ELIO_EPOLL_H
#define ELIO_EPOLL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* What a connection is registered for, once. Edge-triggered, so that the set neither keeps nor asks again what is
 * served already; EPOLLRDHUP and EPOLLPRI say when a short read does not mean that the socket is empty. */
#define ELIO_CONNECTION (EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLET)
#define ELIO_NOT_DRAINED (EPOLLRDHUP | EPOLLPRI | EPOLLHUP | EPOLLERR)
#define ELIO_WRITABLE (EPOLLOUT | EPOLLHUP | EPOLLERR)

/* The address of a peer: large enough for IPv4 and IPv6, of other families only the beginning. */
typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} elio_address;

static inline int elio_watch(int set, int operation, int fd, uint32_t generation, uint32_t events)
{
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = events;
    event.data.u64 = (uint64_t)generation << 32 | (uint32_t)fd;
    return epoll_ctl(set, operation, fd, &event) < 0 ? -errno : 0;
}

static inline int elio_event_fd(const struct epoll_event *event) { return (int)(uint32_t)event->data.u64; }

static inline uint32_t elio_event_generation(const struct epoll_event *event)
{
    return (uint32_t)(event->data.u64 >> 32);
}

/* What is ready now. */
static inline int elio_poll(int set, struct epoll_event *events, int size)
{
    int count;
    do
        count = epoll_wait(set, events, size, 0);
    while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

static inline int elio_accept(int listener, elio_address *address)
{
    int fd;
    do {
        socklen_t size = sizeof *address;
        memset(address, 0, sizeof *address);
        fd = accept4(listener, &address->any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* Whether accept4 failed for a connection that is gone already, rather than for want of something (accept(2), "Error
 * handling"): the next one may be well. */
static inline int elio_lost_before_accept(int error)
{
    return error == -ECONNABORTED || error == -EPROTO || error == -ENETDOWN || error == -ENOPROTOOPT ||
           error == -EHOSTDOWN || error == -ENONET || error == -EHOSTUNREACH || error == -ENETUNREACH ||
           error == -EPERM;
}

static inline void elio_peer(int fd, elio_address *address)
{
    socklen_t size = sizeof *address;
    memset(address, 0, sizeof *address);
    if (getpeername(fd, &address->any, &size) < 0)
        address->any.sa_family = AF_UNSPEC;
}

/* Without Nagle's algorithm; accepted sockets inherit it from the listening one. */
static inline void elio_no_delay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static inline int elio_host(const elio_address *address, char text[INET6_ADDRSTRLEN])
{
    const void *host = address->any.sa_family == AF_INET ? (const void *)&address->v4.sin_addr
                                                         : (const void *)&address->v6.sin6_addr;
    return inet_ntop(address->any.sa_family, host, text, INET6_ADDRSTRLEN) != NULL;
}

static inline int elio_port(const elio_address *address)
{
    return ntohs(address->any.sa_family == AF_INET ? address->v4.sin_port : address->v6.sin6_port);
}

/* `cut` is NULL for TCP. A read from a Unix socket also ends where descriptors were sent along; they are dropped. */
static inline ssize_t elio_receive(int fd, void *buffer, size_t size, int *cut)
{
    struct iovec into = {buffer, size};
    struct msghdr message;
    ssize_t count;
    if (cut != NULL) {
        memset(&message, 0, sizeof message);
        message.msg_iov = &into;
        message.msg_iovlen = 1;
    }
    do
        count = cut == NULL ? recv(fd, buffer, size, 0) : recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (count < 0 && errno == EINTR);
    if (cut != NULL && count > 0)
        *cut = (message.msg_flags & MSG_CTRUNC) != 0;
    return count < 0 ? -errno : count;
}

static inline ssize_t elio_send(int fd, struct iovec *parts, size_t count)
{
    struct msghdr message;
    ssize_t sent;
    if (count == 1) {
        do
            sent = send(fd, parts->iov_base, parts->iov_len, MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
    } else {
        memset(&message, 0, sizeof message);
        message.msg_iov = parts;
        message.msg_iovlen = count;
        do
            sent = sendmsg(fd, &message, MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
    }
    return sent < 0 ? -errno : sent;
}

#endif
