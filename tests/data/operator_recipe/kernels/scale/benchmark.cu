#include "scale/reference.h"
#include "scale/scale.h"
#include "testing/benchmark.h"
#include "testing/testing.h"

int main(int count, char** words) {
    using namespace edgesynth;
    testing::Benchmark benchmark("scale", count, words);
    int64_t const size = benchmark.smoke() ? 1000 : 1 << 24;
    testing::Activations x(DataType::kFloat, std::vector<double>(static_cast<size_t>(size), 3.0));
    testing::Activations y(DataType::kFloat, size);
    benchmark.Measure(
        {"one large tensor", DataType::kFloat, {}}, {8 * size, size, 0},
        [&](cudaStream_t stream) {
            return LaunchScale({size, DataType::kFloat, 2.0f}, x.get(), y.get(), stream);
        },
        [&] { return y.Host().back() == ReferenceScale(2.0, {3.0})[0]; });
    return benchmark.Finish();
}
