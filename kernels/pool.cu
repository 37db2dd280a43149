// Max-pooling of the last one to three axes: maxima, and with `indices` not null their places. Twin of
// engines/portable/pool/driver.py.
//
//   x        [planes, large 0, large 1, large 2]
//   values   [planes, small 0, small 1, small 2]
//   indices  the same shape, int64
//
// Values are compared as integers that have their order, and moved as they are: so a NaN keeps its bits, and
// subnormals count although the compiler flushes them in float arithmetic (CuPy compiles with -ftz=true).
//
// Every cell is made by one thread, which meets its window's taps in row-major order: deterministic, and the first of
// equal maxima wins. Plane starts are 64-bit; `Index` counts within a plane.
#include "windows.cuh"

#ifndef SCALAR
#define SCALAR int  // the bits of a value: signed for floats, as the values are for integers
#endif
#ifndef FLOATING
#define FLOATING 1  // whether they are the bits of a float
#endif
#ifndef INDEX
#define INDEX int
#endif
#ifndef WINDOW
#define WINDOW 2  // taps along a row, of pool_pairs
#endif
#ifndef CELLS
#define CELLS 2  // that a thread of pool_pairs makes
#endif

template <typename Index>
struct Geometry {
  int64 planes, positions, cells;  // positions and cells of a plane
  int64 infinity, lowest;          // bits of infinity and of what padding is
  Index items, columns;            // pieces of a plane, of a row
  Index large[AXES], small[AXES];
  Index step[AXES];       // positions between two taps of a window
  Index weight[AXES];     // what an index counts in
  Index count_step[AXES]; // by how much a tap raises what is counted along an axis, before the weight
  Index table[AXES];      // where an axis's tables begin
  int one_slice, local, last_nan;
};

// Along an axis, for a cell: the first position inside; how many taps are inside; what an index counts at the first.
template <typename Index>
struct Taps {
  Index first, count, number;
  DEVICE Taps(const Index* __restrict__ tables, const Geometry<Index>& g, int axis, Index cell) {
    const Index* const at = tables + g.table[axis] + cell;
    first = at[0];
    count = at[g.small[axis]];
    number = at[2 * g.small[axis]];
  }
};

// What a value is compared and kept in: registers have 32 bits or 64.
template <typename Scalar, bool Narrow = (sizeof(Scalar) < 4)>
struct Register {
  using type = Scalar;
};
template <typename Scalar>
struct Register<Scalar, true> {
  using type = int;
};

// All bits of a float but its sign.
template <typename Scalar>
constexpr Scalar UNSIGNED_BITS = static_cast<Scalar>(~(1ull << (8 * sizeof(Scalar) - 1)));

// The order of floats as an order of integers, in which both zeros are 0 and every NaN is the largest.
template <bool Floating, typename Scalar, typename Wide>
DEVICE Wide ordered(Wide bits, Wide infinity) {
  if constexpr (Floating) {
    constexpr Wide nan = UNSIGNED_BITS<Scalar>;
    const Wide magnitude = bits & nan;
    const Wide order = bits < 0 ? -magnitude : magnitude;
    return magnitude > infinity ? nan : order;
  } else {
    return bits;
  }
}

// The largest value so far and its place. `cap` is the largest order where the first NaN stays, and one less where the
// last one replaces it: a NaN alone is above that.
template <bool Floating, typename Scalar, typename Index>
struct Best {
  using Wide = typename Register<Scalar>::type;
  Wide value, order;
  Index place;
  DEVICE void offer(Wide v, Index at, Wide infinity, Wide cap) {
    const Wide o = ordered<Floating, Scalar>(v, infinity);
    if (o > order) {
      value = v;
      place = at;
      order = Floating ? lesser(o, cap) : o;
    }
  }
};

template <typename Scalar, typename Index>
DEVICE typename Register<Scalar>::type cap_of(const Geometry<Index>& g) {
  return UNSIGNED_BITS<Scalar> - (g.last_nan ? 1 : 0);
}

