// Runs CUDA C++ kernels on the CPU, for tests. Every CUDA thread of a block is a fiber of one OS
// thread; blocks run one after another. g++ or clang++, C++17, x86-64 Linux.
//
// What it finds and what it cannot see stands in emulator/__init__.py. Of CUDA's functions it has those that the
// kernels call, and no more: one that no kernel calls would be tested by nothing.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>
#include <sys/mman.h>
#include <xmmintrin.h>
#include <cuda_fp16.h>  // the real ones
#include <cuda_bf16.h>
#include <vector_functions.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define COC_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
extern "C" { void __tsan_acquire(void*); void __tsan_release(void*); }
#define COC_TSAN 1
#endif
#define COC_NOSAN __attribute__((noinline, no_sanitize_address, no_sanitize_thread, no_sanitize_undefined))

// NVIDIA's own crt/host_defines.h wins over the stand-in where it is installed: set what matters again
#undef __shared__
#undef __global__
#undef __device__
#undef __host__
#undef __launch_bounds__
#undef __forceinline__
#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define __forceinline__ inline
#define __shared__ static __attribute__((section("coc_shared")))
// what kernels/common.cuh defines for the device
#define EMULATED 1
#define KERNEL(...) static void
#define DYN_SHARED(T, name) T* const name = static_cast<T*>(coc::dyn_smem(alignof(T)))

static uint3 threadIdx, blockIdx;
static dim3 blockDim, gridDim;

