// Transposed convolution as matrix products, one for each of its phases; and convolution, its gradient, of one phase.
#include "conv_transpose.cuh"
#include "mma.cuh"

#ifndef SCALAR
#define SCALAR float
#endif
// How tensor cores multiply: 0 not at all, 1 once, float32 then in TF32, 3 float32 as three products of TF32.
#ifndef TENSOR
#define TENSOR 0
#endif
// What a block makes: 0 finished values, 1 one share of their sums, 2 finished values of all shares.
#ifndef SPLIT
#define SPLIT 0
#endif
// Outputs of a block, and positions of each of its phases.
#ifndef TILE_OUTPUTS
#define TILE_OUTPUTS 128
#endif
#ifndef TILE_CELLS
#define TILE_CELLS 64
#endif
#ifndef INDEX
#define INDEX int
#endif

using Acc = AccOf<SCALAR>::type;
using Word = WordOf<TENSOR != 0, SCALAR>::type;

constexpr int CHANNELS = sizeof(Word) / sizeof(SCALAR);  // of a word
constexpr int DEPTH = sizeof(SCALAR) < 8 ? 16 : 8;       // words of a slice: what is in shared memory at a time
constexpr int WIDE = 16 / sizeof(Word);                  // words that are moved as one
constexpr int PACK = 16 / sizeof(SCALAR);                // values that are stored as one
constexpr int SUMS = TILE_OUTPUTS * TILE_CELLS / 128;    // of a thread of ordinary cores, of which there are 128
constexpr int WARP_OUTPUTS = TENSOR && TILE_OUTPUTS > 32 ? 64 : TILE_OUTPUTS < 32 ? TILE_OUTPUTS : 32;
constexpr int WARP_CELLS = TENSOR ? 32 : SUMS;           // 8 threads of SUMS / 8 sums each
constexpr int WARPS_ACROSS = TILE_CELLS / WARP_CELLS;
constexpr int THREADS = 32 * WARPS_ACROSS * (TILE_OUTPUTS / WARP_OUTPUTS);
// Rows of shared memory in words; 8 more than a multiple of 32 let the lanes of a tensor core's fragment hit all banks.
constexpr int WEIGHT_STEP = TILE_OUTPUTS + (TENSOR ? 8 : 0), CELL_STEP = TILE_CELLS + (TENSOR ? 8 : 0);
constexpr int SLICE = DEPTH * (WEIGHT_STEP + CELL_STEP);
// Channels that all taps are multiplied with in turn, and of a share of a sum: more are sums of shares, in their order,
// whichever blocks make them. Half and bfloat16 have none: their running totals would need 64 KiB more shared memory.
constexpr int TURN_CHANNELS = 32, SHARE_CHANNELS = sizeof(SCALAR) >= 4 ? 128 : 1 << 30;
constexpr int TURN = TURN_CHANNELS / (DEPTH * CHANNELS), SHARE = SHARE_CHANNELS / (DEPTH * CHANNELS);  // their slices
static_assert(THREADS % TILE_CELLS == 0 && DEPTH * TILE_CELLS % THREADS == 0);

struct Geometry {
  INDEX columns;                   // images times positions of a phase
  INDEX source_plane, result_plane;  // positions of a channel
  INDEX source[AXES], result[AXES], count[AXES];  // cells; positions of the result, and of a phase at most
  INDEX step[AXES], jump[AXES];    // from a position of a phase to its next: in the result, and among the cells
  int phases[AXES];                // that there are
  int together;                    // phases along the last axis that a block makes, so that it writes runs
  int in_runs;                     // whether rows of the result are whole packs of these phases
  int groups, channels, outputs;   // channels and outputs of a group
  int words, padded, taps;         // of the arranged weights: words of a tap, outputs with padding; taps of the kernel
  int shares;                      // of a sum, if blocks make shares
};

// For each tap of each phase, in the order of phases: the tap of the kernel, and on each axis which cell it reaches,
// from `jump` times the position's own number on.
struct __align__(16) Tap { INDEX tap, cell[AXES]; };

