// Messages through TensorRT's own logger, so that they appear wherever the application reads it.
#pragma once

#include <NvInfer.h>

#include <exception>

// TensorRT's version as one number: 8.2 is 802, 10.14 is 1014.
#define ES_TENSORRT (NV_TENSORRT_MAJOR * 100 + NV_TENSORRT_MINOR)

namespace edgesynth {
namespace plugins {

#if ES_TENSORRT >= 806
// What `setLoggerFinder` of the library was given; the first one stays.
void KeepLoggerFinder(nvinfer1::ILoggerFinder* finder);
#endif

// Write "edgesynth WHO: message" as an error; on stderr where no logger is known.
void LogError(char const* who, char const* message) noexcept;

// Run `action`; when it throws, log why and return `failed`. Nothing may leave a plugin's method:
// all of them are noexcept, and an exception there would end the process.
template <typename Result, typename Action>
Result Guarded(char const* who, Result failed, Action const& action) noexcept {
    try {
        return action();
    } catch (std::exception const& error) {
        LogError(who, error.what());
    } catch (...) {
        LogError(who, "an exception of unknown kind");
    }
    return failed;
}

}  // namespace plugins
}  // namespace edgesynth
