// Max-unpooling of the last one to three axes: each cell's value goes to one position of its window, zeros elsewhere.
// Twin of engines/portable/unpool/driver.py.
//
//   values   [planes, small 0, small 1, small 2]
//   where    the same shape, int64: positions of the plane (large), or, `local`, taps of the cell's window, negative
//            ones counted from its end
//   result   [planes, large 0, large 1, large 2]: every position is written once, none needs to be zero before
//
// unpool_gather, unpool_tiles: each position asks the cells whose windows cover it, in row-major order; the last that
// names it wins, or all that do are summed in that order. So nothing is written twice, an index outside its window is
// dropped, and results are deterministic. Where indices may lie outside their windows, unpool_check says so, and
// unpool_runs takes cells sorted by the position that they name.
#include "unpool.cuh"

// Complex numbers, which only add.
template <typename Real>
struct __align__(2 * sizeof(Real)) Complex {
  Real real, imag;
  DEVICE Complex operator+(const Complex& other) const { return {added(real, other.real), added(imag, other.imag)}; }
};

#ifndef ENTRY
#define ENTRY 0  // the one entry to compile, in the order of the file: all five would take several times as long
#endif
#ifndef SCALAR
#define SCALAR uint32  // the bits of a value; where values are summed, its type
#endif
#ifndef SUM
#define SUM 0
#endif
#ifndef INDEX
#define INDEX int
#endif
#ifndef MANY
#define MANY 4  // positions that a thread of unpool_gather makes, cells that one of unpool_tiles reads
#endif

template <typename Scalar>
struct Wide {
  using type = Scalar;
};
template <>
struct Wide<__half> {
  using type = float;
};
template <>
struct Wide<__nv_bfloat16> {
  using type = float;
};

// What becomes of the cells that name a position: the last one's value stays, or they are summed; halves in float32.
template <bool Sum, typename Scalar>
struct Named {
  Scalar value{};
  DEVICE void take(Scalar v) { value = v; }
  DEVICE Scalar result() const { return value; }
};
template <typename Scalar>
struct Named<true, Scalar> {
  using Acc = typename Wide<Scalar>::type;
  Acc sum{};
  DEVICE void take(Scalar v) { sum = added(sum, widened<Acc>(v)); }  // from +0 on: no sum is -0
  DEVICE Scalar result() const { return narrowed<Scalar>(sum); }
};

// Which of the N positions from `begin` on a cell's index names, by a row of its window that begins `origin` after the
// first of them; N or more where it names none, or one outside the window. The index counts in the plane.
template <int N, typename Index>
DEVICE uint32 spot_in_piece(int64 w, Index begin, Index origin, Index reach, Index dilation) {
  const uint64 at = static_cast<uint64>(w) - static_cast<uint64>(begin);
  const Index offset = static_cast<Index>(at < N ? at : 0) - origin;
  const bool here = (at < N) & (offset >= 0) & (offset < reach) && (dilation == 1 || offset % dilation == 0);
  return here ? static_cast<uint32>(at) : N;
}

// The same for one that counts in the window, whose row begins with `tap`.
template <int N, typename Index>
DEVICE uint32 tap_in_piece(int64 w, Index tap, Index origin, const Geometry<Index>& g) {
  const uint64 of_row = static_cast<uint64>(w < 0 ? w + g.bound : w) - static_cast<uint64>(tap);
  if (of_row >= static_cast<uint64>(g.kernel[2])) return N;
  const Index at = static_cast<Index>(of_row) * g.dilation[2] + origin;
  return at < 0 || at >= N ? N : static_cast<uint32>(at);
}