// What the threads of this block work on.
struct Work {
  int group, output, phase, last_phase, corner;  // the first output of the group; phases along the last axis; of all
  INDEX column;                                  // the first
  INDEX start[AXES];                             // where in the result position 0 of the first phase lies
};

DEVICE Work work_of(int64 rest, const Geometry& g) {
  Work w;
  const int tiles = (g.outputs + TILE_OUTPUTS - 1) / TILE_OUTPUTS, cuts = (g.phases[2] + g.together - 1) / g.together;
  w.output = int(rest % tiles) * TILE_OUTPUTS;
  rest /= tiles;
  w.phase = int(rest % cuts) * g.together;
  w.last_phase = lesser(w.phase + g.together, g.phases[2]);
  rest /= cuts;
  w.start[2] = w.phase;
  w.start[1] = rest % g.phases[1];
  rest /= g.phases[1];
  w.start[0] = rest % g.phases[0];
  rest /= g.phases[0];
  w.group = int(rest % g.groups);
  w.column = INDEX(rest / g.groups) * TILE_CELLS;
  w.corner = (int(w.start[0]) * g.phases[1] + int(w.start[1])) * g.phases[2];
  return w;
}

// A position of a phase: its image, and on each axis its number and the cell from which taps count.
struct Column { INDEX image, at[AXES], cell[AXES]; };

DEVICE Column column_of(INDEX column, const Geometry& g) {
  Column c;
#pragma unroll
  for (int axis = AXES - 1; axis >= 0; --axis) {
    c.at[axis] = column % g.count[axis];
    column /= g.count[axis];
    c.cell[axis] = c.at[axis] * g.jump[axis];
  }
  c.image = column;
  return c;
}

// Where in its plane the cell lies that a tap reaches, or -1: there is none.
DEVICE INDEX cell_of(const Column& c, const Tap& tap, const Geometry& g) {
  INDEX place = 0;
  bool inside = true;
#pragma unroll
  for (int axis = 0; axis < AXES; ++axis) {
    const INDEX cell = c.cell[axis] + tap.cell[axis];
    inside = inside && cell >= 0 && cell < g.source[axis];
    place = place * g.source[axis] + cell;
  }
  return inside ? place : -1;
}

// What a thread moves from memory to shared memory: in two steps, so that a slice is on its way while one is summed.
// Its cells are all of one position, its weights of rows that lie WEIGHT_ROWS apart.
struct Mover {
  static constexpr int ROWS = THREADS / TILE_CELLS, CELLS = DEPTH / ROWS;
  static constexpr int ACROSS = TILE_OUTPUTS / WIDE, WEIGHT_ROWS = THREADS / ACROSS < DEPTH ? THREADS / ACROSS : DEPTH;
  static constexpr int WEIGHTS = DEPTH / WEIGHT_ROWS;
  const SCALAR* cells_from;
  const Word* weights_from;
  Column column;
  int channels;  // from the thread's first on; none where there is no such position
  Pack<Word, WIDE> weights[WEIGHTS];
  SCALAR cells[CELLS][CHANNELS];

  DEVICE Mover(const SCALAR* x, const SCALAR* arranged, const Column& at, bool exists, const Geometry& g) : column(at) {
    const int channel = threadIdx.x / TILE_CELLS * CHANNELS;
    cells_from = x + channel * g.source_plane;
    weights_from = reinterpret_cast<const Word*>(arranged) + int64(threadIdx.x / ACROSS) * g.padded;
    weights_from += threadIdx.x % ACROSS * WIDE;
    channels = exists ? g.channels - channel : 0;
  }

