// The emulation itself: does it do what a GPU does, and does it find what a GPU would punish?
#include "common/half.h"
#include "common/sizes.h"
#include "common/warp.h"
#include "testing/testing.h"

namespace edgesynth {
namespace {

using testing::DeviceArray;
using testing::ForEveryOrder;

template <int kThreads>
__global__ void ReverseKernel(int* values) {
    ES_SHARED(int, tile, [kThreads]);
    int const i = static_cast<int>(threadIdx.x);
    tile[i] = values[blockIdx.x * kThreads + threadIdx.x];
    __syncthreads();
    values[blockIdx.x * kThreads + threadIdx.x] = tile[kThreads - 1 - i];
}

ES_TEST(SharedMemoryAndBarriers) {
    ForEveryOrder("64 blocks of 96 threads", [] {
        std::vector<int> values(64 * 96);
        for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int>(i);
        DeviceArray<int> device(values);
        ES_EXPECT_CUDA(ES_LAUNCH((ReverseKernel<96>), 64, 96, 0, nullptr, device.get()));
        std::vector<int> const result = device.Host();
        for (int i = 0; i < 64 * 96; ++i) {
            int const expected = i / 96 * 96 + 95 - i % 96;
            ES_EXPECT(result[static_cast<size_t>(i)] == expected, "[%d]", i);
        }
    });
}

__global__ void WarpKernel(int* out) {
    int const lane = LaneId();
    int const i = static_cast<int>(threadIdx.x);
    int total = 0;
    out[i] = WarpSum(lane);
    out[i + 64] = RankInWarp(lane % 3 == 0, &total) + 100 * total;
    out[i + 128] = __shfl_up_sync(kFullMask, lane, 4, 8);
    out[i + 192] = __shfl_down_sync(kFullMask, lane, 4, 8);
    out[i + 256] = __shfl_sync(kFullMask, lane, 9, 8);
    out[i + 320] = static_cast<int>(__any_sync(kFullMask, lane == 31)) +
                   2 * static_cast<int>(__all_sync(kFullMask, lane < 31)) +
                   4 * (__syncthreads_count(lane == 5) == 2) +
                   8 * static_cast<int>(__syncthreads_or(i == 63)) +
                   16 * static_cast<int>(__syncthreads_and(i == 63));
}

ES_TEST(WarpIntrinsics) {
    ForEveryOrder("two warps", [] {
        DeviceArray<int> device(6 * 64);
        ES_EXPECT_CUDA(ES_LAUNCH(WarpKernel, 1, 64, 0, nullptr, device.get()));
        std::vector<int> const result = device.Host();
        for (int i = 0; i < 64; ++i) {
            int const lane = i % 32;
            int const expected[] = {496,
                                    (lane + 2) / 3 + 1100,
                                    lane % 8 < 4 ? lane : lane - 4,
                                    lane % 8 < 4 ? lane + 4 : lane,
                                    lane / 8 * 8 + 1,
                                    1 + 4 + 8};
            for (int part = 0; part < 6; ++part) {
                int const value = result[static_cast<size_t>(64 * part + i)];
                ES_EXPECT(value == expected[part], "part %d lane %d: %d", part, i, value);
            }
        }
    });
}

__global__ void AtomicKernel(int* sum, unsigned int* largest, int* scratch_seen) {
    ES_DYNAMIC_SHARED(int, scratch);
    if (threadIdx.x == 0) scratch[0] = 0;
    __syncthreads();
    atomicAdd(&scratch[0], 1);
    atomicMax(largest, blockIdx.x * blockDim.x + threadIdx.x);
    __syncthreads();
    if (threadIdx.x == 0) {
        atomicAdd(sum, scratch[0]);
        scratch_seen[blockIdx.x] = scratch[0];
    }
}

ES_TEST(AtomicsAndDynamicSharedMemory) {
    ForEveryOrder("5 blocks of 33 threads", [] {
        DeviceArray<int> sum(std::vector<int>{0});
        DeviceArray<unsigned int> largest(std::vector<unsigned int>{0});
        DeviceArray<int> seen(5);
        ES_EXPECT_CUDA(ES_LAUNCH(AtomicKernel, 5, 33, sizeof(int), nullptr, sum.get(),
                                 largest.get(), seen.get()));
        ES_EXPECT(sum.Host()[0] == 165, "%d", sum.Host()[0]);
        ES_EXPECT(largest.Host()[0] == 164, "%u", largest.Host()[0]);
        ES_EXPECT(seen.Host()[4] == 33, "%d", seen.Host()[4]);
    });
}

// A forgotten barrier: reads its neighbour's element before, or after, that one wrote it.
__global__ void RacyKernel(int* values) {
    ES_SHARED(int, tile, [64]);
    tile[threadIdx.x] = 1;
    values[threadIdx.x] = tile[(threadIdx.x + 1) % 64];
}

ES_TEST(UnwrittenSharedMemoryShows) {
    for (emulation::Order const order : {emulation::Order::kForward, emulation::Order::kReverse}) {
        emulation::SetOrder(order);
        DeviceArray<int> device(64);
        ES_EXPECT_CUDA(ES_LAUNCH(RacyKernel, 1, 64, 0, nullptr, device.get()));
        std::vector<int> const result = device.Host();
        int unwritten = 0;
        for (int const value : result) unwritten += value == -1 ? 1 : 0;
        ES_EXPECT(unwritten > 0, "the race went unnoticed");
    }
    emulation::SetOrder(emulation::Order::kForward);
}

__global__ void EarlyReturnKernel(int count) {
    if (static_cast<int>(threadIdx.x) >= count) return;
    __syncthreads();
}

__global__ void TwoBarriersKernel() {
    if (threadIdx.x < 32) {
        __syncthreads();
    } else {
        __syncthreads();
    }
}

__global__ void DivergentShuffleKernel(int* out) {
    int value = 1;
    if (threadIdx.x < 16) value = __shfl_xor_sync(kFullMask, value, 1);
    *out = value;
}

__global__ void MixedVotesKernel(int* out) {
    *out = threadIdx.x < 16 ? __shfl_xor_sync(kFullMask, 1, 1)
                            : static_cast<int>(__ballot_sync(kFullMask, true));
}

__global__ void TooMuchSharedKernel() {
    ES_SHARED(float, large, [12000]);
    ES_SHARED(float, small, [289]);
    large[0] = small[0];
}

void ExpectLaunchFailure(cudaError_t status, char const* part) {
    ES_EXPECT(status == cudaErrorLaunchFailure, "status %d", static_cast<int>(status));
    ES_EXPECT(std::strstr(emulation::LastMessage(), part) != nullptr, "message: %s",
              emulation::LastMessage());
    cudaGetLastError();
}

ES_TEST(DivergenceIsALaunchFailure) {
    ForEveryOrder("wrong kernels", [] {
        DeviceArray<int> out(1);
        ExpectLaunchFailure(ES_LAUNCH(EarlyReturnKernel, 3, 64, 0, nullptr, 40),
                            "24 have left the kernel");
        ExpectLaunchFailure((emulation::Launch(TwoBarriersKernel, 1, 64, 0, nullptr)),
                            "others at the one in");
        ExpectLaunchFailure(ES_LAUNCH(DivergentShuffleKernel, 1, 32, 0, nullptr, out.get()),
                            "in a warp intrinsic");
        ExpectLaunchFailure(ES_LAUNCH(MixedVotesKernel, 1, 32, 0, nullptr, out.get()),
                            "others of its warp");
        ExpectLaunchFailure(ES_LAUNCH(DivergentShuffleKernel, 1, 16, 0, nullptr, out.get()),
                            "a warp of 32 threads");
        ExpectLaunchFailure((emulation::Launch(TooMuchSharedKernel, 1, 32, 0, nullptr)),
                            "of shared memory");
        ExpectLaunchFailure(
            ES_LAUNCH(AtomicKernel, 1, 32, 0, nullptr, out.get(), nullptr, out.get()),
            "launched with none");
        ES_EXPECT_CUDA(ES_LAUNCH(EarlyReturnKernel, 3, 64, 0, nullptr, 64));  // all is well again
    });
}

ES_TEST(ImpossibleLaunchesAreRefused) {
    struct {
        dim3 grid, block;
        size_t shared;
        char const* why;
    } const launches[] = {{dim3(0), dim3(32), 0, "no block"},
                          {dim3(1), dim3(0), 0, "no thread"},
                          {dim3(1), dim3(1025), 0, "over 1024 threads"},
                          {dim3(1), dim3(32, 32, 2), 0, "over 1024 threads together"},
                          {dim3(1), dim3(1, 1, 65), 0, "over 64 along z"},
                          {dim3(1, 65536), dim3(1), 0, "over 65535 blocks along y"},
                          {dim3(0x80000000u), dim3(1), 0, "over 2^31 - 1 blocks along x"},
                          {dim3(1), dim3(1), (48 << 10) + 1, "over 48 KiB shared"}};
    for (auto const& launch : launches) {
        cudaError_t const status =
            ES_LAUNCH(EarlyReturnKernel, launch.grid, launch.block, launch.shared, nullptr, 0);
        ES_EXPECT(status == cudaErrorInvalidConfiguration, "%s", launch.why);
        ES_EXPECT(cudaGetLastError() == cudaErrorInvalidConfiguration, "%s", launch.why);
    }
}

}  // namespace
}  // namespace edgesynth
