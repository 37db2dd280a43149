// Resampling of two or three neighbouring axes at once, by few taps an axis: each input is read from memory about once.
#include "resize.cuh"

#ifndef SCALAR
#define SCALAR float
#endif
#ifndef ACC
#define ACC float
#endif
#ifndef TAPS
#define TAPS 4
#endif
#ifndef LINES
#define LINES 1
#endif
#ifndef DOWN_FIRST
#define DOWN_FIRST 0  // whether the plan filters down the columns before along the rows
#endif
#ifndef PACKED
#define PACKED 0  // which of the two entries: compiling both would take twice the time
#endif

constexpr int THREADS = 64;
constexpr int SIZE = static_cast<int>(sizeof(SCALAR)), SUM = static_cast<int>(sizeof(ACC));
constexpr int WORD = SIZE < 4 ? 4 / SIZE : 1;  // neighbours that fill the 4 bytes of a store
constexpr int COLUMNS = (DOWN_FIRST && TAPS * LINES > 2) || TAPS > 4 ? 8 / SUM
                        : SIZE == 2 && LINES == 1                    ? 8
                                                                     : 16 / SUM;
constexpr int GROUPS = COLUMNS < WORD ? 1 : COLUMNS / WORD;  // groups of neighbours a thread
// Values of a cell that a thread of `packets` may hold.
constexpr int HELD = (TAPS > 4 ? 32 : DOWN_FIRST && TAPS > 2 ? 32 / SUM : 16) / (TAPS * LINES);
constexpr int PACKET = 16 / SIZE < HELD ? 16 / SIZE : HELD;  // values of a pixel side by side

// Blocks that a multiprocessor holds, at least: it bounds the registers.
constexpr int BLOCKS = TAPS == 4 && COLUMNS > 4 ? 6 : TAPS > 2 ? 8 : LINES == 2 ? 9 : COLUMNS > 4 ? 8 : 12;

struct Geometry {
  int64 in_plane, out_plane;               // elements; an element is a value, or a packet of them
  int in_rows, out_rows;                   // of a plane
  int in_row, out_row;                     // elements of a row, which has lines where three axes are resized
  int in_line, out_line;                   // elements of a line
  int inner;                               // elements of a pixel
  int across, strips, strip_rows;          // threads along a row, strips of rows of a plane
  uint32 threads;                          // that have work
  int place_shift, line_shift, row_shift;  // of bytes, see `settled`
};

// Where an output's taps lie along a row: the first, then, three bits each from the lowest on, how far behind it each
// is, and above them how many there are. Most have TAPS, one after the other. At the borders the last one comes again
// in place of each that is missing: it is read and not weighed, because zero times infinity is NaN.
struct __align__(8) Place {
  int first;
  uint32 offsets;
};
constexpr int OFFSET_BITS = 3, COUNT_AT = 24;

// The run of an output row: its first row, and in which places of the window it lies, a bit each; 16 bits higher, in
// which of them torch also multiplies by zero.
struct __align__(8) Run {
  int first;
  uint32 own;
};

template <typename Where>
struct Table {
  const Where* __restrict__ at;
  const ACC* __restrict__ weight;
};

// Hides from the compiler that a value stays the same, so that it does not keep all that follows from it in registers.
#ifdef EMULATED
DEVICE void forget(uint32&) {}
DEVICE void forget(int64&) {}
#else
DEVICE void forget(uint32& value) { asm volatile("" : "+r"(value)); }
DEVICE void forget(int64& value) { asm volatile("" : "+l"(value)); }
#endif

// The weights of an output, read in packs of up to 16 bytes, on which tables begin.
struct Weights {
  static constexpr int MOST = TAPS * SUM > 16 ? 16 / SUM : TAPS;
  ACC at[TAPS];

  DEVICE explicit Weights(const ACC* from) {
#pragma unroll
    for (int t = 0; t < TAPS; t += MOST) {
      const Pack<ACC, MOST> pack = *reinterpret_cast<const Pack<ACC, MOST>*>(from + t);
#pragma unroll
      for (int i = 0; i < MOST; ++i) at[t + i] = pack.at[i];
    }
  }
};

// Some columns of a row: their taps, and the cells of one input row that they weigh.
template <int Columns, int Wide>
struct Gather {
  using Cell = Pack<SCALAR, Wide>;
  static constexpr uint32 NEIGHBOURS = (076543210u & ((1u << OFFSET_BITS * TAPS) - 1)) | uint32(TAPS) << COUNT_AT;

