/* Masking (RFC 6455 5.3) and the question whether the result is ASCII, in one pass.
 *
 * Plain C11: no Python.h, no allocation, no state. A payload of at least one vector goes through the widest vectors the
 * processor has (AVX2 asked for at run time, SSE2 and NEON known at compile time, 64-bit words elsewhere), a shorter one
 * through two words that overlap. `dst` may be `src` or lie below it, else the two must not overlap: every step loads
 * before it stores, and the last vector, which overlaps the one before it, is loaded before anything is stored.
 *
 * A key travels as a uint32_t holding its four bytes as they stand in memory. */
#ifndef ELIO_MASK_H
#define ELIO_MASK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) || defined(_M_X64)
#define ELIO_SSE2 1
#include <emmintrin.h>
#elif defined(__aarch64__) || defined(_M_ARM64)
#define ELIO_NEON 1
#include <arm_neon.h>
#endif
#if defined(__x86_64__) && defined(__GNUC__) && !defined(_MSC_VER)
#define ELIO_AVX2 1
#include <immintrin.h>
#endif

/* The key as it applies `offset` bytes further on. */
static inline uint32_t elio_rotate_key(uint32_t key, size_t offset)
{
    const unsigned bits = 8 * (unsigned)(offset & 3);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return key << bits | key >> (-bits & 31);
#else
    return key >> bits | key << (-bits & 31);
#endif
}

static inline uint32_t elio_load_key(const unsigned char *key, size_t offset)
{
    uint32_t word;
    memcpy(&word, key, 4);
    return elio_rotate_key(word, offset);
}

static inline uint64_t elio_load_word(const unsigned char *p)
{
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

static inline void elio_store_word(unsigned char *p, uint64_t word) { memcpy(p, &word, 8); }

/* NAME(dst, src, n, key) masks n bytes, n >= sizeof(V); returns nonzero if a byte above 0x7f was written. */
#define ELIO_DEFINE_MASK(NAME, ATTRIBUTES, V, LOAD, STORE, XOR, OR, SPLAT, ABOVE_ASCII)                                \
    ATTRIBUTES static int NAME(unsigned char *dst, const unsigned char *src, size_t n, uint32_t key)                   \
    {                                                                                                                  \
        const size_t w = sizeof(V);                                                                                    \
        const V k = SPLAT(key);                                                                                        \
        const V last = XOR(LOAD(src + n - w), SPLAT(elio_rotate_key(key, n)));                                         \
        V seen = last;                                                                                                 \
        size_t i = 0;                                                                                                  \
        for (; n - i >= 4 * w; i += 4 * w) {                                                                           \
            const V a = XOR(LOAD(src + i), k), b = XOR(LOAD(src + i + w), k);                                          \
            const V c = XOR(LOAD(src + i + 2 * w), k), d = XOR(LOAD(src + i + 3 * w), k);                              \
            STORE(dst + i, a), STORE(dst + i + w, b), STORE(dst + i + 2 * w, c), STORE(dst + i + 3 * w, d);            \
            seen = OR(seen, OR(OR(a, b), OR(c, d)));                                                                   \
        }                                                                                                              \
        for (; n - i > w; i += w) {                                                                                    \
            const V a = XOR(LOAD(src + i), k);                                                                         \
            STORE(dst + i, a);                                                                                         \
            seen = OR(seen, a);                                                                                        \
        }                                                                                                              \
        STORE(dst + n - w, last);                                                                                      \
        return ABOVE_ASCII(seen);                                                                                      \
    }

#define ELIO_XOR(a, b) ((a) ^ (b))
#define ELIO_OR(a, b) ((a) | (b))
#define ELIO_WORD_SPLAT(key) ((key) * UINT64_C(0x100000001))
#define ELIO_WORD_ABOVE_ASCII(v) (((v) & UINT64_C(0x8080808080808080)) != 0)
ELIO_DEFINE_MASK(elio_mask_words, , uint64_t, elio_load_word, elio_store_word, ELIO_XOR, ELIO_OR, ELIO_WORD_SPLAT,
                 ELIO_WORD_ABOVE_ASCII)

#ifdef ELIO_SSE2
#define ELIO_SSE2_LOAD(p) _mm_loadu_si128((const __m128i *)(p))
#define ELIO_SSE2_STORE(p, v) _mm_storeu_si128((__m128i *)(p), v)
#define ELIO_SSE2_SPLAT(key) _mm_set1_epi32((int)(key))
#define ELIO_SSE2_ABOVE_ASCII(v) (_mm_movemask_epi8(v) != 0)
ELIO_DEFINE_MASK(elio_mask_sse2, , __m128i, ELIO_SSE2_LOAD, ELIO_SSE2_STORE, _mm_xor_si128, _mm_or_si128,
                 ELIO_SSE2_SPLAT, ELIO_SSE2_ABOVE_ASCII)
#endif

#ifdef ELIO_AVX2
#define ELIO_AVX2_LOAD(p) _mm256_loadu_si256((const __m256i *)(p))
#define ELIO_AVX2_STORE(p, v) _mm256_storeu_si256((__m256i *)(p), v)
#define ELIO_AVX2_SPLAT(key) _mm256_set1_epi32((int)(key))
#define ELIO_AVX2_ABOVE_ASCII(v) (_mm256_movemask_epi8(v) != 0)
ELIO_DEFINE_MASK(elio_mask_avx2, __attribute__((target("avx2"))), __m256i, ELIO_AVX2_LOAD, ELIO_AVX2_STORE,
                 _mm256_xor_si256, _mm256_or_si256, ELIO_AVX2_SPLAT, ELIO_AVX2_ABOVE_ASCII)
#endif

#ifdef ELIO_NEON
#define ELIO_NEON_SPLAT(key) vreinterpretq_u8_u32(vdupq_n_u32(key))
#define ELIO_NEON_ABOVE_ASCII(v) (vmaxvq_u8(v) > 0x7f)
ELIO_DEFINE_MASK(elio_mask_neon, , uint8x16_t, vld1q_u8, vst1q_u8, veorq_u8, vorrq_u8, ELIO_NEON_SPLAT,
                 ELIO_NEON_ABOVE_ASCII)
#endif

/* Fewer than eight bytes. */
static inline int elio_mask_few(unsigned char *dst, const unsigned char *src, size_t n, uint32_t key)
{
    unsigned char bytes[4], seen = 0;
    memcpy(bytes, &key, 4);
    for (size_t i = 0; i < n; i++)
        seen |= dst[i] = src[i] ^ bytes[i & 3];
    return seen > 0x7f;
}

/* Mask n bytes from src to dst; returns nonzero if a byte above 0x7f was written, so zero means ASCII. */
static inline int elio_mask(unsigned char *dst, const unsigned char *src, size_t n, uint32_t key)
{
    if (n < 8)
        return elio_mask_few(dst, src, n, key);
    if (n < 16)
        return elio_mask_words(dst, src, n, key);
#ifdef ELIO_AVX2
    if (n >= 64 && __builtin_cpu_supports("avx2"))
        return elio_mask_avx2(dst, src, n, key);
#endif
#if defined(ELIO_SSE2)
    return elio_mask_sse2(dst, src, n, key);
#elif defined(ELIO_NEON)
    return elio_mask_neon(dst, src, n, key);
#else
    return elio_mask_words(dst, src, n, key);
#endif
}

#endif