namespace coc {
constexpr size_t kStack = 256 << 10, kPayload = 64, kMaxSmem = 232448;
extern "C" { extern char __start_coc_shared __attribute__((weak)), __stop_coc_shared __attribute__((weak)); }

[[noreturn]] COC_NOSAN inline void die(const std::string& m) {
  fprintf(stderr, "cuda_on_cpu: %s (block %u,%u,%u)\n", m.c_str(), blockIdx.x, blockIdx.y, blockIdx.z);
  fflush(stderr);
  abort();
}

// ---- kernel registry: unpacks void** as cuLaunchKernel does ----
struct Arg { unsigned size, pointee; char kind; bool is_const; };
template <class A> Arg arg_info() {
  if constexpr (std::is_pointer_v<A>) {
    using P = std::remove_pointer_t<A>;
    return {8, unsigned(sizeof(P)), 'p', std::is_const_v<P>};
  } else
    return {sizeof(A), 0, std::is_floating_point_v<A> ? 'f' : std::is_unsigned_v<A> ? 'u' : std::is_integral_v<A> ? 'i' : 's', false};
}
struct Kernel {
  const char* name;
  void (*call)(void* fn, void** args);
  void* fn;
  std::vector<Arg> args;
};
static std::vector<Kernel>& registry() { static std::vector<Kernel> r; return r; }
template <class... A, size_t... I> void unpack(void (*f)(A...), void** a, std::index_sequence<I...>) {
  f(*static_cast<std::remove_const_t<A>*>(a[I])...);
}
template <class... A> Kernel make_kernel(const char* name, void (*f)(A...)) {
  return {name, [](void* fn, void** a) { unpack((void (*)(A...))fn, a, std::index_sequence_for<A...>{}); },
          (void*)f, {arg_info<A>()...}};
}
struct Reg { Reg(Kernel k) { registry().push_back(std::move(k)); } };
#define COC_CAT_(a, b) a##b
#define COC_CAT(a, b) COC_CAT_(a, b)
#define COC_KERNEL(name, ...) static coc::Reg COC_CAT(coc_reg_, __COUNTER__)(coc::make_kernel(name, &__VA_ARGS__));

// ---- shared memory ----
static unsigned char* g_smem;  // dynamic: ends exactly at the requested size
static size_t g_smem_bytes, g_limit_smem = 49152;
COC_NOSAN inline void* dyn_smem(size_t align) {
  if (!g_smem_bytes) die("kernel uses dynamic shared memory but shared_mem=0");
  if (align > 16) die("dynamic shared memory is only 16-byte aligned here");
  return g_smem;
}
COC_NOSAN inline size_t static_smem() { return size_t(&__stop_coc_shared - &__start_coc_shared); }
COC_NOSAN inline void poison_smem() {  // every block starts with garbage (NaNs)
  volatile unsigned char* p = (unsigned char*)&__start_coc_shared;
  // do not touch the padding: under ASan it is the red zone, its content is unused
  for (size_t i = 0, n = static_smem(); i < n; ++i) p[i] = 0xFF;
  for (size_t i = 0; i < g_smem_bytes; ++i) ((volatile unsigned char*)g_smem)[i] = 0xFF;
}

// ---- fibers ----
enum State : unsigned char { Fresh, Ready, AtBlock, AtWarp, Done };
struct Snap { int refs; unsigned char d[32][kPayload]; };
struct Fiber;
struct Thr {
  uint3 idx; unsigned tid; State st; Fiber* f;
  const void* where; int line;                                   // waiting at
  unsigned mask; const void* pay; unsigned paysize; Snap* snap;  // warp exchange
};
struct Fiber {
  void* sp;
  unsigned char* stack; void* tsan; void* fake;
};
static Fiber g_main;
static std::vector<Fiber*> g_fibers, g_free;
static std::vector<Thr> g_thr;
static std::vector<unsigned> g_order;
static size_t g_next;  // next entry of g_order not started
static Thr* g_cur;
static Fiber* g_curf;
static const Kernel* g_k;
static void** g_args;
static unsigned g_phase;
static char g_tok_start, g_tok_end, g_tok_bar[2], g_tok_warp[32];
static std::vector<Snap*> g_snaps;
static const void* g_main_bottom; static size_t g_main_size;  // ASan: the main stack

extern "C" void coc_switch(void** save, void* to);
__asm__(".text\n.p2align 4\n.type coc_switch,@function\ncoc_switch:\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp,(%rdi)\n  movq %rsi,%rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n  ret\n"
        ".size coc_switch,.-coc_switch\n");

COC_NOSAN inline void jump(Fiber* from, Fiber* to) {
  g_curf = to;
#ifdef COC_ASAN
  __sanitizer_start_switch_fiber(&from->fake, to == &g_main ? g_main_bottom : to->stack,
                                 to == &g_main ? g_main_size : kStack);
#endif
#ifdef COC_TSAN
  __tsan_switch_to_fiber(to->tsan, __tsan_switch_to_fiber_no_sync);
#endif
  coc_switch(&from->sp, to->sp);
#ifdef COC_ASAN
  const void* b; size_t s;
  __sanitizer_finish_switch_fiber(from->fake, &b, &s);
#endif
}
// memcpy that no sanitizer intercepts
COC_NOSAN inline void copy(void* d, const void* s, size_t n) {
  for (size_t i = 0; i < n; ++i) static_cast<volatile unsigned char*>(d)[i] = static_cast<const volatile unsigned char*>(s)[i];
}

COC_NOSAN inline void start(Thr* t) { g_cur = t; threadIdx = t->idx; t->st = Ready; }
COC_NOSAN inline void acquire(void* p) {
#ifdef COC_TSAN
  __tsan_acquire(p);
#else
  (void)p;
#endif
}
COC_NOSAN inline void release(void* p) {
#ifdef COC_TSAN
  __tsan_release(p);
#else
  (void)p;
#endif
}
COC_NOSAN inline void fiber_main() {
#ifdef COC_ASAN
  const void* b; size_t s;
  __sanitizer_finish_switch_fiber(nullptr, &b, &s);
  if (!g_main_bottom) { g_main_bottom = b; g_main_size = s; }
#endif
  Fiber* self = g_curf;
  for (;;) {
    acquire(&g_tok_start);
    g_k->call(g_k->fn, g_args);
    release(&g_tok_end);
    g_cur->st = Done;
#ifndef COC_TSAN  // the same fiber goes on with the next thread: no switch for kernels without barriers
    if (g_next < g_order.size()) { Thr* t = &g_thr[g_order[g_next++]]; t->f = self; start(t); continue; }
#endif
    jump(self, &g_main);
  }
}
COC_NOSAN inline Fiber* new_fiber() {
  Fiber* f = new Fiber();
  unsigned char* m = (unsigned char*)mmap(nullptr, kStack + 4096, PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  mprotect(m, 4096, PROT_NONE);
  f->stack = m + 4096;
  void** sp = (void**)(f->stack + kStack - 64);  // 16-aligned; "ret" pops fiber_main, so sp % 16 == 8 there
  *--sp = nullptr; *--sp = (void*)fiber_main;
  for (int i = 0; i < 6; ++i) *--sp = nullptr;
  f->sp = sp;
#ifdef COC_TSAN
  f->tsan = __tsan_create_fiber(0);
#endif
  g_fibers.push_back(f);
  return f;
}
COC_NOSAN inline void resume(Thr* t) {
  if (!t->f) {
    if (g_free.empty()) g_free.push_back(new_fiber());
    t->f = g_free.back();
    g_free.pop_back();
  }
  Fiber* f = t->f;
  start(t);
  jump(&g_main, f);
}
COC_NOSAN inline void wait_here(State s, int line) {
  Thr* me = g_cur;
  me->line = line; me->st = s;
  jump(me->f, &g_main);
}
COC_NOSAN inline void block_barrier(int line) {
  const unsigned ph = g_phase & 1;
  release(&g_tok_bar[ph]);
  wait_here(AtBlock, line);
  acquire(&g_tok_bar[ph]);
}
template <class T> struct All { T v[32]; };
// every lane of mask contributes a T and sees everybody's
template <class T> COC_NOSAN All<T> warp_exchange(unsigned mask, const T& mine, int line) {
  static_assert(sizeof(T) <= kPayload && std::is_trivially_copyable_v<T>);
  Thr* me = g_cur;
  if (!(mask >> (me->tid & 31) & 1)) die("line " + std::to_string(line) + ": lane not in its own mask");
  me->mask = mask; me->pay = &mine; me->paysize = sizeof(T);
  wait_here(AtWarp, line);
  All<T> r;
  for (int i = 0; i < 32; ++i) if (mask >> i & 1) copy(&r.v[i], me->snap->d[i], sizeof(T));
  --me->snap->refs;
  return r;
}
COC_NOSAN inline void report_deadlock(const char* why) {
  std::string m = std::string(why) + ":";
  int shown = 0;
  for (auto& t : g_thr) {
    if (shown++ == 6) { m += " ..."; break; }
    m += " t" + std::to_string(t.tid) + (t.st == Done ? "=exited" : (t.st == AtBlock ? "=__syncthreads@" : "=warp-op@") + std::to_string(t.line));
  }
  die(m);
}
COC_NOSAN inline bool complete_warps() {
  bool any = false;
  for (size_t w = 0; w < g_thr.size(); w += 32)
    for (unsigned l = 0; l < 32 && w + l < g_thr.size(); ++l) {
      Thr& t = g_thr[w + l];
      if (t.st != AtWarp) continue;
      bool ok = true;
      for (unsigned j = 0; j < 32; ++j) {
        if (!(t.mask >> j & 1)) continue;
        if (w + j >= g_thr.size()) { if (t.mask != 0xffffffffu) die("mask names lanes that do not exist"); continue; }
        Thr& o = g_thr[w + j];
        if (o.st == Done) report_deadlock("warp operation names a lane that has exited");
        ok = ok && o.st == AtWarp && o.mask == t.mask && o.paysize == t.paysize;
      }
      if (!ok) continue;
      Snap* s = nullptr;
      for (Snap* c : g_snaps) if (!c->refs) { s = c; break; }
      if (!s) g_snaps.push_back(s = new Snap());
      s->refs = 0;
      const unsigned mask = t.mask;
      for (unsigned j = 0; j < 32 && w + j < g_thr.size(); ++j)
        if (mask >> j & 1) {
          Thr& o = g_thr[w + j];
          copy(s->d[j], o.pay, o.paysize);
          o.snap = s; o.st = Ready; ++s->refs;
        }
      any = true;
    }
  return any;
}
COC_NOSAN inline void run_block(size_t nth) {
  poison_smem();
  for (auto& t : g_thr) { t.st = Fresh; t.f = nullptr; }
  g_next = 0; g_phase = 0;
#ifdef COC_TSAN  // thread t of the next block gets another fiber than thread t of this one
  while (g_fibers.size() <= g_thr.size()) new_fiber();
  g_free = g_fibers;
  std::rotate(g_free.begin(), g_free.begin() + long(nth % g_free.size()), g_free.end());
#else
  (void)nth;
  g_free = g_fibers;
#endif
  release(&g_tok_start);
  for (size_t left = g_thr.size(); left;) {
    // run everybody up to the next stop
    for (size_t i = 0; i < g_order.size(); ++i) {
      Thr& t = g_thr[g_order[i]];
      if (t.st == Fresh) g_next = i + 1;
      if (t.st == Fresh || t.st == Ready) resume(&t);
    }
    left = 0; size_t at_block = 0;
    for (auto& t : g_thr) { left += t.st != Done; at_block += t.st == AtBlock; }
    if (!left) break;
    if (complete_warps()) continue;
    if (at_block != g_thr.size()) report_deadlock("threads do not all reach the same barrier");
    for (auto& t : g_thr) { if (t.line != g_thr[0].line) report_deadlock("threads wait at different __syncthreads"); t.st = Ready; }
    ++g_phase;
  }
}

struct Ftz {  // CuPy compiles kernels with -ftz=true
  unsigned old = _mm_getcsr();
  Ftz(bool on) { if (on) _mm_setcsr(old | 0x8040); }
  ~Ftz() { _mm_setcsr(old); }
};

// order: 0 forward, 1 reverse, else a seed (threads and blocks shuffled)
COC_NOSAN inline void launch(const Kernel& k, dim3 g, dim3 b, size_t smem, void** args, unsigned order, bool ftz) {
  const size_t nt = size_t(b.x) * b.y * b.z, nb = size_t(g.x) * g.y * g.z;
  if (!nt || nt > 1024 || b.z > 64) die("invalid block size " + std::to_string(nt));
  if (!nb || g.x > 0x7fffffffu || g.y > 65535 || g.z > 65535) die("invalid grid size");
  if (smem + static_smem() > g_limit_smem) die("shared memory over the limit: " + std::to_string(smem + static_smem()));
  gridDim = g; blockDim = b;
  std::vector<void*> mem;  // dynamic shared memory: exact size, ASan's red zone follows
  g_smem_bytes = smem;
  Ftz f(ftz);
  std::mt19937 rng(order);
  std::vector<size_t> blocks(nb);
  for (size_t i = 0; i < nb; ++i) blocks[i] = order == 1 ? nb - 1 - i : i;
  if (order > 1) std::shuffle(blocks.begin(), blocks.end(), rng);
  g_k = &k; g_args = args;
  g_thr.assign(nt, Thr{}); g_order.resize(nt);
  for (unsigned t = 0; t < nt; ++t) {
    g_thr[t].tid = t;
    g_thr[t].idx = {t % b.x, t / b.x % b.y, t / (b.x * b.y)};
    g_order[t] = order == 1 ? unsigned(nt) - 1 - t : t;
  }
  if (order > 1) std::shuffle(g_order.begin(), g_order.end(), rng);
#ifdef COC_TSAN
  if (!g_main.tsan) g_main.tsan = __tsan_get_current_fiber();
#endif
  // TSan: blocks stay unordered among themselves, so that races between blocks are seen too; that
  // needs new shared memory for each, which static arrays cannot have: then blocks are ordered.
  const bool order_blocks = static_smem() > 0;
  size_t nth = 0;
  for (size_t i : blocks) {
    blockIdx = {unsigned(i % g.x), unsigned(i / g.x % g.y), unsigned(i / (size_t(g.x) * g.y))};
#ifdef COC_TSAN
    const bool fresh = true;
#else
    const bool fresh = mem.empty();
#endif
    if (smem && fresh) { mem.push_back(aligned_alloc(16, smem)); g_smem = (unsigned char*)mem.back(); }
    run_block(nth++);
    if (order_blocks) acquire(&g_tok_end);
  }
  acquire(&g_tok_end);
  for (void* m : mem) free(m);
}
}  // namespace coc

// ---- what kernels call ----
#define __syncthreads() coc::block_barrier(__LINE__)
template <class T> T coc_sel(const coc::All<T>& a, unsigned mask, int src, T own) {
  if (src < 0 || src > 31) return own;
  if (!(mask >> src & 1)) coc::die("shuffle reads a lane outside its mask");
  return a.v[src];
}
#define COC_LANE int(coc::g_cur->tid & 31)
#define COC_SHFL(name, type, expr)                                                              \
  template <class T> T coc_##name(int line, unsigned m, T v, type p, int w = 32) {              \
    const auto all = coc::warp_exchange(m, v, line);                                            \
    const int lane = COC_LANE, base = lane & ~(w - 1);                                          \
    int src = (expr);                                                                           \
    if (src < base || src >= base + w) src = lane;                                              \
    return coc_sel(all, m, src, v);                                                             \
  }
