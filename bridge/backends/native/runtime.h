/* What the generated code of a network calls. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct { int *a; long n, cap; } Ints;
typedef struct { double *a; long n, cap; } Nums;

/* Rows that wait to be added to a matrix: of which source each is, and where it is. */
typedef struct { int *source, *place; long n, cap, step; real *rows; } Later;

/* Some trials of a batch: their spikes, and what the statements of sparse events replaced. */
typedef struct {
  long first, last;          /* trials */
  long steps;
  Ints events[N_EVENTS + 1]; /* neurons that spiked, by step, then trial */
  long *start[N_EVENTS + 1]; /* where those of a step and trial start; step -1 comes first */
  Nums undo[N_UNDO + 1];
  Ints served, listed;
  Nums drawn[N_DRAWN + 1];
  Later later[N_LATER + 1];
  Ints sorted, counted;
  unsigned char *mask;
  real *turned, *sums;
  int failed;
} Shard;

static void room_for_ints(Shard *S, Ints *v, long more) {
  if (v->n + more > v->cap) {
    long cap = 2 * v->cap > v->n + more ? 2 * v->cap : v->n + more + 64;
    int *a = realloc(v->a, cap * sizeof(int));
    if (!a) { S->failed = 1; v->n = 0; return; }
    v->a = a, v->cap = cap;
  }
}
static void room_for_nums(Shard *S, Nums *v, long more) {
  if (v->n + more > v->cap) {
    long cap = 2 * v->cap > v->n + more ? 2 * v->cap : v->n + more + 64;
    double *a = realloc(v->a, cap * sizeof(double));
    if (!a) { S->failed = 1; v->n = 0; return; }
    v->a = a, v->cap = cap;
  }
}
static inline void keep(Shard *S, Nums *v, double x) {
  if (v->n == v->cap) room_for_nums(S, v, 1);
  v->a[v->n++] = x;
}
static inline double back(Nums *v) { return v->a[--v->n]; }

Shard *shard_new(long first, long last, long steps) {
  Shard *S = calloc(1, sizeof(Shard));
  if (!S) return NULL;
  S->first = first, S->last = last, S->steps = steps;
  for (int e = 0; e < N_EVENTS; e++) {
    S->start[e] = calloc((steps + 1) * (last - first) + 1, sizeof(long));
    if (!S->start[e]) S->failed = 1;
  }
  S->mask = malloc(LARGEST + 64);
  if (N_TURNED) S->turned = malloc(sizeof(real) * N_TURNED * (last - first) + 64);
  S->sums = malloc(sizeof(real) * (last - first + LARGEST) + 64);
  if (!S->mask || !S->sums || (N_TURNED && !S->turned)) S->failed = 1;
  return S;
}
void shard_free(Shard *S) {
  for (int e = 0; e < N_EVENTS; e++) free(S->events[e].a), free(S->start[e]);
  for (int e = 0; e < N_UNDO; e++) free(S->undo[e].a);
  for (int e = 0; e < N_DRAWN; e++) free(S->drawn[e].a);
  for (int e = 0; e < N_LATER; e++)
    free(S->later[e].source), free(S->later[e].place), free(S->later[e].rows);
  free(S->sorted.a), free(S->counted.a);
  free(S->served.a), free(S->listed.a), free(S->mask), free(S->turned), free(S->sums), free(S);
}
int shard_failed(Shard *S) { return S->failed; }
int *shard_events(Shard *S, long e) { return S->events[e].a; }
long *shard_start(Shard *S, long e) { return S->start[e]; }
void shard_rewind(Shard *S) { for (int e = 0; e < N_UNDO; e++) S->undo[e].n = 0; }
void shard_free_undo(Shard *S) {
  for (int e = 0; e < N_UNDO; e++) free(S->undo[e].a), memset(&S->undo[e], 0, sizeof(Nums));
}
/* Events of the step before the first one. */
void shard_begin(Shard *S, long e, const long *start, const int *index) {
  long trials = S->last - S->first;
  long from = start[S->first], n = start[S->last] - from;
  S->events[e].n = 0;
  room_for_ints(S, &S->events[e], n);
  memcpy(S->events[e].a, index + from, n * sizeof(int));
  S->events[e].n = n;
  for (long b = 0; b <= trials; b++) S->start[e][b] = start[S->first + b] - from;
}

/* numpy's legacy streams: Mersenne Twister and what is made of it. */
typedef struct { uint32_t key[624]; int32_t pos, has_gauss; double gauss; } Stream;

static void refill(Stream *s) {
  uint32_t *k = s->key, y; int i;
  for (i = 0; i < 624; i++) {
    y = (k[i] & 0x80000000u) | (k[(i + 1) % 624] & 0x7fffffffu);
    k[i] = k[(i + 397) % 624] ^ (y >> 1) ^ ((y & 1) ? 0x9908b0dfu : 0);
  }
  s->pos = 0;
}
static inline uint32_t word(Stream *s) {
  if (s->pos == 624) refill(s);
  uint32_t y = s->key[s->pos++];
  y ^= y >> 11; y ^= (y << 7) & 0x9d2c5680u; y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}