// Any windows: a thread makes N neighbouring positions of a row, for several planes. It meets every cell that covers
// one of them once: those along depth and row by tables of each position's cells, those along the last axis from the
// piece's first to its last, Together at once, with their values, so that the loads are in flight together. For N > 1
// indices count in the plane and windows along rows are not dilated.
//
// tables: for depth and for row, by position: the first cell that covers it; how many do; the first one's tap. For the
// last axis, by piece: its first cell; how many to its last one.
template <bool Sum, int N, typename Scalar, typename Index>
DEVICE void gather(const Scalar* __restrict__ values, const int64* __restrict__ where, const Index* __restrict__ tables,
                   Scalar* __restrict__ result, const Geometry<Index>& g) {
  constexpr int Together = N == 1 ? 2 : 4;
  for (Index item = first_item<Index>(); item < g.items; item += item_step<Index>()) {
    const Place<Index> piece(item, g.columns, g.large[1], g.one_slice);
    const Index begin = piece.column * N, line = (piece.depth * g.large[1] + piece.row) * g.large[2];
    const Index* const depth = tables + g.table[0] + piece.depth;
    const Index* const row = tables + g.table[1] + piece.row;
    const Index* const column = tables + g.table[2] + piece.column;
    const Index depth_cell = depth[0], depth_count = depth[g.large[0]], depth_tap = depth[2 * g.large[0]];
    const Index row_cell = row[0], row_count = row[g.large[1]], row_tap = row[2 * g.large[1]];
    const Index column_cell = column[0], column_count = column[g.columns];
    for (int64 plane = first_plane(); plane < g.planes; plane += plane_step()) {
      Named<Sum, Scalar> made[N];
      for (Index a = 0; a < depth_count; ++a)
        for (Index b = 0; b < row_count; ++b) {
          const int64 first = plane * g.cells +
                              ((depth_cell + a * g.cell_step[0]) * g.small[1] + row_cell + b * g.cell_step[1]) *
                                  g.small[2] +
                              column_cell;
          const Index tap =
              ((depth_tap - a * g.tap_step[0]) * g.kernel[1] + row_tap - b * g.tap_step[1]) * g.kernel[2];
          for (Index c = 0; c < column_count; c += Together) {
            int64 w[Together];
            Scalar v[Together];
#pragma unroll
            for (int q = 0; q < Together; ++q)
              if (c + q < column_count) {
                w[q] = where[first + c + q];
                v[q] = values[first + c + q];
              }
#pragma unroll
            for (int q = 0; q < Together; ++q)
              if (c + q < column_count) {
                const Index origin = (column_cell + c + q) * g.stride[2] - g.padding[2] - begin;
                uint32 at;
                if (N == 1 && g.local)
                  at = tap_in_piece<N>(w[q], tap, origin, g);
                else
                  at = spot_in_piece<N>(w[q], line + begin, origin, g.reach[2], N == 1 ? g.dilation[2] : Index(1));
#pragma unroll
                for (uint32 n = 0; n < N; ++n)
                  if (at == n) made[n].take(v[q]);
              }
          }
        }
      Scalar out[N];
#pragma unroll
      for (int n = 0; n < N; ++n) out[n] = made[n].result();
      const int written = static_cast<int>(lesser<Index>(N, g.large[2] - begin));
      store<N>(result + plane * g.positions + line + begin, written, out);
    }
  }
}

// Windows that tile the large side: no padding, no dilation, each axis's stride its kernel, along rows two, and rows
// twice as long as rows of cells. A thread reads N neighbouring cells and writes their tiles, 2 N neighbours of each
// row; those of a plane's last cells also write the zeros behind the last tiles. If `flags` is not null it also looks
// at the indices, of which it sees each once.
template <int N, typename Scalar, typename Index>
DEVICE void tiles(const Scalar* __restrict__ values, const int64* __restrict__ where, Scalar* __restrict__ result,
                  uint8* flags, const Geometry<Index>& g) {
  int verdict = Own;
  for (Index item = first_item<Index>(); item < g.items; item += item_step<Index>()) {
    const Place<Index> piece(item, g.columns, g.small[1], g.one_slice);
    const Index begin = piece.column * N, depth = piece.depth * g.kernel[0], row = piece.row * g.kernel[1];
    const Index depths = piece.depth == g.small[0] - 1 ? g.large[0] - depth : g.kernel[0];
    const Index rows = piece.row == g.small[1] - 1 ? g.large[1] - row : g.kernel[1];
    const int read = static_cast<int>(lesser<Index>(N, g.small[2] - begin));
    for (int64 plane = first_plane(); plane < g.planes; plane += plane_step()) {
      const int64 first = plane * g.cells + (piece.depth * g.small[1] + piece.row) * g.small[2] + begin;
      constexpr int wide = N < 2 ? 1 : 2;
      int64 w[N];
      Scalar v[N];
#pragma unroll
      for (int n = 0; n < N; n += wide) load<wide>(where + first + n, read - n, int64(0), w + n);
      load<N>(values + first, read, Scalar(), v);
      Index named[N];
      bool found[N];
#pragma unroll
      for (int n = 0; n < N; ++n) {
        named[n] = in_bounds(w[n], g);
        found[n] = g.local;
      }
      for (Index a = 0; a < depths; ++a)
        for (Index b = 0; b < rows; ++b) {
          const Index line = ((depth + a) * g.large[1] + row + b) * g.large[2] + 2 * begin;
          const Index start = g.local ? (a * g.kernel[1] + b) * 2 : line;
          const bool inside = a < g.kernel[0] && b < g.kernel[1];
          Scalar out[2 * N];
#pragma unroll
          for (int n = 0; n < N; ++n) {
            const Index offset = named[n] - start - (g.local ? 0 : 2 * n);
            const bool left = inside && offset == 0, right = inside && offset == 1;
            out[2 * n] = left ? v[n] : Scalar();
            out[2 * n + 1] = right ? v[n] : Scalar();
            found[n] |= left || right;
          }
          store<2 * N>(result + plane * g.positions + line, 2 * read, out);
        }
#pragma unroll
      for (int n = 0; n < N; ++n)
        if (n < read) verdict = greater<int>(verdict, named[n] < 0 ? Illegal : found[n] ? Own : Elsewhere);
    }
  }
  if (flags) report(flags, verdict);
}