  DEVICE void fetch(const Tap tap, int word, const Geometry& g) {
    const Word* from = weights_from + (int64(tap.tap) * g.words + word) * g.padded;
#pragma unroll
    for (int i = 0; i < WEIGHTS; ++i) {
      if (THREADS / ACROSS <= DEPTH || threadIdx.x < ACROSS * DEPTH)
        weights[i] = *reinterpret_cast<const Pack<Word, WIDE>*>(from);
      from += int64(WEIGHT_ROWS) * g.padded;
    }
    const INDEX place = cell_of(column, tap, g), step = g.source_plane;
    const int left = place >= 0 ? channels - word * CHANNELS : 0;
    INDEX at = word * CHANNELS * step + place;
#pragma unroll
    for (int i = 0; i < CELLS; ++i) {
#pragma unroll
      for (int c = 0; c < CHANNELS; ++c) {
        const int channel = i * ROWS * CHANNELS + c;
        cells[i][c] = channel < left ? __ldg(cells_from + at + c * step) : SCALAR(0.f);
      }
      at += ROWS * CHANNELS * step;
    }
  }

  DEVICE void put(Word* slice) const {
    Word* const to = slice + threadIdx.x / ACROSS * WEIGHT_STEP + threadIdx.x % ACROSS * WIDE;
#pragma unroll
    for (int i = 0; i < WEIGHTS; ++i) {
      Pack<Word, WIDE> made = weights[i];
      if constexpr (TENSOR == 1 && sizeof(SCALAR) == 4)
#pragma unroll
        for (int k = 0; k < WIDE; ++k) made.at[k] = tf32_bits(__uint_as_float(made.at[k]));
      if (THREADS / ACROSS <= DEPTH || threadIdx.x < ACROSS * DEPTH)
        *reinterpret_cast<Pack<Word, WIDE>*>(to + i * WEIGHT_ROWS * WEIGHT_STEP) = made;
    }
    Word* const row = slice + DEPTH * WEIGHT_STEP + threadIdx.x / TILE_CELLS * CELL_STEP + threadIdx.x % TILE_CELLS;
#pragma unroll
    for (int i = 0; i < CELLS; ++i) {
      Word made;
      if constexpr (TENSOR == 1 && sizeof(SCALAR) == 4)
        made = tf32_bits(cells[i][0]);
      else
        memcpy(&made, cells[i], sizeof(made));
      row[i * ROWS * CELL_STEP] = made;
    }
  }
};

#if TENSOR
// The sums of a thread: of each warp WARP_OUTPUTS x 32, in tiles of 16 x 8.
struct Sums {
  static constexpr int OUTPUTS = WARP_OUTPUTS / 8, CELLS = WARP_CELLS / 4, SIDE = 2;
  float sum[OUTPUTS / 2][CELLS / 2][4];

  static DEVICE int output(int i) {
    return threadIdx.x / 32 / WARPS_ACROSS * WARP_OUTPUTS + i * 8 + threadIdx.x % 32 / 4;
  }
  static DEVICE int cell(int j) {
    return threadIdx.x / 32 % WARPS_ACROSS * WARP_CELLS + j / 2 * 8 + threadIdx.x % 4 * 2 + j % 2;
  }
  DEVICE float& at(int i, int j) { return sum[i / 2][j / 2][i % 2 * 2 + j % 2]; }

  DEVICE void add(const Word* slice) {
    const int member = threadIdx.x % 4, group = threadIdx.x % 32 / 4;
    const Word* const weights = slice + member * WEIGHT_STEP + output(0);
    const Word* const cells = slice + DEPTH * WEIGHT_STEP + member * CELL_STEP + cell(0) - member * 2 + group;
#pragma unroll
    for (int word = 0; word < DEPTH; word += 8) {
      uint32 b[CELLS / 2][2], b_rest[CELLS / 2][2];
#pragma unroll
      for (int j = 0; j < CELLS / 2; ++j)
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          b[j][k] = cells[(word + k * 4) * CELL_STEP + j * 8];
          if constexpr (TENSOR == 3) split_tf32(b[j][k], b[j][k], b_rest[j][k]);
        }
#pragma unroll
      for (int i = 0; i < OUTPUTS / 2; ++i) {
        uint32 a[4], a_rest[4];
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          a[k] = weights[(word + k / 2 * 4) * WEIGHT_STEP + i * 16 + k % 2 * 8];
          if constexpr (TENSOR == 3) split_tf32(a[k], a[k], a_rest[k]);
        }
#pragma unroll
        for (int j = 0; j < CELLS / 2; ++j) {
          if constexpr (TENSOR == 3) {  // the small products first; that of both rests is below the last bit
            multiply_add<SCALAR>(sum[i][j], a_rest, b[j]);
            multiply_add<SCALAR>(sum[i][j], a, b_rest[j]);
          }
          multiply_add<SCALAR>(sum[i][j], a, b[j]);
        }
      }
    }
  }
};
#else
// The sums of a thread: of each warp 4 x 8 threads with 8 x (4 or 8) sums, in pieces that 16-byte loads bring.
struct Sums {
  static constexpr int OUTPUTS = 8, CELLS = SUMS / 8, SIDE = WIDE;
  Acc sum[OUTPUTS][CELLS];

