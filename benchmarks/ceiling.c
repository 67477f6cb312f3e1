/* What the processor can multiply and add at most: loops that touch nothing but registers.
 *
 * Every loop keeps ACCUMULATORS independent chains, more than latency x ports of any processor it is meant for (4 x 2
 * on current x86), so that the multipliers never wait. The instruction sets are chosen per function and asked for at
 * run time, so one build serves every processor of its kind. */

typedef float portable __attribute__((vector_size(16)));

#define LOOP(type, accumulators, start, step)                                    \
    type chain[accumulators];                                                    \
    _Pragma("GCC unroll 32") for (int i = 0; i < (accumulators); i++) chain[i] = start; \
    for (long round = 0; round < rounds; round++) {                              \
        _Pragma("GCC unroll 32") for (int i = 0; i < (accumulators); i++) chain[i] = step; \
        /* without it a compiler may see that nobody needs the rounds */         \
        _Pragma("GCC unroll 32") for (int i = 0; i < (accumulators); i++) KEEP(chain[i]); \
    }

/* Chains end at 2 (x -> x / 2 + 1): no overflow, no denormal numbers. */

#if defined(__x86_64__)
#include <immintrin.h>
#define KEEP(value) __asm__ volatile("" : "+x"(value))

__attribute__((target("avx2,fma"))) static double f32_avx2(long rounds) {
    const __m256 half = _mm256_set1_ps(0.5f), one = _mm256_set1_ps(1.0f);
    LOOP(__m256, 12, one, _mm256_fmadd_ps(chain[i], half, one))
    return (double)rounds * 12 * 8 * 2;
}

#undef KEEP
#define KEEP(value) __asm__ volatile("" : "+v"(value))

__attribute__((target("avx512f"))) static double f32_avx512(long rounds) {
    const __m512 half = _mm512_set1_ps(0.5f), one = _mm512_set1_ps(1.0f);
    LOOP(__m512, 24, one, _mm512_fmadd_ps(chain[i], half, one))
    return (double)rounds * 24 * 16 * 2;
}

__attribute__((target("avx512f,avx512vnni"))) static double int8_vnni(long rounds) {
    const __m512i bytes = _mm512_set1_epi8(1);
    LOOP(__m512i, 24, _mm512_setzero_si512(), _mm512_dpbusd_epi32(chain[i], bytes, bytes))
    return (double)rounds * 24 * 64 * 2;
}

#if __has_include(<avx512bf16intrin.h>)
__attribute__((target("avx512f,avx512bf16"))) static double bf16_avx512(long rounds) {
    const __m512i ones = _mm512_set1_epi32(0x3f803f80); /* two times 1.0 in bf16 */
    LOOP(__m512, 24, _mm512_setzero_ps(), _mm512_dpbf16_ps(chain[i], (__m512bh)ones, (__m512bh)ones))
    return (double)rounds * 24 * 32 * 2;
}
#define BF16_RUNS __builtin_cpu_supports("avx512bf16")
#else
static double bf16_avx512(long rounds) { return (double)rounds * 0; }
#define BF16_RUNS 0
#endif

#undef KEEP
#define KEEP(value) __asm__ volatile("" : "+x"(value))
#elif defined(__aarch64__)
#define KEEP(value) __asm__ volatile("" : "+w"(value))
#else
#define KEEP(value) __asm__ volatile("" : "+m"(value))
#endif

/* Vectors of four, on whatever the compiler makes of them: NEON, for one, where -ffp-contract fuses them. */
static double f32_portable(long rounds) {
    const portable half = {0.5f, 0.5f, 0.5f, 0.5f}, one = {1.0f, 1.0f, 1.0f, 1.0f};
    LOOP(portable, 12, one, chain[i] * half + one)
    return (double)rounds * 12 * 4 * 2;
}

/* Whether this processor runs a loop: 0 portable, 1 AVX2, 2 AVX-512, 3 bf16, 4 int8. */
int ceiling_runs(int loop) {
    if (loop == 0) return 1;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (loop == 1) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (loop == 2) return __builtin_cpu_supports("avx512f") != 0;
    if (loop == 3) return BF16_RUNS != 0;
    if (loop == 4) return __builtin_cpu_supports("avx512vnni") != 0;
#endif
    return 0;
}

/* Run a loop; gives how many multiplications and additions that was, 0 for a loop that does not run here. */
double ceiling_run(int loop, long rounds) {
    if (!ceiling_runs(loop)) return 0;
    if (loop == 0) return f32_portable(rounds);
#if defined(__x86_64__)
    if (loop == 1) return f32_avx2(rounds);
    if (loop == 2) return f32_avx512(rounds);
    if (loop == 3) return bf16_avx512(rounds);
    if (loop == 4) return int8_vnni(rounds);
#endif
    return 0;
}
