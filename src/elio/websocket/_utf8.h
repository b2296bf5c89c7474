/* UTF-8 checked piece by piece (RFC 3629, asked for by RFC 6455 8.1): a state goes in, the state behind the piece comes out.
 *
 * Plain C11: no Python.h, no allocation. The check fails at the first byte that cannot continue well-formed text (Unicode
 * table 3-7): after f4 the byte 90 is bad at once, not only when the character is complete.
 *
 * A state is 0 between characters, ELIO_UTF8_BAD for ever after a bad byte, and inside a character it packs how many
 * bytes are missing and which range the next of them must lie in. */
#ifndef ELIO_UTF8_H
#define ELIO_UTF8_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) || defined(_M_X64)
#include <emmintrin.h>
#elif defined(__aarch64__) || defined(_M_ARM64)
#include <arm_neon.h>
#endif

#define ELIO_UTF8_STATE(missing, low, high) ((uint32_t)(missing) << 16 | (uint32_t)(low) << 8 | (uint32_t)(high))
#define ELIO_UTF8_COMPLETE UINT32_C(0)
#define ELIO_UTF8_BAD ELIO_UTF8_STATE(0xff, 0xff, 0x00) /* a range with nothing in it */

static inline int elio_chunk_is_ascii(const unsigned char *p) /* 16 bytes */
{
#if defined(__x86_64__) || defined(_M_X64)
    return _mm_movemask_epi8(_mm_loadu_si128((const __m128i *)p)) == 0;
#elif defined(__aarch64__) || defined(_M_ARM64)
    return vmaxvq_u8(vld1q_u8(p)) < 0x80;
#else
    uint64_t words[2];
    memcpy(words, p, 16);
    return ((words[0] | words[1]) & UINT64_C(0x8080808080808080)) == 0;
#endif
}

/* The state behind the first byte of a character. */
static inline uint32_t elio_utf8_first(unsigned char c)
{
    if (c < 0x80)
        return ELIO_UTF8_COMPLETE;
    if (c < 0xc2) /* a continuation byte, or c0 and c1 of overlong forms */
        return ELIO_UTF8_BAD;
    if (c < 0xe0)
        return ELIO_UTF8_STATE(1, 0x80, 0xbf);
    if (c < 0xf0) /* e0: no overlong forms; ed: no surrogates */
        return ELIO_UTF8_STATE(2, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf);
    if (c < 0xf5) /* f0: no overlong forms; f4: nothing above U+10FFFF */
        return ELIO_UTF8_STATE(3, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf);
    return ELIO_UTF8_BAD;
}

/* The state behind one more byte. */
static inline uint32_t elio_utf8_step(uint32_t state, unsigned char c)
{
    if (state == ELIO_UTF8_COMPLETE)
        return elio_utf8_first(c);
    if (c < (state >> 8 & 0xff) || c > (state & 0xff))
        return ELIO_UTF8_BAD;
    return state >> 16 == 1 ? ELIO_UTF8_COMPLETE : ELIO_UTF8_STATE((state >> 16) - 1, 0x80, 0xbf);
}

static inline int elio_is_continuation(unsigned char c) { return (c & 0xc0) == 0x80; }

/* The size of the well-formed character at p, of which 4 bytes may be read; 0 if there is none. */
static inline size_t elio_utf8_size(const unsigned char *p)
{
    const unsigned char first = p[0], second = p[1];
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4 || !elio_is_continuation(second))
        return 0;
    if (first < 0xe0)
        return 2;
    if (!elio_is_continuation(p[2]))
        return 0;
    if (first < 0xf0)
        return (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ? 0 : 3;
    if (!elio_is_continuation(p[3]) || (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
        return 0;
    return 4;
}

/* Check n bytes behind `state`; returns the state behind them, ELIO_UTF8_BAD once a byte was bad. */
static inline uint32_t elio_utf8_check(uint32_t state, const unsigned char *p, size_t n)
{
    const unsigned char *const end = p + n;
    while (p < end && state != ELIO_UTF8_COMPLETE && state != ELIO_UTF8_BAD)
        state = elio_utf8_step(state, *p++);
    if (state != ELIO_UTF8_COMPLETE)
        return state;
    while (end - p >= 16) {
        if (elio_chunk_is_ascii(p)) {
            p += 16;
            continue;
        }
        for (const unsigned char *const stop = p + 13; p < stop;) { /* a character that starts before stop is all here */
            const size_t size = elio_utf8_size(p);
            if (size == 0)
                return ELIO_UTF8_BAD;
            p += size;
        }
    }
    while (p < end && state != ELIO_UTF8_BAD)
        state = elio_utf8_step(state, *p++);
    return state;
}

#endif