  uint32 from[Columns];     // element of the input row in which the first tap lies
  uint32 offsets[Columns];  // pixels to the others
  uint32 below[Columns];    // elements to the second line, if any
  bool both[Columns];       // whether that is weighed
  ACC weight[Columns][TAPS];
  ACC line_weight[Columns][LINES];
  bool steady;  // whether all columns have TAPS taps, one after the other
  Cell cell[Columns][LINES][TAPS];

  // Sets column k to element e of an output row.
  DEVICE void aim(int k, int e, Table<Place> pixels, Table<Place> lines, const Geometry& g) {
    const int line = LINES == 1 ? 0 : e / g.out_line, in_line = e - line * g.out_line, pixel = in_line / g.inner;
    const Place place = pixels.at[pixel];
    from[k] = static_cast<uint32>(place.first * g.inner + (in_line - pixel * g.inner));
    offsets[k] = place.offsets;
    steady = steady && place.offsets == NEIGHBOURS;
    const Weights weights(pixels.weight + static_cast<int64>(pixel) * TAPS);
#pragma unroll
    for (int t = 0; t < TAPS; ++t) weight[k][t] = weights.at[t];
    if (LINES > 1) {
      from[k] += static_cast<uint32>(lines.at[line].first * g.in_line);
      below[k] = lines.at[line].offsets >> OFFSET_BITS & 7u ? g.in_line : 0;
      both[k] = WHOLE<ACC> || lines.at[line].offsets >> COUNT_AT == 2;
#pragma unroll
      for (int l = 0; l < LINES; ++l) line_weight[k][l] = lines.weight[line * LINES + l];
    }
  }

  DEVICE void fetch(const Cell* __restrict__ row, const Geometry& g) {
#pragma unroll
    for (int k = 0; k < Columns; ++k) {
      forget(from[k]);
      if (!steady) forget(offsets[k]);
    }
    if (steady && g.inner == 1) {
      gather(row, [](int, int t) { return t; });
    } else if (steady) {
      gather(row, [&](int, int t) { return t * g.inner; });
    } else {
      gather(row, [&](int k, int t) { return static_cast<int>(offsets[k] >> OFFSET_BITS * t & 7u) * g.inner; });
    }
  }

  template <typename Offset>
  DEVICE void gather(const Cell* __restrict__ row, Offset offset) {
#pragma unroll
    for (int k = 0; k < Columns; ++k) {
      const Cell* p = row + from[k];
#pragma unroll
      for (int l = 0; l < LINES; ++l) {
        if (l) p += below[k];
#pragma unroll
        for (int t = 0; t < TAPS; ++t) cell[k][l][t] = p[offset(k, t)];
      }
    }
  }

  // The sum of column k's taps: All of them, or as many as there are.
  template <bool All, typename Value>
  DEVICE ACC weighed(int k, Value value) const {
    ACC total = 0;
#pragma unroll
    for (int t = 0; t < TAPS; ++t)
      if (All || t < static_cast<int>(offsets[k] >> COUNT_AT)) total = fused(weight[k][t], value(t), total);
    return total;
  }

  template <typename Value>
  DEVICE ACC along(int k, Value value, const Geometry& g) const {
    const ACC total = WHOLE<ACC> || steady ? weighed<true>(k, value) : weighed<false>(k, value);
    return settled(total, g.place_shift);
  }

  DEVICE ACC filtered(int k, int v, const Geometry& g) const {
    ACC sum[LINES];
#pragma unroll
    for (int l = 0; l < LINES; ++l) sum[l] = along(k, [&](int t) { return widened<ACC>(cell[k][l][t].at[v]); }, g);
    return across_lines(k, sum, g);
  }

  DEVICE ACC across_lines(int k, const ACC (&sum)[LINES], const Geometry& g) const {
    if (LINES == 1) return sum[0];
    ACC total = fused(line_weight[k][0], sum[0], static_cast<ACC>(0));
    if (both[k]) total = fused(line_weight[k][LINES - 1], sum[LINES - 1], total);
    return settled(total, g.line_shift);
  }
};

