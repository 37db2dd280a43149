// Resampling of two neighbouring axes of bytes at once: packed dot products of 16-bit weights and bytes (dp2a).
#include "bytes.cuh"

#ifndef TAPS
#define TAPS 4
#endif
#ifndef READ
#define READ 0  // which of the ways below
#endif
#ifndef ONCE
#define ONCE 0  // whether rows become 16-bit numbers, not bytes, and results are rounded once, ties to even
#endif

// How a thread reads the taps of its columns along a row.
constexpr int DOUBLED = 0;  // values lie side by side; eight neighbouring outputs share a run of bytes
constexpr int NEAR = 1;     // likewise four
constexpr int HALVED = 2;   // likewise, and each output's taps begin two bytes behind those of the one before
constexpr int PIXELS = 3;   // pixels of four values, or of a multiple of four: a word a tap
constexpr int RGB = 4;      // pixels of three values: a run of bytes for each pixel

constexpr int THREADS = 64;
constexpr int WORDS = TAPS == 8 ? 2 : 1;  // that hold a byte of each tap of a column
constexpr int PARTS = ONCE ? 2 : 1;       // bytes of a row's value, the lower one first
// Neighbouring columns of a thread, and how many of them are read together.
constexpr int OWN = READ == RGB ? 12 : READ == DOUBLED || TAPS <= 4 ? 8 : 4;
constexpr int SHARED = READ == DOUBLED ? 8 : READ == RGB ? 3 : 4;
constexpr int READS = OWN / SHARED;
constexpr int WEIGHTS = READ == PIXELS || READ == RGB ? READS : OWN;  // columns of a pixel have the same ones
constexpr bool RUNS = READ != PIXELS;
// Blocks that a multiprocessor holds, at least: it bounds the registers.
constexpr int BLOCKS = TAPS == 8 && READ == DOUBLED          ? 8 - 2 * ONCE
                       : TAPS == 4 && READ == RGB            ? 8
                       : TAPS == 2 && READ != RGB && !ONCE   ? 12
                                                             : 10;

struct Geometry {
  int64 in_plane, out_plane;       // bytes
  int in_rows, out_rows;           // of a plane
  int in_row, out_row;             // bytes of a row
  int inner, planes;               // bytes of a pixel; planes of x
  int guarded;                     // rows at either end of x from which an aligned word may reach past it
  int across, strips, strip_rows;  // threads along a row, strips of rows of a plane
  uint32 threads;                  // that have work
  int place_shift, row_shift;      // binary places by which sums are shifted, see `settled` of resize.cuh
};

// Where taps lie. DOUBLED, NEAR and HALVED have one for each run: its first byte, which may lie before the row, and
// three bits for each column, how far behind it (of the last two columns in HALVED, behind its fourth byte) the taps
// begin. PIXELS and RGB have one for each pixel: its first tap.
struct __align__(8) Place {
  int first;
  uint32 offsets;
};

// 16-bit weights, two a word.
using Weights = Pack<uint32, TAPS / 2>;

// The rows of an output: the first of TAPS, and their weights, zero for rows that x does not have.
struct __align__(TAPS == 2 ? 8 : 16) Rows {
  Weights weight;
  int first;
};

// N words that begin at any byte. They are read as aligned ones and shifted when they are used, so that a thread waits
// for them no sooner.
template <int N>
struct Run {
  uint32 word[N + 1];
  uint32 shift;

  // `within`: whether all aligned words lie in x; if not, each byte is read by itself, or a neighbour that has no weight.
  DEVICE void read(const uint8* from, bool within, const uint8* begin, const uint8* end) {
    if (within) {
      const size_t address = reinterpret_cast<size_t>(from);
      const uint32* const aligned = reinterpret_cast<const uint32*>(from - (address & 3));
      shift = static_cast<uint32>(address) * 8;
#pragma unroll
      for (int i = 0; i <= N; ++i) word[i] = aligned[i];
    } else {
      shift = 0;
      word[N] = 0;
#pragma unroll
      for (int i = 0; i < N; ++i) {
        word[i] = 0;
#pragma unroll
        for (int b = 0; b < 4; ++b) {
          const uint8* const at = from + (4 * i + b);
          word[i] |= static_cast<uint32>(at < begin ? *begin : at < end ? *at : end[-1]) << 8 * b;
        }
      }
    }
  }

  DEVICE void align(uint32 (&made)[N]) const {
#pragma unroll
    for (int i = 0; i < N; ++i) made[i] = __funnelshift_r(word[i], word[i + 1], shift);
  }
};

// OWN neighbouring columns of a row: their weights, and the cells of one input row that they weigh.
struct Columns {
  static constexpr int LENGTH = READ == RGB && TAPS == 4 ? 3 : READ == HALVED ? WORDS + 2 : WORDS + 1;

  Weights weight[WEIGHTS];
  int from[READS];
  uint32 selector[WEIGHTS == OWN ? OWN : 1];
  Run<LENGTH> run[RUNS ? READS : 1];
  uint32 cell[RUNS ? 1 : READS][TAPS];