// Any window: one cell a thread, for several planes. Four taps of a row are read together, and of two rows where they
// have no more, so that their loads are in flight at once; what lies outside is the lowest value, which never wins.
template <bool Floating, typename Scalar, typename Index>
DEVICE void cells(const Scalar* __restrict__ x, Scalar* __restrict__ values, int64* __restrict__ indices,
                  const Index* __restrict__ tables, const Geometry<Index>& g) {
  constexpr int rows = 2, columns = 4;
  using Wide = typename Register<Scalar>::type;
  const Wide infinity = static_cast<Wide>(g.infinity), lowest = static_cast<Wide>(g.lowest);
  const Wide cap = cap_of<Scalar>(g);
  const Index items_step = static_cast<Index>(gridDim.x) * static_cast<Index>(blockDim.x);
  for (Index item = static_cast<Index>(blockIdx.x) * static_cast<Index>(blockDim.x) + static_cast<Index>(threadIdx.x);
       item < g.items; item += items_step) {
    const Place<Index> cell(item, g.columns, g.small[1], g.one_slice);
    const Taps<Index> depth(tables, g, 0, cell.depth), row(tables, g, 1, cell.row), column(tables, g, 2, cell.column);
    const Index number = depth.number * g.weight[0] + row.number * g.weight[1] + column.number;
    const int together = column.count > columns ? 1 : rows;  // a row's taps all come before the next row's
    for (int64 plane = static_cast<int64>(blockIdx.y) * blockDim.y + threadIdx.y; plane < g.planes;
         plane += static_cast<int64>(gridDim.y) * blockDim.y) {
      Best<Floating, Scalar, Index> best{lowest, ordered<Floating, Scalar>(lowest, infinity),
                                         g.local ? Index(0) : number};
      for (Index i = 0; i < depth.count; ++i)
        for (Index j = 0; j < row.count; j += together) {
          const Scalar* const line =
              x + plane * g.positions +
              ((depth.first + i * g.step[0]) * g.large[1] + row.first + j * g.step[1]) * g.large[2] + column.first;
          const Index start = number + i * g.count_step[0] * g.weight[0] + j * g.count_step[1] * g.weight[1];
          for (Index k = 0; k < column.count; k += columns) {
            Wide v[rows][columns];
#pragma unroll
            for (int r = 0; r < rows; ++r)
#pragma unroll
              for (int c = 0; c < columns; ++c) {
                v[r][c] = lowest;
                if (r < together && j + r < row.count && k + c < column.count)
                  v[r][c] = line[r * g.step[1] * g.large[2] + (k + c) * g.step[2]];
              }
#pragma unroll
            for (int r = 0; r < rows; ++r)
#pragma unroll
              for (int c = 0; c < columns; ++c)
                best.offer(v[r][c], start + r * g.count_step[1] * g.weight[1] + (k + c) * g.count_step[2], infinity,
                           cap);
          }
        }
      const int64 at = plane * g.items + item;
      values[at] = static_cast<Scalar>(best.value);
      if (indices) indices[at] = best.place;
    }
  }
}