static inline double draw_rand(Stream *s) {
  uint32_t a = word(s) >> 5, b = word(s) >> 6;
  return (a * 67108864.0 + b) / 9007199254740992.0;
}
static double draw_randn(Stream *s) {
  double a, b, r;
  if (s->has_gauss) { r = s->gauss; s->gauss = 0.0; s->has_gauss = 0; return r; }
  do {
    a = 2.0 * draw_rand(s) - 1.0;
    b = 2.0 * draw_rand(s) - 1.0;
    r = a * a + b * b;
  } while (r >= 1.0 || r == 0.0);
  double f = (sqrt)(-2.0 * (log)(r) / r);
  s->gauss = f * a; s->has_gauss = 1;
  return f * b;
}
static double draw_normal(Stream *s, double mean, double sd) { return mean + sd * draw_randn(s); }
static double log_gamma(double x) {
  static const double a[10] = {
    8.333333333333333e-02, -2.777777777777778e-03, 7.936507936507937e-04,
    -5.952380952380952e-04, 8.417508417508418e-04, -1.917526917526918e-03,
    6.410256410256410e-03, -2.955065359477124e-02, 1.796443723688307e-01,
    -1.39243221690590e+00};
  if (x == 1.0 || x == 2.0) return 0.0;
  long n = x < 7.0 ? (long)(7 - x) : 0;
  double x0 = x + n, x2 = (1.0 / x0) * (1.0 / x0), g = a[9];
  for (int k = 8; k >= 0; k--) { g *= x2; g += a[k]; }
  double r = g / x0 + 0.5 * 1.8378770664093453e+00 + (x0 - 0.5) * (log)(x0) - x0;
  if (x < 7.0) for (long k = 1; k <= n; k++) { r -= (log)(x0 - 1.0); x0 -= 1.0; }
  return r;
}
static double draw_poisson(Stream *s, double lam) {
  if (lam >= 10) {
    double slam = (sqrt)(lam), loglam = (log)(lam);
    double b = 0.931 + 2.53 * slam, a = -0.059 + 0.02483 * b;
    double inv = 1.1239 + 1.1328 / (b - 3.4), vr = 0.9277 - 3.6224 / (b - 2);
    while (1) {
      double U = draw_rand(s) - 0.5, V = draw_rand(s), us = 0.5 - (fabs)(U);
      double k = (floor)((2 * a / us + b) * U + lam + 0.43);
      if (us >= 0.07 && V <= vr) return k;
      if (k < 0 || (us < 0.013 && V > us)) continue;
      if ((log)(V) + (log)(inv) - (log)(a / (us * us) + b)
          <= -lam + k * loglam - log_gamma(k + 1)) return k;
    }
  }
  if (!(lam > 0)) return 0;
  double least = (exp)(-lam), product = 1.0, x = 0;
  while (1) {
    product *= draw_rand(s);
    if (product > least) x += 1; else return x;
  }
}
static double few_of(Stream *s, double n, double p) {
  double q = 1.0 - p, qn = (exp)(n * (log1p)(-p)), np = n * p;
  double most = np + 10.0 * (sqrt)(np * q + 1);
  double bound = (floor)(n < most ? n : most), x = 0, px = qn, U = draw_rand(s);
  while (U > px) {
    x++;
    if (x > bound) { x = 0; px = qn; U = draw_rand(s); }
    else { U -= px; px = ((n - x + 1) * p * px) / (x * q); }
  }
  return x;
}
static double draw_binomial(Stream *s, double n, double p) {
  if (n == 0 || p == 0) return 0;
  return p <= 0.5 ? few_of(s, n, p) : n - few_of(s, n, 1.0 - p);
}