  // Sets the columns from element e on; those behind the row's end are its last ones, and are not written.
  DEVICE void aim(int e, const Place* __restrict__ places, const Weights* __restrict__ weights, const Geometry& g) {
#pragma unroll
    for (int i = 0; i < READS; ++i) {
      if constexpr (READ == PIXELS || READ == RGB) {
        const int inner = READ == RGB ? 3 : g.inner;
        const int value = lesser(e + i * SHARED, g.out_row - SHARED), pixel = value / inner;
        from[i] = places[pixel].first * inner + (value - pixel * inner);
        weight[i] = weights[pixel];
      } else {
        const Place place = places[lesser(e / SHARED + i, (g.out_row - 1) / SHARED)];
        from[i] = place.first;
#pragma unroll
        for (int k = i * SHARED; k < (i + 1) * SHARED; ++k)
          selector[k] = kept((TAPS == 2 ? 0x10 : 0x3210) + (TAPS == 2 ? 0x11 : 0x1111) * (place.offsets >> 3 * (k % SHARED) & 7));
      }
    }
    if constexpr (WEIGHTS == OWN)
#pragma unroll
      for (int k = 0; k < OWN; ++k) weight[k] = weights[lesser(e + k, g.out_row - 1)];
  }

  DEVICE void fetch(const uint8* row, bool within, const uint8* begin, const uint8* end, const Geometry& g) {
#pragma unroll
    for (int i = 0; i < READS; ++i) {
      const uint8* at = row + from[i];
      if constexpr (RUNS) {
        run[i].read(at, within, begin, end);
      } else {
#pragma unroll
        for (int t = 0; t < TAPS; ++t, at += g.inner) cell[i][t] = *reinterpret_cast<const uint32*>(at);
      }
    }
  }

  // The taps of each column side by side, the first lowest.
  DEVICE void arrange(uint32 (&taps)[OWN][WORDS]) const {
#pragma unroll
    for (int i = 0; i < READS; ++i) {
      uint32 bytes[LENGTH];
      if constexpr (RUNS) run[i].align(bytes);
#pragma unroll
      for (int k = i * SHARED; k < (i + 1) * SHARED; ++k)
#pragma unroll
        for (int w = 0; w < WORDS; ++w) {
          if constexpr (READ == PIXELS) {
            const uint32 two = pixel_taps(i, 4 * w, k % 4);
            taps[k][w] = TAPS == 2 ? two : __byte_perm(two, pixel_taps(i, 4 * w + 2, k % 4), 0x5410);
          } else if constexpr (READ == RGB) {
            const uint32 two = __byte_perm(bytes[0], bytes[1], 0x30 + 0x11 * (k % 3));
            taps[k][w] = TAPS == 2 ? two
                                   : __byte_perm(two, __byte_perm(bytes[1], bytes[LENGTH - 1], 0x52 + 0x11 * (k % 3)), 0x5410);
          } else {
            const int word = w + (READ == HALVED ? k % 4 / 2 : 0);
            taps[k][w] = picked(bytes[word], bytes[word + 1], selector[k]);
          }
        }
    }
  }

  // Taps t and t + 1 of one of a word's four columns.
  DEVICE uint32 pixel_taps(int i, int t, int column) const {
    return __byte_perm(cell[i][t], cell[i][t + 1], 0x40 + 0x11 * column);
  }

  DEVICE const Weights& weight_of(int k) const { return weight[WEIGHTS == OWN ? k : k / SHARED]; }
};

// The sum of a column's weighed taps, from `total` on.
DEVICE int summed(const Weights& weight, const uint32 (&taps)[WORDS], int total) {
#pragma unroll
  for (int w = 0; w < WORDS; ++w) {
    total = dot_low(weight.at[2 * w], taps[w], total);
    if constexpr (TAPS > 2) total = dot_high(weight.at[2 * w + 1], taps[w], total);
  }
  return total;
}

// A thread marches down the rows of one strip of one plane. It keeps a window of the last TAPS rows of its columns,
// filtered along the row, a byte of each in a word, the oldest lowest; the cells of the row that comes next are on their
// way while rows of the output are summed.
struct March {
  Columns columns;
  uint32 window[OWN][PARTS][WORDS];

