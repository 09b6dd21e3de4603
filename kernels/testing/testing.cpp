#include "testing/testing.h"

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "common/convolution.h"
#include "common/half_bits.h"

#if defined(ES_EMULATION)
#include "emulation/grid.h"
#endif

namespace edgesynth {
namespace testing {
namespace {

struct Test {
    char const* name;
    void (*run)();
};

std::vector<Test>& Tests() {
    static std::vector<Test> tests;
    return tests;
}

constexpr int kPrintedFailures = 10;  // of one test; the rest is counted

std::string context;
int failures = 0;

void Demand(cudaError_t status, char const* what) {
    if (status == cudaSuccess) return;
    std::fprintf(stderr, "%s failed: %s\n", what, cudaGetErrorString(status));
    std::exit(3);
}

}  // namespace

Registration::Registration(char const* name, void (*run)()) { Tests().push_back(Test{name, run}); }

std::string Format(char const* format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return text;
}

void Fail(char const* file, int line, std::string const& text) {
    if (++failures > kPrintedFailures) return;
    std::printf("%s:%d: %s%s%s\n", file, line, context.c_str(), context.empty() ? "" : ": ",
                text.c_str());
}

bool ExpectCuda(cudaError_t status, char const* call, char const* file, int line) {
    if (status == cudaSuccess) status = cudaDeviceSynchronize();
    if (status == cudaSuccess) return true;
    std::string text = Format("%s: %s", call, cudaGetErrorString(status));
#if defined(ES_EMULATION)
    text += std::string(": ") + emulation::LastMessage();
#endif
    Fail(file, line, text);
    cudaGetLastError();  // the next launch starts afresh
    return false;
}

void ForEveryOrder(std::string const& name, std::function<void()> const& body) {
#if defined(ES_EMULATION)
    struct Named {
        emulation::Order order;
        uint64_t seed;
        char const* name;
    };
    Named const orders[] = {{emulation::Order::kForward, 0, "forward"},
                            {emulation::Order::kReverse, 0, "reverse"},
                            {emulation::Order::kRandom, 1, "random, seed 1"}};
    for (Named const& order : orders) {
        emulation::SetOrder(order.order, order.seed);
        context = name + ", threads " + order.name;
        body();
    }
    emulation::SetOrder(emulation::Order::kForward);
#else
    context = name;
    body();
#endif
    context.clear();
}

Tolerance ToleranceFor(DataType type, int64_t terms) {
    double const result = std::ldexp(1.0, type == DataType::kFloat ? -24 : -11);
    double const smallest = std::ldexp(1.0, type == DataType::kFloat ? -126 : -24);
    double const growth = std::ldexp(static_cast<double>(terms + 2), -24);
    return Tolerance{smallest, 1.01 * result, growth};
}

bool ExpectClose(char const* what, std::vector<double> const& actual,
                 std::vector<double> const& expected, std::vector<double> const& magnitude,
                 Tolerance tolerance, char const* file, int line) {
    if (actual.size() != expected.size() ||
        (!magnitude.empty() && magnitude.size() != expected.size())) {
        Fail(file, line,
             Format("%s: %zu values, %zu expected", what, actual.size(), expected.size()));
        return false;
    }
    size_t wrong = 0, worst = 0;
    double worst_excess = 0.0;
    for (size_t i = 0; i < actual.size(); ++i) {
        if (std::isnan(actual[i]) && std::isnan(expected[i])) continue;
        if (actual[i] == expected[i]) continue;  // infinities
        double allowed = tolerance.absolute + tolerance.relative * std::fabs(expected[i]);
        if (!magnitude.empty()) allowed += tolerance.scaled * magnitude[i];
        double const excess = std::fabs(actual[i] - expected[i]) / allowed;
        if (excess <= 1.0) continue;
        ++wrong;
        if (!(excess <= worst_excess)) {  // NaN is worst
            worst = i;
            worst_excess = excess;
        }
    }
    if (wrong == 0) return true;
    Fail(file, line,
         Format("%s: %zu of %zu are off, worst [%zu]: %.9g instead of %.9g, %.3g times what is "
                "allowed",
                what, wrong, actual.size(), worst, actual[worst], expected[worst], worst_excess));
    return false;
}

DeviceBytes::DeviceBytes(int64_t bytes) : bytes_(bytes) {
    if (bytes == 0) return;
    Demand(cudaMalloc(&pointer_, static_cast<size_t>(bytes)), "cudaMalloc");
    Demand(cudaMemset(pointer_, 0xFF, static_cast<size_t>(bytes)), "cudaMemset");
}

DeviceBytes::DeviceBytes(void const* host, int64_t bytes) : DeviceBytes(bytes) {
    if (bytes == 0) return;
    Demand(cudaMemcpy(pointer_, host, static_cast<size_t>(bytes), cudaMemcpyHostToDevice),
           "cudaMemcpy to the device");
}

DeviceBytes::~DeviceBytes() { cudaFree(pointer_); }

void DeviceBytes::CopyTo(void* host) const {
    if (bytes_ == 0) return;
    Demand(cudaMemcpy(host, pointer_, static_cast<size_t>(bytes_), cudaMemcpyDeviceToHost),
           "cudaMemcpy from the device");
}

Activations::Activations(DataType type, int64_t count)
    : type_(type), count_(count), bytes_(count * SizeOf(type)) {}

namespace {

std::vector<char> Encode(DataType type, std::vector<double> const& values) {
    std::vector<char> bytes(values.size() * static_cast<size_t>(SizeOf(type)));
    for (size_t i = 0; i < values.size(); ++i) {
        if (type == DataType::kFloat) {
            float const value = static_cast<float>(values[i]);
            std::memcpy(&bytes[4 * i], &value, 4);
        } else {
            uint16_t const value = DoubleToHalfBits(values[i]);
            std::memcpy(&bytes[2 * i], &value, 2);
        }
    }
    return bytes;
}

}  // namespace

Activations::Activations(DataType type, std::vector<double> const& values)
    : type_(type),
      count_(static_cast<int64_t>(values.size())),
      bytes_(Encode(type, values).data(), count_ * SizeOf(type)) {}

std::vector<double> Activations::Host() const {
    std::vector<char> bytes(static_cast<size_t>(count_ * SizeOf(type_)));
    bytes_.CopyTo(bytes.data());
    std::vector<double> values(static_cast<size_t>(count_));
    for (size_t i = 0; i < values.size(); ++i) {
        if (type_ == DataType::kFloat) {
            float value;
            std::memcpy(&value, &bytes[4 * i], 4);
            values[i] = value;
        } else {
            uint16_t value;
            std::memcpy(&value, &bytes[2 * i], 2);
            values[i] = HalfBitsToFloat(value);
        }
    }
    return values;
}

namespace {

std::vector<double> Reordered(std::vector<double> const& values, int64_t channels, int64_t plane,
                              bool to_pairs) {
    std::vector<double> result(values.size());
    int64_t const sample = channels * plane;
    for (size_t i = 0; i < values.size(); ++i) {
        int64_t const place = static_cast<int64_t>(i) % sample;
        int64_t const paired = static_cast<int64_t>(i) - place +
                               PlaceOf(ChannelOrder::kPaired, place / plane, place % plane, plane);
        auto const other = static_cast<size_t>(paired);
        result[to_pairs ? other : i] = values[to_pairs ? i : other];
    }
    return result;
}

}  // namespace

std::vector<double> Paired(std::vector<double> const& values, int64_t channels, int64_t plane) {
    return Reordered(values, channels, plane, true);
}
std::vector<double> Unpaired(std::vector<double> const& values, int64_t channels, int64_t plane) {
    return Reordered(values, channels, plane, false);
}

double RoundTo(DataType type, double value) {
    if (type == DataType::kFloat) return static_cast<float>(value);
    return HalfBitsToFloat(DoubleToHalfBits(value));
}

std::vector<double> RoundTo(DataType type, std::vector<double> values) {
    for (double& value : values) value = RoundTo(type, value);
    return values;
}

namespace {

bool Chosen(char const* name, int count, char** words) {
    if (count <= 1) return true;
    for (int i = 1; i < count; ++i) {
        if (std::strstr(name, words[i]) != nullptr) return true;
    }
    return false;
}

}  // namespace

int RunTests(int count, char** words) {
    int ran = 0, broken = 0;
    for (Test const& test : Tests()) {
        if (!Chosen(test.name, count, words)) continue;
        failures = 0;
        test.run();
        ++ran;
        broken += failures != 0 ? 1 : 0;
        std::printf("%s %s", failures == 0 ? "ok    " : "FAILED", test.name);
        if (failures != 0) std::printf(" (%d failures)", failures);
        std::printf("\n");
        std::fflush(stdout);
    }
    std::printf("%d tests, %d failed\n", ran, broken);
    return ran > 0 && broken == 0 ? 0 : 1;
}

}  // namespace testing
}  // namespace edgesynth