/* Arithmetic that C lacks. */
#define clip(x, low, high) ((x) < (low) ? (low) : (x) > (high) ? (high) : (x))
static inline real power2(real x) { return x * x; }
static inline real power3(real x) { return x * x * x; }
static inline real power4(real x) { real y = x * x; return y * y; }
static inline double mod(double a, double b) {
  double r = (fmod)(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static inline double floor_divide(double a, double b) {
  if (b == 0) return a / b;
  double r = mod(a, b), d = (a - r) / b, f = (floor)(d);
  return d == 0 ? d : d - f > 0.5 ? f + 1 : f;
}
/* The whole part of a number, as 32 bits hold it. */
static inline double wrap(double x) { return (double)(int32_t)(int64_t)x; }
static inline long row_of(double t, double grain, double upsampling, long last) {
  double k = (trunc)((rint)(t / grain) / upsampling);
  return !(k > 0) ? 0 : k > last ? last : (long)k; /* of NaN the first one */
}

/* Lists of spikes. */
static void open_step(Shard *S, long t) {
  long trials = S->last - S->first;
  for (int e = 0; e < N_EVENTS; e++)
    for (long b = 0; b <= trials; b++) S->start[e][(t + 1) * trials + b] = S->events[e].n;
}
static void collect(Shard *S, int e, long t, long trial, const unsigned char *mask, long size) {
  long at = (t + 1) * (S->last - S->first) + trial, i = 0;
  Ints *v = &S->events[e];
  room_for_ints(S, v, size);
  if (S->failed) return;
  int *a = v->a; long n = v->n;
  S->start[e][at] = n;
  for (; i + 8 <= size; i += 8) {
    uint64_t eight;
    memcpy(&eight, mask + i, 8);
    if (eight) for (long j = i; j < i + 8; j++) if (mask[j]) a[n++] = (int)j;
  }
  for (; i < size; i++) if (mask[i]) a[n++] = (int)i;
  v->n = n;
  S->start[e][at + 1] = n;
}
static void listed(Shard *S, int e, long t, long trial, const int *index, long n) {
  long at = (t + 1) * (S->last - S->first) + trial;
  Ints *v = &S->events[e];
  room_for_ints(S, v, n);
  if (S->failed) return;
  S->start[e][at] = v->n;
  memcpy(v->a + v->n, index, n * sizeof(int));
  v->n += n;
  S->start[e][at + 1] = v->n;
}
static void resume(Shard *S, long t) {
  for (int e = 0; e < N_EVENTS; e++) S->events[e].n = S->start[e][(t + 1) * (S->last - S->first)];
}

/* Rows of a matrix that spikes add to the neurons of a trial, one after the other. */
static void add_rows(real *restrict to, const real *restrict w, const int *restrict list, long n,
                     long width) {
  long q = 0;
  for (; q + 4 <= n; q += 4) {
    const real *restrict a = w + (long)list[q] * width, *restrict b = w + (long)list[q + 1] * width;
    const real *restrict c = w + (long)list[q + 2] * width, *restrict d = w + (long)list[q + 3] * width;
    for (long j = 0; j < width; j++) to[j] = (((to[j] + a[j]) + b[j]) + c[j]) + d[j];
  }
  for (; q < n; q++) {
    const real *restrict a = w + (long)list[q] * width;
    for (long j = 0; j < width; j++) to[j] += a[j];
  }
}
static void wait_for(Shard *S, Later *v, const int *list, long n, long place) {
  if (v->n + n > v->cap) {
    long cap = 2 * v->cap > v->n + n ? 2 * v->cap : v->n + n + 64;
    int *a = realloc(v->source, cap * sizeof(int)), *b = NULL;
    if (a) v->source = a, b = realloc(v->place, cap * sizeof(int));
    if (!b) { S->failed = 1; return; }
    v->place = b, v->cap = cap;
  }
  for (long q = 0; q < n; q++) v->source[v->n] = list[q], v->place[v->n++] = (int)place;
}
/* The places of what waits, source by source: those of source s from counted[s] on. */
static const int *by_source(Shard *S, Later *v, long n_sources) {
  S->sorted.n = S->counted.n = 0;
  room_for_ints(S, &S->sorted, v->n + 1);
  room_for_ints(S, &S->counted, n_sources + 2);
  if (S->failed) return NULL;
  int *count = S->counted.a, *place = S->sorted.a;
  memset(count, 0, (n_sources + 2) * sizeof(int));
  for (long q = 0; q < v->n; q++) count[v->source[q] + 2]++;
  for (long k = 2; k < n_sources + 2; k++) count[k] += count[k - 1];
  for (long q = 0; q < v->n; q++) place[count[v->source[q] + 1]++] = v->place[q];
  return place;
}
/* Every row of the matrix is read once, for all trials in which its source has a spike. */
static void add_all(Shard *S, Later *v, real *to, long stride, const real *w, long n_sources,
                    long width) {
  const int *place = by_source(S, v, n_sources), *from = S->counted.a;
  v->n = 0;
  if (!place) return;
  for (long s = 0; s < n_sources; s++) {
    const real *restrict a = w + s * width;
    for (long q = from[s]; q < from[s + 1]; q++) {
      real *restrict x = to + (long)place[q] * stride;
      for (long j = 0; j < width; j++) x[j] += a[j];
    }
  }
}
/* Every row of the matrix is changed once, for all spikes of its source in some steps. */
static void add_later(Shard *S, Later *v, real *dw, long n_sources, long width) {
  const int *place = by_source(S, v, n_sources), *from = S->counted.a;
  v->n = v->step = 0;
  if (!place) return;
  for (long s = 0; s < n_sources; s++) {
    real *restrict x = dw + s * width;
    long q = from[s], end = from[s + 1];
    for (; q + 4 <= end; q += 4) {
      const real *restrict a = v->rows + (long)place[q] * width;
      const real *restrict b = v->rows + (long)place[q + 1] * width;
      const real *restrict c = v->rows + (long)place[q + 2] * width;
      const real *restrict d = v->rows + (long)place[q + 3] * width;
      for (long j = 0; j < width; j++) x[j] += (a[j] + b[j]) + (c[j] + d[j]);
    }
    for (; q < end; q++) {
      const real *restrict a = v->rows + (long)place[q] * width;
      for (long j = 0; j < width; j++) x[j] += a[j];
    }
  }
}