COC_SHFL(shfl, int, base + (p & (w - 1)))
COC_SHFL(shfl_xor, int, lane ^ p)
COC_SHFL(shfl_down, unsigned, lane + int(p))
COC_SHFL(shfl_up, unsigned, lane - int(p))
#define __shfl_sync(...) coc_shfl(__LINE__, __VA_ARGS__)
#define __shfl_xor_sync(...) coc_shfl_xor(__LINE__, __VA_ARGS__)
#define __shfl_down_sync(...) coc_shfl_down(__LINE__, __VA_ARGS__)
#define __shfl_up_sync(...) coc_shfl_up(__LINE__, __VA_ARGS__)
inline unsigned coc_ballot(unsigned m, int p, int line) {
  const auto all = coc::warp_exchange(m, p != 0, line);
  unsigned r = 0;
  for (int i = 0; i < 32; ++i) if (m >> i & 1 && all.v[i] == 1) r |= 1u << i;
  return r;
}
#define __ballot_sync(m, p) coc_ballot(m, p, __LINE__)
#define __any_sync(m, p) (coc_ballot(m, p, __LINE__) != 0)
COC_NOSAN inline void coc_syncwarp(unsigned m, int line) {
  char* tok = &coc::g_tok_warp[coc::g_cur->tid >> 5];
  coc::release(tok);
  coc::warp_exchange(m, 0, line);
  coc::acquire(tok);
}
#define COC_SYNCWARP(m, ...) coc_syncwarp(m, __LINE__)
#define __syncwarp(...) COC_SYNCWARP(__VA_ARGS__ __VA_OPT__(, ) 0xffffffffu, 0)