// What both entries do. A thread owns some columns of an output row and marches down the rows of one strip of one
// plane. It keeps the columns' taps, and a window of the last TAPS rows, filtered along the row, in registers; the
// cells of the row that comes next are on their way while rows of the output are summed. Where columns are filtered
// first, the window has the cells themselves.
template <int Groups, int Word, int Wide>
struct March {
  using Cell = Pack<SCALAR, Wide>;
  static constexpr int OWN = Groups * Word;

  const Cell* __restrict__ source;  // of the plane
  Cell* target;                     // the output row
  int lane, o, end;
  Run now, next;                // of this output row and the one after it
#if DOWN_FIRST
  ACC window[OWN][Wide][TAPS][LINES][TAPS];
#else
  ACC window[OWN][Wide][TAPS];  // row r is at r % TAPS, and so are its weights
#endif

  DEVICE int element(int k, const Geometry& g) const { return (lane + k / Word * g.across) * Word + k % Word; }

  DEVICE void run(Table<Place> pixels, Table<Place> lines, Table<Run> rows, bool aligned, const Geometry& g) {
    Gather<OWN, Wide> gather;
    gather.steady = true;
#pragma unroll
    for (int k = 0; k < OWN; ++k)  // columns past the end do as the last one, and are not written
      gather.aim(k, lesser(element(k, g), g.out_row - 1), pixels, lines, g);
    now = rows.at[o];
    next = rows.at[lesser(o + 1, end - 1)];
    int row = now.first - now.first % TAPS;  // that `gather` has the cells of
    int64 begin = static_cast<int64>(row) * g.in_row;
    gather.fetch(source + begin, g);
    for (;;) {
#pragma unroll
      for (int phase = 0; phase < TAPS; ++phase) {
#pragma unroll
        for (int k = 0; k < OWN; ++k)
#pragma unroll
          for (int v = 0; v < Wide; ++v) {
#if DOWN_FIRST
#pragma unroll
            for (int l = 0; l < LINES; ++l)
#pragma unroll
              for (int t = 0; t < TAPS; ++t) window[k][v][phase][l][t] = widened<ACC>(gather.cell[k][l][t].at[v]);
#else
            window[k][v][phase] = gather.filtered(k, v, g);
#endif
          }
        ++row;
        begin += g.in_row;
        forget(begin);
        const bool ends = now.first + TAPS == row;
        if ((ends ? next.first : now.first) <= row && row < g.in_rows) gather.fetch(source + begin, g);
        if (ends)
          do {
            write(gather, rows.weight + static_cast<int64>(o) * TAPS, (phase + 1) % TAPS, aligned, g);
            if (++o == end) return;
            target += g.out_row;
            now = next;
            next = rows.at[lesser(o + 1, end - 1)];
          } while (now.first + TAPS == row);
      }
      if (now.first - row >= TAPS) {  // rows that no output needs
        const int turns = (now.first - row) / TAPS;
        row += turns * TAPS;
        begin += static_cast<int64>(turns * TAPS) * g.in_row;
        if (row == now.first) gather.fetch(source + begin, g);
      }
    }
  }

  // The sum of `value(place)` over the rows of this output's run. Its first row is at place `least` of the window.
  template <typename Value>
  DEVICE ACC down(const Weights& weight, int least, Value value, const Geometry& g) const {
    ACC total = 0;
    if (WHOLE<ACC> || now.own == (1u << TAPS) - 1) {
#pragma unroll
      for (int t = 0; t < TAPS; ++t) total = fused(weight.at[(least + t) % TAPS], value((least + t) % TAPS), total);
    } else {  // zero times infinity is NaN: what is no tap of this output must stay out
#pragma unroll
      for (int t = 0; t < TAPS; ++t) {
        const int place = (least + t) % TAPS;
        if (now.own >> place & 1u) total = fused(weight.at[place], value(place), total);
        if (now.own >> (16 + place) & 1u) total = fused(static_cast<ACC>(0), value(place), total);
      }
    }
    return settled(total, g.row_shift);
  }