  DEVICE void filter(const Geometry& g) {
    uint32 taps[OWN][WORDS];
    columns.arrange(taps);
#pragma unroll
    for (int k = 0; k < OWN; k += 4) {
      int total[4];
#pragma unroll
      for (int i = 0; i < 4; ++i)
        total[i] = summed(columns.weight_of(k + i), taps[k + i], 1 << g.place_shift >> 1) >> g.place_shift;
      const uint32 made[2] = {ONCE ? shorts_of(total[0], total[1]) : bytes_of(total), shorts_of(total[2], total[3])};
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int part = 0; part < PARTS; ++part)
          push(window[k + i][part], made[ONCE ? i / 2 : 0], ONCE ? i % 2 * 2 + part : i);
    }
  }

  // Puts a byte of `made` behind those of a column's rows, of which the oldest one leaves.
  DEVICE static void push(uint32 (&rows)[WORDS], uint32 made, int byte) {
    if constexpr (WORDS > 1) rows[0] = __byte_perm(rows[0], rows[WORDS - 1], 0x4321);
    rows[WORDS - 1] = __byte_perm(rows[WORDS - 1], made, TAPS == 2 ? 0x41 + 0x10 * byte : 0x4321 + 0x1000 * byte);
  }

  // The sum down column k, before it is limited to 0 … 255.
  DEVICE int down(int k, const Weights& weight, const Geometry& g) const {
    const int total = summed(weight, window[k][0], 1 << g.row_shift >> 1);
    if constexpr (!ONCE) return total >> g.row_shift;
    int upper = 0;
#pragma unroll
    for (int w = 0; w < WORDS; ++w) {
      upper = dot_low_signed(weight.at[2 * w], window[k][PARTS - 1][w], upper);
      if constexpr (TAPS > 2) upper = dot_high_signed(weight.at[2 * w + 1], window[k][PARTS - 1][w], upper);
    }
    const int whole = total + upper * 256;
    const bool tie = (whole & ((1 << g.row_shift) - 1)) == 0;  // half of the last place was added
    return (whole >> g.row_shift) & (tie ? ~1 : ~0);
  }

  // `wide`: how many bytes may be stored at once.
  DEVICE void write(uint8* row, const Weights& weight, int e, int wide, const Geometry& g) const {
    uint32 made[OWN / 4];
#pragma unroll
    for (int k = 0; k < OWN; k += 4) {
      int total[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) total[i] = down(k + i, weight, g);
      made[k / 4] = bytes_of(total);
    }
    if (OWN == 8 && wide == 8) {
      *reinterpret_cast<Pack<uint32, 2>*>(row + e) = {made[0], made[OWN / 4 - 1]};
    } else if (wide >= 4) {
#pragma unroll
      for (int k = 0; k < OWN; k += 4)
        if (e + k < g.out_row) *reinterpret_cast<uint32*>(row + (e + k)) = made[k / 4];
    } else {
#pragma unroll
      for (int k = 0; k < OWN; ++k)
        if (e + k < g.out_row) row[e + k] = static_cast<uint8>(made[k / 4] >> 8 * (k % 4));
    }
  }
};

// x: [planes, in_rows, in_row] -> y: [planes, out_rows, out_row], where a row is [pixels, inner]. place: see `Place`;
// place_weight: of each pixel of y; rows: [out_rows], whose first ones ascend. PIXELS: x begins at a multiple of four
// bytes.
//
// F[p, r, e] = sum of TAPS weights times bytes along row r, y[p, o, e] = sum over TAPS rows of F, both ended as by
// `settled` of resize.cuh: F in bytes, or with ONCE in 16 bits. Sums of integers are the same in any order:
// deterministic, and the bits are those of resize_axis.cu.
KERNEL(THREADS, BLOCKS)
byte_rows(const uint8* __restrict__ x, uint8* __restrict__ y, const Place* __restrict__ place,
          const Weights* __restrict__ place_weight, const Rows* __restrict__ rows, const Geometry g) {
  const uint32 thread = blockIdx.x * static_cast<uint32>(THREADS) + threadIdx.x;
  if (thread >= g.threads) return;
  const uint32 above = thread / g.across, plane = above / g.strips;
  const int e = static_cast<int>(thread - above * g.across) * OWN;
  int o = static_cast<int>(above - plane * g.strips) * g.strip_rows;
  const int end = lesser(o + g.strip_rows, g.out_rows);
  const size_t places = reinterpret_cast<size_t>(y) | g.out_row;
  const int wide = places % 8 == 0 ? 8 : places % 4 == 0 ? 4 : 1;
  March march{};
  march.columns.aim(e, place, place_weight, g);
  const uint8* const source = x + plane * g.in_plane;
  const uint8* const x_end = x + g.planes * g.in_plane;
  const int safe = plane == 0 ? g.guarded : 0;
  const int unsafe = plane + 1 == static_cast<uint32>(g.planes) ? g.in_rows - g.guarded : g.in_rows;
  uint8* target = y + plane * g.out_plane + static_cast<int64>(o) * g.out_row;
  Rows now = rows[o], next = rows[lesser(o + 1, end - 1)];
  int row = now.first;
  const uint8* line = source;
  for (bool fetched = false;;) {
    if (!fetched) {
      line = source + static_cast<int64>(row) * g.in_row;
      if (row < g.in_rows) march.columns.fetch(line, safe <= row && row < unsafe, x, x_end, g);
    }
    march.filter(g);
    ++row;
    line += g.in_row;
    const bool ends = now.first + TAPS == row;
    fetched = (ends ? next.first : now.first) <= row && safe <= row && row < unsafe;
    if (fetched) march.columns.fetch(line, true, x, x_end, g);
    if (!ends) continue;
    do {
      march.write(target, now.weight, e, wide, g);
      if (++o == end) return;
      target += g.out_row;
      now = next;
      next = rows[lesser(o + 1, end - 1)];
    } while (now.first + TAPS == row);
    if (now.first > row) {  // rows that no output needs
      row = now.first;
      fetched = false;
    }
  }
}
