#include <math.h>
#include <stdint.h>
#include <string.h>

/* A vector of so many numbers, wherever they lie, and how to make one. */
#define VECTOR_OF(n) typedef number V##n __attribute__((vector_size(n * sizeof(number)), aligned(sizeof(number)), may_alias));
typedef number V1;
VECTOR_OF(2) VECTOR_OF(4) VECTOR_OF(8) VECTOR_OF(16)
#define VECTOR(n, first) (*(V##n *)&(first))
#define ALL(n, value) ((V##n){0} + (value))

/* A vector of half as many numbers: the two halves added up. */
static inline V8 fold16(V16 x)
{
    return __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7)
        + __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15);
}
static inline V4 fold8(V8 x)
{
    return __builtin_shufflevector(x, x, 0, 1, 2, 3) + __builtin_shufflevector(x, x, 4, 5, 6, 7);
}

/* The sum of n numbers that lie side by side: sixteen at a time, then eight, then four. */
static inline number row_sum(const number *x, int n)
{
    V4 sums = {0};
    int i = 0;
    if (n >= 16) {
        V16 many = {0};
        for (; i + 16 <= n; i += 16) many += VECTOR(16, x[i]);
        sums += fold8(fold16(many));
    }
    if (i + 8 <= n) sums += fold8(VECTOR(8, x[i])), i += 8;
    if (i + 4 <= n) sums += VECTOR(4, x[i]), i += 4;
    number total = (sums[0] + sums[2]) + (sums[1] + sums[3]);
    for (; i < n; i++) total += x[i];
    return total;
}

#ifdef VECTOR_MATH
/* Forms of the C library's functions that take whole vectors. */
#define VECTOR_FUNCTION(f) __attribute__((simd("notinbranch"))) number f(number) __attribute__((const));
VECTOR_FUNCTION(FUNCTION(exp)) VECTOR_FUNCTION(FUNCTION(expm1)) VECTOR_FUNCTION(FUNCTION(log))
VECTOR_FUNCTION(FUNCTION(log1p)) VECTOR_FUNCTION(FUNCTION(erf)) VECTOR_FUNCTION(FUNCTION(tanh))
#endif

/* Make rows of columns: `from` has a column of so many rows every `stride` numbers. */
static inline void turn(number *restrict to, const number *restrict from, int rows, int columns, int stride)
{
    int i = 0, j = 0;
    for (; j + 4 <= columns; j += 4) {
        for (i = 0; i + 4 <= rows; i += 4) {
            const number *first = from + j * stride + i;
            V4 a = VECTOR(4, first[0]), b = VECTOR(4, first[stride]);
            V4 c = VECTOR(4, first[2 * stride]), d = VECTOR(4, first[3 * stride]);
            V4 ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
            V4 ef = __builtin_shufflevector(a, b, 2, 6, 3, 7), gh = __builtin_shufflevector(c, d, 2, 6, 3, 7);
            VECTOR(4, to[i * columns + j]) = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
            VECTOR(4, to[(i + 1) * columns + j]) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
            VECTOR(4, to[(i + 2) * columns + j]) = __builtin_shufflevector(ef, gh, 0, 1, 4, 5);
            VECTOR(4, to[(i + 3) * columns + j]) = __builtin_shufflevector(ef, gh, 2, 3, 6, 7);
        }
        for (; i < rows; i++)
            for (int k = j; k < j + 4; k++) to[i * columns + k] = from[k * stride + i];
    }
    for (; j < columns; j++)
        for (i = 0; i < rows; i++) to[i * columns + j] = from[j * stride + i];
}

/* Samples: rows of numbers for every round, or for all rounds if round is 0; their order, or null. */
struct samples {
    const number *numbers;
    const int64_t *order;
    int64_t round, row, order_round;
};

static void take(number *into, const struct samples *from, int64_t round, int64_t rows, int64_t first, int64_t count)
{
    const number *numbers = from->numbers + round * from->round;
    const int64_t *order = from->order ? from->order + round * from->order_round + first : 0;
    for (int64_t row = 0; row < rows; row++, numbers += from->row, into += count)
        if (order)
            for (int64_t i = 0; i < count; i++) into[i] = numbers[order[i]];
        else
            memcpy(into, numbers + first, count * sizeof(number));
}
