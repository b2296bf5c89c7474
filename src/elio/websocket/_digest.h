/* The digest of the opening handshake (RFC 6455 4.2.2): SHA-1 (RFC 3174) of a key and a constant, in base64 (RFC 4648).
 * No Python objects, no allocation. SHA-1 protects nothing here: it shows that a server has understood the request. */
#ifndef ELIO_DIGEST_H
#define ELIO_DIGEST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ELIO_KEY_SIZE 24
#define ELIO_ACCEPT_SIZE 28
#define ELIO_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

static inline uint32_t elio_rotate(uint32_t word, int bits) { return word << bits | word >> (32 - bits); }

/* Unrolled, the five variables need not be moved from one to the next: half of the instructions. */
#ifdef __GNUC__
#define ELIO_UNROLL _Pragma("GCC unroll 20")
#else
#define ELIO_UNROLL
#endif

/* Steps of RFC 3174 6.1 (method 1) over the words from `first` on, which have one function and one constant. */
#define ELIO_SHA1_STEPS(first, function, constant)                                                                     \
    ELIO_UNROLL for (int t = first; t < first + 20; t++)                                                               \
    {                                                                                                                  \
        uint32_t mixed = elio_rotate(a, 5) + (function) + e + w[t] + constant;                                         \
        e = d, d = c, c = elio_rotate(b, 30), b = a, a = mixed;                                                        \
    }

/* One block of 16 words. */
static inline void elio_sha1_block(uint32_t state[5], const uint32_t block[16])
{
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    memcpy(w, block, 16 * sizeof *w);
    for (int t = 16; t < 80; t++)
        w[t] = elio_rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    ELIO_SHA1_STEPS(0, d ^ (b & (c ^ d)), 0x5A827999u)
    ELIO_SHA1_STEPS(20, b ^ c ^ d, 0x6ED9EBA1u)
    ELIO_SHA1_STEPS(40, (b & c) | (d & (b | c)), 0x8F1BBCDCu)
    ELIO_SHA1_STEPS(60, b ^ c ^ d, 0xCA62C1D6u)
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

static inline uint32_t elio_big_endian(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static const char elio_base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* 24 bytes of key and 36 of the constant fill one block but for the 1 bit; the length stands in the next (RFC 3174 4). */
static inline void elio_accept(const char *key, char out[ELIO_ACCEPT_SIZE])
{
    uint32_t state[5] = {0x67452301u, 0xEFCDAB89u, 0x98BADCFEu, 0x10325476u, 0xC3D2E1F0u}, words[16];
    unsigned char text[64] = {0}, digest[21];
    memcpy(text, key, ELIO_KEY_SIZE);
    memcpy(text + ELIO_KEY_SIZE, ELIO_GUID, sizeof ELIO_GUID - 1);
    text[60] = 0x80;
    for (int i = 0; i < 16; i++)
        words[i] = elio_big_endian(text + 4 * i);
    elio_sha1_block(state, words);
    memset(words, 0, sizeof words);
    words[15] = 60 * 8;
    elio_sha1_block(state, words);
    for (int i = 0; i < 20; i++)
        digest[i] = (unsigned char)(state[i / 4] >> (24 - 8 * (i % 4)));
    digest[20] = 0;
    for (int i = 0; i < 7; i++) {
        uint32_t three = elio_big_endian((const unsigned char[]){0, digest[3 * i], digest[3 * i + 1], digest[3 * i + 2]});
        for (int place = 0; place < 4; place++)
            out[4 * i + place] = elio_base64[three >> (18 - 6 * place) & 63];
    }
    out[ELIO_ACCEPT_SIZE - 1] = '=';
}

/* Base64 of 16 bytes. The last digit carries four bits that say nothing; the example of RFC 6455 4.1 has them set. */
static inline int elio_is_key(const char *text, size_t size)
{
    if (size != ELIO_KEY_SIZE || text[22] != '=' || text[23] != '=')
        return 0;
    for (size_t i = 0; i < 22; i++) {
        char c = text[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/'))
            return 0;
    }
    return 1;
}

#endif