  static DEVICE int output(int i) {
    return threadIdx.x / 32 / WARPS_ACROSS * 32 + i / WIDE * (4 * WIDE) + threadIdx.x % 32 / 8 * WIDE + i % WIDE;
  }
  static DEVICE int cell(int j) {
    return threadIdx.x / 32 % WARPS_ACROSS * WARP_CELLS + j / WIDE * (8 * WIDE) + threadIdx.x % 8 * WIDE + j % WIDE;
  }
  DEVICE Acc& at(int i, int j) { return sum[i][j]; }

  DEVICE void add(const Word* slice) {
    const Word* const weights = slice + output(0);
    const Word* const cells = slice + DEPTH * WEIGHT_STEP + cell(0);
#pragma unroll
    for (int k = 0; k < DEPTH; ++k) {
      Pack<Word, WIDE> a[OUTPUTS / WIDE], b[CELLS / WIDE];
#pragma unroll
      for (int i = 0; i < OUTPUTS / WIDE; ++i)
        a[i] = *reinterpret_cast<const Pack<Word, WIDE>*>(weights + k * WEIGHT_STEP + i * 4 * WIDE);
#pragma unroll
      for (int j = 0; j < CELLS / WIDE; ++j)
        b[j] = *reinterpret_cast<const Pack<Word, WIDE>*>(cells + k * CELL_STEP + j * 8 * WIDE);
#pragma unroll
      for (int i = 0; i < OUTPUTS; ++i)
#pragma unroll
        for (int j = 0; j < CELLS; ++j)
          sum[i][j] = fused(a[i / WIDE].at[i % WIDE], b[j / WIDE].at[j % WIDE], sum[i][j]);
    }
  }
};
#endif

constexpr int SUMS_OF_BLOCK = Sums::OUTPUTS * Sums::CELLS * THREADS;

// A thread's running totals, where its finished values will be.
DEVICE void keep_totals(Sums& sums, Acc* totals, int step) {
#pragma unroll
  for (int i = 0; i < Sums::OUTPUTS; ++i)
#pragma unroll
    for (int j = 0; j < Sums::CELLS; ++j) totals[Sums::output(i) * step + Sums::cell(j)] = sums.at(i, j);
}

DEVICE void add_totals(Sums& sums, const Acc* totals, int step) {
#pragma unroll
  for (int i = 0; i < Sums::OUTPUTS; ++i)
#pragma unroll
    for (int j = 0; j < Sums::CELLS; ++j) {
      Acc& sum = sums.at(i, j);
      sum = added(totals[Sums::output(i) * step + Sums::cell(j)], sum);
    }
}

DEVICE bool reaches_all(const Tap* taps, int count, const Column& column, const Geometry& g) {
  while (count > 0 && cell_of(column, taps[count - 1], g) >= 0) --count;
  return count == 0;
}