  DEVICE void write(const Gather<OWN, Wide>& gather, const ACC* weights, int least, bool aligned,
                    const Geometry& g) const {
    const Weights weight(weights);
    ACC total[OWN][Wide];
#pragma unroll
    for (int k = 0; k < OWN; ++k)
#pragma unroll
      for (int v = 0; v < Wide; ++v) {
#if DOWN_FIRST
        const auto column = [&](int t) {
          ACC sum[LINES];
#pragma unroll
          for (int l = 0; l < LINES; ++l)
            sum[l] = down(weight, least, [&](int place) { return window[k][v][place][l][t]; }, g);
          return gather.across_lines(k, sum, g);
        };
        total[k][v] = gather.along(k, column, g);
#else
        total[k][v] = down(weight, least, [&](int place) { return window[k][v][place]; }, g);
#endif
      }
#pragma unroll
    for (int group = 0; group < Groups; ++group) {
      const int e = element(group * Word, g);
      if (Word > 1 && aligned) {
        Pack<SCALAR, Word> word;
#pragma unroll
        for (int k = 0; k < Word; ++k) word.at[k] = narrowed<SCALAR>(total[group * Word + k][0]);
        if (e < g.out_row) *reinterpret_cast<Pack<SCALAR, Word>*>(target[e].at) = word;
      } else {
#pragma unroll
        for (int k = 0; k < Word; ++k) {
          Cell cell;
#pragma unroll
          for (int v = 0; v < Wide; ++v) cell.at[v] = narrowed<SCALAR>(total[group * Word + k][v]);
          if (e + k < g.out_row) target[e + k] = cell;
        }
      }
    }
  }
};

template <int Groups, int Word, int Wide>
DEVICE void march(const SCALAR* __restrict__ x, SCALAR* __restrict__ y, Table<Place> pixels, Table<Place> lines,
                  Table<Run> rows, const Geometry& g) {
  using Cell = Pack<SCALAR, Wide>;
  const uint32 thread = blockIdx.x * static_cast<uint32>(THREADS) + threadIdx.x;
  if (thread >= g.threads) return;
  const uint32 above = thread / g.across, plane = above / g.strips;
  const int begin = static_cast<int>(above - plane * g.strips) * g.strip_rows;
  March<Groups, Word, Wide> down;
  down.source = reinterpret_cast<const Cell*>(x) + plane * g.in_plane;
  down.target = reinterpret_cast<Cell*>(y) + plane * g.out_plane + static_cast<int64>(begin) * g.out_row;
  down.lane = static_cast<int>(thread - above * g.across);
  down.o = begin;
  down.end = lesser(begin + g.strip_rows, g.out_rows);
  down.run(pixels, lines, rows, g.out_row % Word == 0 && reinterpret_cast<size_t>(y) % 4 == 0, g);
}

// x: [planes, in_rows, in_row] -> y: [planes, out_rows, out_row], where a row is [pixels, inner], or, with LINES = 2,
// [lines, pixels, inner]. pixel: [pixels of y], pixel_weight: [pixels of y, TAPS]; line: [lines of y], line_weight:
// [lines of y, LINES]; row: [out_rows], row_weight: [out_rows, TAPS], the weight of row r of x at r % TAPS.
//
// y[p, o, e] = sum over own rows r of row_weight[o, r % TAPS] * F[p, r, e], where F are the sums of TAPS taps along the
// row (and of those, of two lines); with DOWN_FIRST the sums down the columns are made first, then those along the row.
// Sums in ACC, in the order of resize.cuh, no two threads write the same value: deterministic.
//
// A thread takes GROUPS groups of WORD neighbours, `across` groups apart, so that a warp reads neighbours of a row
// and writes 128 bytes of it at once, whatever the scale.
#if !PACKED
KERNEL(THREADS, BLOCKS)
columns(const SCALAR* __restrict__ x, SCALAR* __restrict__ y, const Place* __restrict__ pixel,
        const ACC* __restrict__ pixel_weight, const Place* __restrict__ line, const ACC* __restrict__ line_weight,
        const Run* __restrict__ row, const ACC* __restrict__ row_weight, const Geometry g) {
  march<GROUPS, WORD, 1>(x, y, {pixel, pixel_weight}, {line, line_weight}, {row, row_weight}, g);
}
#endif

// The same where the values of a pixel fill packets of PACKET values, which all have the same taps: an element is such
// a packet, and a thread takes one.
#if PACKED
KERNEL(THREADS, BLOCKS)
packets(const SCALAR* __restrict__ x, SCALAR* __restrict__ y, const Place* __restrict__ pixel,
        const ACC* __restrict__ pixel_weight, const Place* __restrict__ line, const ACC* __restrict__ line_weight,
        const Run* __restrict__ row, const ACC* __restrict__ row_weight, const Geometry g) {
  march<1, 1, PACKET>(x, y, {pixel, pixel_weight}, {line, line_weight}, {row, row_weight}, g);
}
#endif