template <class T> inline T __ldg(const T* p) { return *p; }
inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
  const unsigned long long bytes = (static_cast<unsigned long long>(high) << 32) | low;
  unsigned r = 0;
  for (int i = 0; i < 4; ++i) r |= static_cast<unsigned>(bytes >> 8 * (selector >> 4 * i & 7) & 255) << 8 * i;
  return r;
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) {
  const unsigned long long both = (static_cast<unsigned long long>(high) << 32) | low;
  return static_cast<unsigned>(both >> (by & 31));
}
template <class A, class B, class = std::enable_if_t<std::is_arithmetic_v<A> && std::is_arithmetic_v<B>>>
constexpr std::common_type_t<A, B> min(A a, B b) { using C = std::common_type_t<A, B>; return C(b) < C(a) ? C(b) : C(a); }
template <class A, class B, class = std::enable_if_t<std::is_arithmetic_v<A> && std::is_arithmetic_v<B>>>
constexpr std::common_type_t<A, B> max(A a, B b) { using C = std::common_type_t<A, B>; return C(a) < C(b) ? C(b) : C(a); }
template <class T, class F> inline T coc_bits(F v) { T r; static_assert(sizeof(T) == sizeof(F)); memcpy(&r, &v, sizeof r); return r; }
inline bool coc_tiny(float v) { return (coc_bits<unsigned>(v) & 0x7f800000u) == 0; }  // zero, or subnormal
inline float __fmaf_ieee_rn(float a, float b, float c) {  // ignores -ftz=true
  const float fast = fmaf(a, b, c);
  if (!(coc_tiny(a) || coc_tiny(b) || coc_tiny(c) || coc_tiny(fast))) return fast;
  const unsigned old = _mm_getcsr();
  _mm_setcsr(old & ~0x8040u);
  volatile float x = a, y = b, z = c;
  const volatile float exact = fmaf(x, y, z);
  _mm_setcsr(old);
  return exact;
}
inline unsigned __float_as_uint(float v) { return coc_bits<unsigned>(v); }
inline float __uint_as_float(unsigned v) { return coc_bits<float>(v); }

#include "mma_on_cpu.h"

// ---- C entry points ----
extern "C" {
int coc_count() { return int(coc::registry().size()); }
const char* coc_name(int k) { return coc::registry()[size_t(k)].name; }
int coc_nargs(int k) { return int(coc::registry()[size_t(k)].args.size()); }
coc::Arg coc_arg(int k, int i) { return coc::registry()[size_t(k)].args[size_t(i)]; }
void coc_smem_limit(size_t n) { coc::g_limit_smem = std::min(n, coc::kMaxSmem); }
void coc_launch(int k, const unsigned* g, const unsigned* b, size_t smem, void** args, unsigned order, int ftz) {
  coc::launch(coc::registry()[size_t(k)], dim3(g[0], g[1], g[2]), dim3(b[0], b[1], b[2]), smem, args, order, ftz != 0);
}
}
