/* The C kernels of the WebSocket codecs: masking (_mask.h) and the UTF-8 check (_utf8.h); and each masking path by its
 * number, for tests and measurements. */
#ifndef ELIO_KERNELS_H
#define ELIO_KERNELS_H

#include "_mask.h"
#include "_utf8.h"

#define ELIO_PATHS 4

/* The name of a masking path; NULL if this processor or this build does not have it. */
static inline const char *elio_path_name(int path)
{
    if (path == 0)
        return "words";
#ifdef ELIO_SSE2
    if (path == 1)
        return "sse2";
#endif
#ifdef ELIO_AVX2
    if (path == 2)
        return __builtin_cpu_supports("avx2") ? "avx2" : NULL;
#endif
#ifdef ELIO_NEON
    if (path == 3)
        return "neon";
#endif
    return NULL;
}

/* The fewest bytes the path can mask. */
static inline size_t elio_path_width(int path) { return path == 0 ? 8 : path == 2 ? 32 : 16; }

/* elio_mask by a path that has a name, for at least as many bytes as it is wide. */
static inline int elio_mask_by(int path, unsigned char *dst, const unsigned char *src, size_t n, uint32_t key)
{
#ifdef ELIO_SSE2
    if (path == 1)
        return elio_mask_sse2(dst, src, n, key);
#endif
#ifdef ELIO_AVX2
    if (path == 2)
        return elio_mask_avx2(dst, src, n, key);
#endif
#ifdef ELIO_NEON
    if (path == 3)
        return elio_mask_neon(dst, src, n, key);
#endif
    (void)path;
    return elio_mask_words(dst, src, n, key);
}

#endif