// One output from the cells alone that there are: where a tap reaches none, the product has added 0 times its weight,
// which is NaN for a weight that is not finite. The order of the sum is that of the product.
DEVICE Acc summed_strictly(const SCALAR* x, const SCALAR* arranged, const Tap* taps, int count, const Column& column,
                           int output, const Geometry& g) {
  Acc total = 0, sum = 0;
  for (int first = 0; first < g.channels; first += TURN_CHANNELS) {
    if (first > 0 && first % SHARE_CHANNELS == 0) {
      total = first == SHARE_CHANNELS ? sum : added(total, sum);
      sum = 0;
    }
    const int end = lesser(first + TURN_CHANNELS, g.channels);
    for (int t = 0; t < count; ++t) {
      const INDEX place = cell_of(column, taps[t], g);
      const SCALAR* const weight = arranged + (int64(taps[t].tap) * g.words * g.padded + output) * CHANNELS;
      for (int c = first; place >= 0 && c < end; ++c)
        sum = fused(widened<Acc>(weight[int64(c / CHANNELS) * g.padded * CHANNELS + c % CHANNELS]),
                    widened<Acc>(x[c * g.source_plane + place]), sum);
    }
  }
  return g.channels > SHARE_CHANNELS ? added(total, sum) : sum;
}

#if TENSOR
// The same of 16 outputs by the tensor cores of a warp: its lanes that have a `member` of 0 return outputs `group` and
// `group` + 8. A tap that reaches no cell is left out; in the product it has added +0.
DEVICE void sum_strictly_by_warp(float (&sum)[4], const SCALAR* x, const SCALAR* arranged, const Tap* taps, int count,
                                 const Column& column, const Geometry& g) {
  const int member = threadIdx.x % 4, group = threadIdx.x % 32 / 4;
  float total[4] = {};
#pragma unroll 1
  for (int first = 0; first < g.channels; first += TURN_CHANNELS) {
    if (first > 0 && first % SHARE_CHANNELS == 0) {
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        total[k] = first == SHARE_CHANNELS ? sum[k] : added(total[k], sum[k]);
        sum[k] = 0;
      }
    }
#pragma unroll 1
    for (int t = 0; t < count; ++t) {
      const INDEX place = cell_of(column, taps[t], g);
      if (place < 0) continue;
      const int begin = first / CHANNELS, end = lesser(begin + TURN_CHANNELS / CHANNELS, g.words);
#pragma unroll 1
      for (int word = begin; word < end; word += 8) {
        const Word* from = reinterpret_cast<const Word*>(arranged);
        from += (int64(taps[t].tap) * g.words + word) * g.padded;
        uint32 a[4], b[2];
        [[maybe_unused]] uint32 a_rest[4], b_rest[2];
#pragma unroll
        for (int k = 0; k < 4; ++k) a[k] = from[int64(member + k / 2 * 4) * g.padded + group + k % 2 * 8];
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          SCALAR cells[CHANNELS];
#pragma unroll
          for (int c = 0; c < CHANNELS; ++c) {
            const int channel = (word + member + k * 4) * CHANNELS + c;
            cells[c] = group == 0 && channel < g.channels ? x[channel * g.source_plane + place] : SCALAR(0.f);
          }
          memcpy(&b[k], cells, sizeof(b[k]));
        }
        if constexpr (sizeof(SCALAR) == 4) {
#pragma unroll
          for (int k = 0; k < 4; ++k) split_tf32(a[k], a[k], a_rest[k]);
#pragma unroll
          for (int k = 0; k < 2; ++k) split_tf32(b[k], b[k], b_rest[k]);
        }
        if constexpr (TENSOR == 3) {
          multiply_add<SCALAR>(sum, a_rest, b);
          multiply_add<SCALAR>(sum, a, b_rest);
        }
        multiply_add<SCALAR>(sum, a, b);
      }
    }
  }
  if (g.channels > SHARE_CHANNELS)
#pragma unroll
    for (int k = 0; k < 4; ++k) sum[k] = added(total[k], sum[k]);
}
#endif

// Stores RUN positions of PHASES phases as one, which lie side by side in the result.
template <int PHASES>
DEVICE void store_runs(const SCALAR* finished, const INDEX* places, const int* limits, SCALAR* y, int outputs, int step,
                       const Geometry& g) {
  constexpr int RUN = PACK / PHASES, RUNS = TILE_CELLS / RUN;
  for (int n = threadIdx.x; n < outputs * RUNS; n += THREADS) {
    const int output = n / RUNS, cell = n % RUNS * RUN;
    if (limits[cell] == 0) continue;
    Pack<SCALAR, RUN> part[PHASES];
#pragma unroll
    for (int p = 0; p < PHASES; ++p)
      part[p] = *reinterpret_cast<const Pack<SCALAR, RUN>*>(finished + output * step + p * TILE_CELLS + cell);
    Pack<SCALAR, PACK> made;
#pragma unroll
    for (int k = 0; k < PACK; ++k) made.at[k] = part[k % PHASES].at[k / PHASES];
    *reinterpret_cast<Pack<SCALAR, PACK>*>(y + output * g.result_plane + places[cell]) = made;
  }
}

