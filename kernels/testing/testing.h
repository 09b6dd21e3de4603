// A small test harness: registered cases, checks that go on after a failure, arrays on the device.
//
//   ES_TEST(SparseLinear) {
//       for (Shape const& shape : kShapes) {                  // each says why it is in the list
//           ForEveryOrder(shape.why, [&] { Check(shape); });  // on a GPU: once
//       }
//   }
//
// The program's arguments choose tests by a part of their name; its exit status is the verdict.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/launcher.h"
#include "testing/random.h"

namespace edgesynth {
namespace testing {

struct Registration {
    Registration(char const* name, void (*run)());
};

#define ES_TEST(NAME)                                                                      \
    static void NAME##Test();                                                              \
    static ::edgesynth::testing::Registration const NAME##Registration(#NAME, NAME##Test); \
    static void NAME##Test()

// Run all registered tests, or those whose name holds one of the words; the exit status.
int RunTests(int count, char** words);

// Record a failure of the running test, with its context.
void Fail(char const* file, int line, std::string const& text);

std::string Format(char const* format, ...) __attribute__((format(printf, 1, 2)));

// ES_EXPECT(condition, "printf format", ...): on failure, say where and go on.
#define ES_EXPECT(CONDITION, ...)                                                      \
    do {                                                                               \
        if (!(CONDITION)) {                                                            \
            ::edgesynth::testing::Fail(__FILE__, __LINE__,                             \
                                       std::string(#CONDITION) + " does not hold: " +  \
                                           ::edgesynth::testing::Format(__VA_ARGS__)); \
        }                                                                              \
    } while (false)

// ES_EXPECT_CUDA(launcher(...)): it reports success, and so does synchronizing after it.
#define ES_EXPECT_CUDA(CALL) ::edgesynth::testing::ExpectCuda(CALL, #CALL, __FILE__, __LINE__)
bool ExpectCuda(cudaError_t status, char const* call, char const* file, int line);

// Run `body` with threads in forward, reverse and random order (three times); on a GPU once.
// `context` is named when something in it fails.
void ForEveryOrder(std::string const& context, std::function<void()> const& body);

// How far a computed value may lie from the reference: absolute + relative * |reference|, plus
// scaled * magnitude where the caller knows the sum of the absolute terms of a dot product.
struct Tolerance {
    double absolute;
    double relative;
    double scaled;
};

// For results of type `type` that were summed in float: the type's rounding, and the growth of the
// float rounding over `terms` additions (Higham 2002, section 4.2: gamma_n, here n * 2^-24).
Tolerance ToleranceFor(DataType type, int64_t terms);

// Every element; NaN equals NaN only; the worst one is printed. `magnitude` may be empty.
bool ExpectClose(char const* what, std::vector<double> const& actual,
                 std::vector<double> const& expected, std::vector<double> const& magnitude,
                 Tolerance tolerance, char const* file, int line);
#define ES_EXPECT_CLOSE(WHAT, ACTUAL, EXPECTED, MAGNITUDE, TOLERANCE)                         \
    ::edgesynth::testing::ExpectClose(WHAT, ACTUAL, EXPECTED, MAGNITUDE, TOLERANCE, __FILE__, \
                                      __LINE__)

// Device memory of exactly this many bytes, so that AddressSanitizer and memcheck see a read or
// write of one element too many. Fresh memory is 0xFF everywhere: NaN, or -1.
class DeviceBytes {
  public:
    explicit DeviceBytes(int64_t bytes);
    DeviceBytes(void const* host, int64_t bytes);
    ~DeviceBytes();
    DeviceBytes(DeviceBytes const&) = delete;
    DeviceBytes& operator=(DeviceBytes const&) = delete;

    void* get() const { return pointer_; }
    void CopyTo(void* host) const;

  private:
    void* pointer_ = nullptr;
    int64_t bytes_;
};

// `count` elements of a plain type (float, int32_t, ...) on the device. Empty: a null pointer.
template <typename T>
class DeviceArray {
  public:
    explicit DeviceArray(int64_t count) : count_(count), bytes_(count * Size()) {}
    explicit DeviceArray(std::vector<T> const& host)
        : count_(static_cast<int64_t>(host.size())), bytes_(host.data(), count_ * Size()) {}

    T* get() const { return static_cast<T*>(bytes_.get()); }
    int64_t size() const { return count_; }
    std::vector<T> Host() const {
        std::vector<T> host(static_cast<size_t>(count_));
        bytes_.CopyTo(host.data());
        return host;
    }

  private:
    static int64_t Size() { return static_cast<int64_t>(sizeof(T)); }
    int64_t count_;
    DeviceBytes bytes_;
};

// Activations of either type on the device, seen from the host as doubles.
class Activations {
  public:
    Activations(DataType type, int64_t count);                      // never written
    Activations(DataType type, std::vector<double> const& values);  // rounded to the type

    void* get() const { return bytes_.get(); }
    DataType type() const { return type_; }
    std::vector<double> Host() const;

  private:
    DataType type_;
    int64_t count_;
    DeviceBytes bytes_;
};

// The `values` of a tensor with this many channels, of `plane` elements each, in another order:
// from channels on their own to pairs, or back.
std::vector<double> Paired(std::vector<double> const& values, int64_t channels, int64_t plane);
std::vector<double> Unpaired(std::vector<double> const& values, int64_t channels, int64_t plane);

// What an array of `type` can hold of `value`, as a double.
double RoundTo(DataType type, double value);
std::vector<double> RoundTo(DataType type, std::vector<double> values);

inline char const* Name(DataType type) { return type == DataType::kFloat ? "float" : "half"; }

}  // namespace testing
}  // namespace edgesynth
