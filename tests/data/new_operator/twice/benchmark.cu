// EsTwice moves memory and does nothing else.
#include "testing/benchmark.h"
#include "testing/testing.h"
#include "twice/reference.h"
#include "twice/twice.h"

int main(int count, char** words) {
    using namespace edgesynth;
    testing::Benchmark benchmark("twice", count, words);
    int64_t const elements = benchmark.smoke() ? 1000 : int64_t{1} << 24;
    testing::Random random(1);
    std::vector<double> const values = random.Normals(elements);
    testing::Activations x(DataType::kFloat, values), y(DataType::kFloat, elements);
    Twice const twice{elements, DataType::kFloat, 2.0f};
    benchmark.Measure(
        {"elements", DataType::kFloat, {{"elements", elements}}}, {8 * elements, elements, 0},
        [&](cudaStream_t stream) { return LaunchTwice(twice, x.get(), y.get(), stream); },
        [&] { return y.Host()[0] == 2.0 * x.Host()[0]; });
    return benchmark.Finish();
}