DEVICE void store_values(const SCALAR* finished, const INDEX* places, const int* limits, SCALAR* y, int outputs,
                         int phases, int step, const Geometry& g) {
  for (int n = threadIdx.x % 32; n < TILE_CELLS * phases; n += 32) {
    const int cell = n / phases, p = n % phases;
    if (p >= limits[cell]) continue;
    for (int output = threadIdx.x / 32; output < outputs; output += THREADS / 32)
      y[output * g.result_plane + places[cell] + p] = finished[output * step + p * TILE_CELLS + cell];
  }
}

// x [images, groups * channels, *source], arranged weights (conv_transpose_weights.cu), bias [groups * outputs] or null
// -> y [images, groups * outputs, *result]. Positions of the result that have the same taps are a phase: those that
// leave one rest modulo the stride (upsample.plans.window.phases); of a convolution, all. Tap t of position j reads
// cell j * jump + cell[t]. For a phase,
//   y[output, (image, j)] = bias[output] + sum over t and channels c of
//                           weight[t, c, output] * x[image, c, j * jump + cell[t]]
// is a matrix product; `starts` says where its taps begin in `taps`.
//
// Block: TILE_OUTPUTS outputs of a group by TILE_CELLS positions, for `together` phases of the last axis, one after the
// other; blocks of the same cells (other outputs, then phases) are neighbours, for the cache. A thread fetches cells of
// one position, with zeros where there is none, sums as `Sums` says, and leaves finished phases in shared memory, from
// which the block writes runs of the result.
// Accumulator: float32, or float64; TF32 rounds factors, and three products of TF32 keep 21 of their bits. Each share
// of a sum, 128 channels, begins with +0: for each 32 channels, each tap in the order of its cells, each channel, in
// one thread (on tensor cores: in one warp). Shares add in their order, then the bias. conv_transpose_direct.cu has
// the same order. A block adds its running totals where the finished values will be; or blocks of SPLIT 1, one for each
// share, leave `part` [blocks, shares, sums of a thread, threads], and blocks of SPLIT 2 add that: the same bits,
// whatever the size of the grid.
KERNEL(THREADS, 512 / THREADS > 3 ? 3 : 512 / THREADS)
multiply(const SCALAR* __restrict__ x, const SCALAR* __restrict__ arranged, const SCALAR* __restrict__ bias,
         const Tap* __restrict__ taps, const int* __restrict__ starts, SCALAR* __restrict__ y,
#if SPLIT
         Acc* __restrict__ part,
#endif
         const Geometry g) {
  DYN_SHARED(Word, slices);
  INDEX* const places = reinterpret_cast<INDEX*>(slices + 2 * SLICE);
  int* const limits = reinterpret_cast<int*>(places + TILE_CELLS);
  SCALAR* const finished = reinterpret_cast<SCALAR*>(limits + TILE_CELLS);
  [[maybe_unused]] const int share = SPLIT == 1 ? int(blockIdx.x % g.shares) : 0;
  const int64 tile = SPLIT == 1 ? blockIdx.x / g.shares : blockIdx.x;
  const Work work = work_of(tile, g);
  const int phases = work.last_phase - work.phase, step = phases * TILE_CELLS + 8;
  const INDEX number = work.column + INDEX(threadIdx.x % TILE_CELLS);
  const bool exists = number < g.columns;
  const Column column = column_of(exists ? number : 0, g);
  const int outputs = lesser(g.outputs - work.output, TILE_OUTPUTS), channel = work.group * g.outputs + work.output;
  if (threadIdx.x < TILE_CELLS) {
    INDEX place = 0;
    bool inside = exists;
#pragma unroll
    for (int axis = 0; axis < AXES; ++axis) {
      const INDEX at = column.at[axis] * g.step[axis] + work.start[axis];
      inside = inside && at < g.result[axis];
      place = place * g.result[axis] + at;
    }
    const INDEX left = g.result[2] - (column.at[2] * g.step[2] + work.start[2]);
    places[threadIdx.x] = column.image * (g.groups * g.outputs) * g.result_plane + place;
    limits[threadIdx.x] = inside ? int(lesser(left, INDEX(phases))) : 0;
  }
  const int64 image_step = int64(g.groups) * g.channels * g.source_plane;
  x += int64(work.group) * g.channels * g.source_plane;
  arranged += ((int64(work.group) * g.taps * g.words) * g.padded + work.output) * CHANNELS;
  y += int64(channel) * g.result_plane;
#if SPLIT != 2
  const int parts = g.words / DEPTH;  // slices of a tap
  const int first_part = SPLIT == 1 ? share * SHARE : 0;
  const int last_part = SPLIT == 1 ? lesser(parts, first_part + SHARE) : parts;
  int ahead = work.corner + work.phase, first_tap = starts[ahead], last_tap = starts[ahead + 1];  // of the phase ahead
  int tap = first_tap, turn = first_part, slice = first_part, done = 0;
  const int slices_in_all = (starts[work.corner + work.last_phase] - first_tap) * (last_part - first_part);
  Mover mover(x + column.image * image_step, arranged, column, exists, g);
  const auto fetch = [&]() {
    while (first_tap == last_tap) last_tap = starts[++ahead + 1];  // a phase without taps
    mover.fetch(taps[tap], slice * DEPTH, g);
    if (++slice < last_part && slice % TURN != 0) return;
    if (++tap == last_tap) {
      turn = slice < last_part ? slice : first_part;
      if (slice == last_part) first_tap = last_tap;
      tap = first_tap;
    }
    slice = turn;
  };
  if (slices_in_all > 0) {
    fetch();
    mover.put(slices);
  }
#endif
  __syncthreads();
  for (int p = 0; p < phases; ++p) {
    const int corner = work.corner + work.phase + p, begin = starts[corner], end = starts[corner + 1];
    Sums sums = {};
#if SPLIT == 2
    const Acc* shares = part + tile * g.shares * SUMS_OF_BLOCK + threadIdx.x;
    for (int n = 0; n < g.shares; ++n, shares += SUMS_OF_BLOCK)
#pragma unroll
      for (int k = 0; k < Sums::OUTPUTS * Sums::CELLS; ++k) {
        Acc& sum = sums.at(k / Sums::CELLS, k % Sums::CELLS);
        sum = n == 0 ? shares[k * THREADS] : added(sum, shares[k * THREADS]);
      }
#else
    for (int from = first_part; from < last_part; from += SHARE) {
      for (int n = (end - begin) * lesser(last_part - from, SHARE); n > 0; --n) {
        Word* const now = slices + done % 2 * SLICE;
        const bool more = ++done < slices_in_all;
        if (more) fetch();
        sums.add(now);
        if (more) mover.put(slices + done % 2 * SLICE);
        __syncthreads();
      }
      if constexpr (SPLIT == 0 && sizeof(SCALAR) == sizeof(Acc)) {
        Acc* const totals = reinterpret_cast<Acc*>(finished) + p * TILE_CELLS;
        if (from > first_part) add_totals(sums, totals, step);
        if (from + SHARE < last_part) {
          keep_totals(sums, totals, step);
          sums = {};
        }
      }
    }
#endif
#if SPLIT == 1
    Acc* const to = part + (tile * g.shares + share) * SUMS_OF_BLOCK + threadIdx.x;
#pragma unroll
    for (int k = 0; k < Sums::OUTPUTS * Sums::CELLS; ++k) to[k * THREADS] = sums.at(k / Sums::CELLS, k % Sums::CELLS);
    return;
#else
    Acc check = 0;
#pragma unroll
    for (int i = 0; i < Sums::OUTPUTS; ++i) {
      const int output = Sums::output(i);
      const Acc shift = bias != nullptr && output < outputs ? widened<Acc>(bias[channel + output]) : Acc(0);
#pragma unroll
      for (int j = 0; j < Sums::CELLS; j += Sums::SIDE) {
        Pack<SCALAR, Sums::SIDE> made;
#pragma unroll
        for (int k = 0; k < Sums::SIDE; ++k) {
          check = fused(sums.at(i, j + k), Acc(0), check);
          made.at[k] = narrowed<SCALAR>(added(sums.at(i, j + k), shift));
        }
        *reinterpret_cast<decltype(made)*>(finished + output * step + p * TILE_CELLS + Sums::cell(j)) = made;
      }
    }
#if TENSOR
    if (!__any_sync(0xffffffffu, !(check == Acc(0)))) continue;
    __syncwarp();
#pragma unroll 1
    for (int n = 0; n < Sums::OUTPUTS / 2 * WARP_CELLS; ++n) {
      const int output = Sums::output(n / WARP_CELLS * 2), cell = Sums::cell(0) - threadIdx.x % 4 * 2 + n % WARP_CELLS;
      SCALAR* const value = finished + output * step + p * TILE_CELLS + cell;
      const bool lost[2] = {!is_finite(widened<Acc>(value[0])), !is_finite(widened<Acc>(value[8 * step]))};
      __syncwarp();  // all lanes have read what one of them writes
      if (!__any_sync(0xffffffffu, lost[0] || lost[1]) || work.column + cell >= g.columns) continue;
      const Column other = column_of(work.column + cell, g);
      // three products of an infinite factor are NaN, so that such a sum is always made again
      if (TENSOR != 3 && reaches_all(taps + begin, end - begin, other, g)) continue;
      const SCALAR* const image = x + other.image * image_step;
      const int first = output - threadIdx.x % 32 / 4;
      float again[4] = {};
      sum_strictly_by_warp(again, image, arranged + first * CHANNELS, taps + begin, end - begin, other, g);
      if (threadIdx.x % 4 != 0) continue;
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        if (!lost[k] || output + k * 8 >= outputs) continue;
        const Acc shift = bias != nullptr ? widened<Acc>(bias[channel + output + k * 8]) : Acc(0);
        Acc sum = again[2 * k];
        if (TENSOR == 3 && !is_finite(sum))
          sum = summed_strictly(image, arranged, taps + begin, end - begin, other, output + k * 8, g);
        value[k * 8 * step] = narrowed<SCALAR>(added(sum, shift));
      }
    }
#else
    if (check == Acc(0)) continue;
#pragma unroll 1
    for (int n = 0; n < Sums::OUTPUTS * Sums::CELLS; ++n) {
      const int output = Sums::output(n / Sums::CELLS), cell = Sums::cell(n % Sums::CELLS);
      SCALAR* const value = finished + output * step + p * TILE_CELLS + cell;
      if (is_finite(widened<Acc>(*value)) || output >= outputs || work.column + cell >= g.columns) continue;
      const Column other = column_of(work.column + cell, g);
      if (reaches_all(taps + begin, end - begin, other, g)) continue;
      const SCALAR* const image = x + other.image * image_step;
      const Acc shift = bias != nullptr ? widened<Acc>(bias[channel + output]) : Acc(0);
      const Acc sum = summed_strictly(image, arranged, taps + begin, end - begin, other, output, g);
      *value = narrowed<SCALAR>(added(sum, shift));
    }
#endif
#endif
  }
#if SPLIT != 1
  __syncthreads();
  const bool aligned = reinterpret_cast<uint64>(y) % 16 == 0;
  if (aligned && g.in_runs && phases == 1)
    store_runs<1>(finished, places, limits, y, outputs, step, g);
  else if (aligned && g.in_runs && phases == 2)
    store_runs<2>(finished, places, limits, y, outputs, step, g);
  else
    store_values(finished, places, limits, y, outputs, phases, step, g);
#endif
}