// Looks at every index once: one cell a thread, for several planes.
template <typename Index>
DEVICE void check(const int64* __restrict__ where, uint8* flags, const Geometry<Index>& g) {
  int verdict = Own;
  for (Index item = first_item<Index>(); item < g.items; item += item_step<Index>()) {
    const Place<Index> cell(item, g.columns, g.small[1], g.one_slice);
    const Index depth = cell.depth * g.stride[0] - g.padding[0], row = cell.row * g.stride[1] - g.padding[1];
    const Index column = cell.column * g.stride[2] - g.padding[2];
#pragma unroll 4
    for (int64 plane = first_plane(); plane < g.planes; plane += plane_step()) {
      const Index named = in_bounds(where[plane * g.items + item], g);
      if (named < 0) verdict = Illegal;
      if (named < 0 || g.local) continue;
      Index at[AXES];
      spread_out(named, at, g);
      if (!in_window(at[2] - column, 2, g) || !in_window(at[1] - row, 1, g) || !in_window(at[0] - depth, 0, g))
        verdict = greater<int>(verdict, Elsewhere);
    }
  }
  report(flags, verdict);
}

#if ENTRY == 0
KERNEL(256, sizeof(INDEX) == 4 ? 4 : 2)
unpool_gather(const SCALAR* __restrict__ values, const int64* __restrict__ where, const INDEX* __restrict__ tables,
              SCALAR* __restrict__ result, const Geometry<INDEX> g) {
  gather<SUM != 0, MANY>(values, where, tables, result, g);
}
#elif ENTRY == 1
KERNEL(256)
unpool_tiles(const SCALAR* __restrict__ values, const int64* __restrict__ where, SCALAR* __restrict__ result,
             uint8* flags, const Geometry<INDEX> g) {
  tiles<MANY>(values, where, result, flags, g);
}
#elif ENTRY == 2
KERNEL(256, sizeof(INDEX) == 4 ? 4 : 2)
unpool_check(const int64* __restrict__ where, uint8* flags, const Geometry<INDEX> g) {
  check(where, flags, g);
}
#elif ENTRY == 3
// Indices anywhere in the plane, cells sorted by what they name: the thread of a run's last cell writes its value, or
// the sum of the run from its first cell on; all positions that no cell names must be zero before. Runs name different
// positions, so none is written twice.
//
//   values   [count]   keys   [count]: the position that each cell names, counted through all planes
//   order    [count]: cell numbers, by keys, equal ones ascending
KERNEL(256)
unpool_runs(const SCALAR* __restrict__ values, const int64* __restrict__ keys, const int64* __restrict__ order,
            SCALAR* __restrict__ result, const int64 count) {
  for (int64 p = first_item<int64>(); p < count; p += item_step<int64>()) {
    const int64 key = keys[order[p]];
    if (p + 1 < count && keys[order[p + 1]] == key) continue;
    int64 first = p;
    if (SUM)
      while (first > 0 && keys[order[first - 1]] == key) --first;
    Named<SUM != 0, SCALAR> made;
    for (int64 q = first; q <= p; ++q) made.take(values[order[q]]);
    result[key] = made.result();
  }
}
#else
// Indices anywhere, cells as they come: where several name a position, any of them wins (deterministic=False).
KERNEL(256)
unpool_scatter(const SCALAR* __restrict__ values, const int64* __restrict__ keys, SCALAR* __restrict__ result,
               const int64 count) {
  for (int64 p = first_item<int64>(); p < count; p += item_step<int64>()) result[keys[p]] = values[p];
}
#endif