// Rows of windows at stride 2 along the last axis, of two taps without padding or of three with one position of it;
// any windows along the axes before. A thread makes N neighbouring cells: 2 N neighbouring values of each row of taps,
// read in one piece, and for three taps the one before them. As many rows as taps are read together.
template <bool Floating, int Window, int N, typename Scalar, typename Index>
DEVICE void pairs(const Scalar* __restrict__ x, Scalar* __restrict__ values, int64* __restrict__ indices,
                  const Index* __restrict__ tables, const Geometry<Index>& g) {
  constexpr int before = Window - 2, reach = 2 * N + before;
  using Wide = typename Register<Scalar>::type;
  const Wide infinity = static_cast<Wide>(g.infinity), lowest = static_cast<Wide>(g.lowest);
  const Wide cap = cap_of<Scalar>(g);
  const Index items_step = static_cast<Index>(gridDim.x) * static_cast<Index>(blockDim.x);
  for (Index item = static_cast<Index>(blockIdx.x) * static_cast<Index>(blockDim.x) + static_cast<Index>(threadIdx.x);
       item < g.items; item += items_step) {
    const Place<Index> piece(item, g.columns, g.small[1], g.one_slice);
    const Taps<Index> depth(tables, g, 0, piece.depth), row(tables, g, 1, piece.row);
    const Index number = depth.number * g.weight[0] + row.number * g.weight[1];
    const Index begin = piece.column * (2 * N);  // the first position of the whole piece
    const int inside = static_cast<int>(greater<Index>(lesser<Index>(2 * N, g.large[2] - begin), -1));
    const int made = static_cast<int>(lesser<Index>(N, g.small[2] - piece.column * N));
    const Index first = g.local ? 0 : begin - before;
    const Index apart = g.local ? 0 : 2;
    for (int64 plane = static_cast<int64>(blockIdx.y) * blockDim.y + threadIdx.y; plane < g.planes;
         plane += static_cast<int64>(gridDim.y) * blockDim.y) {
      Best<Floating, Scalar, Index> best[N];
#pragma unroll
      for (int n = 0; n < N; ++n)
        best[n] = {lowest, ordered<Floating, Scalar>(lowest, infinity),
                   g.local ? Index(0) : number + greater<Index>(first + 2 * n, 0)};
      for (Index i = 0; i < depth.count; ++i)
        for (Index j = 0; j < row.count; j += Window) {
          const Scalar* const line = x + plane * g.positions +
                                     ((depth.first + i * g.step[0]) * g.large[1] + row.first + j * g.step[1]) *
                                         g.large[2] +
                                     begin;
          const Index start = number + i * g.count_step[0] * g.weight[0] + j * g.count_step[1] * g.weight[1] + first;
          Scalar v[Window][reach];
#pragma unroll
          for (int r = 0; r < Window; ++r) {
            const bool here = j + r < row.count;
            const Scalar* const from = line + r * g.step[1] * g.large[2];
            if (before) v[r][0] = static_cast<Scalar>(lowest);
            if (before && here && begin > 0 && inside >= 0) v[r][0] = from[-1];
            load<2 * N>(from, here ? inside : 0, static_cast<Scalar>(lowest), v[r] + before);
          }
#pragma unroll
          for (int r = 0; r < Window; ++r)
#pragma unroll
            for (int n = 0; n < N; ++n)
#pragma unroll
              for (int t = 0; t < Window; ++t)
                best[n].offer(v[r][2 * n + t], start + r * g.count_step[1] * g.weight[1] + n * apart + t, infinity,
                              cap);
        }
      Scalar maxima[N];
      int64 places[N];
#pragma unroll
      for (int n = 0; n < N; ++n) {
        maxima[n] = static_cast<Scalar>(best[n].value);
        places[n] = best[n].place;
      }
      const int64 at = plane * g.cells + (piece.depth * g.small[1] + piece.row) * g.small[2] + piece.column * N;
      store<N>(values + at, made, maxima);
      if (!indices) continue;
      constexpr int wide = N < 2 ? 1 : 2;
#pragma unroll
      for (int n = 0; n < N; n += wide) store<wide>(indices + at + n, made - n, places + n);
    }
  }
}

KERNEL(256, sizeof(INDEX) == 4 ? 4 : 2)
pool_cells(const SCALAR* __restrict__ x, const INDEX* __restrict__ tables, SCALAR* __restrict__ values,
           int64* __restrict__ indices, const Geometry<INDEX> g) {
  cells<FLOATING != 0>(x, values, indices, tables, g);
}

KERNEL(256, WINDOW * CELLS > 8 ? 3 : 4)
pool_pairs(const SCALAR* __restrict__ x, const INDEX* __restrict__ tables, SCALAR* __restrict__ values,
           int64* __restrict__ indices, const Geometry<INDEX> g) {
  pairs<FLOATING != 0, WINDOW, CELLS>(x, values, indices, tables, g);
}
