#include "plugins/log.h"

#include <atomic>
#include <cstdio>

// TensorRT's logger of the process. Weak, so that the library also loads where TensorRT's is not
// visible to it, as in TensorRT-RTX.
extern "C" __attribute__((weak)) nvinfer1::ILogger* getLogger() noexcept;

namespace edgesynth {
namespace plugins {
namespace {

#if ES_TENSORRT >= 806
std::atomic<nvinfer1::ILoggerFinder*> logger_finder{nullptr};
#endif

nvinfer1::ILogger* FindLogger() {
#if ES_TENSORRT >= 806
    nvinfer1::ILoggerFinder* const finder = logger_finder.load();
    nvinfer1::ILogger* const found = finder == nullptr ? nullptr : finder->findLogger();
    if (found != nullptr) return found;
#endif
    return getLogger == nullptr ? nullptr : getLogger();
}

}  // namespace

#if ES_TENSORRT >= 806
void KeepLoggerFinder(nvinfer1::ILoggerFinder* finder) {
    nvinfer1::ILoggerFinder* none = nullptr;
    logger_finder.compare_exchange_strong(none, finder);
}
#endif

void LogError(char const* who, char const* message) noexcept {
    char text[640];
    std::snprintf(text, sizeof(text), "edgesynth %s: %s", who, message);
    nvinfer1::ILogger* logger = nullptr;
    try {
        logger = FindLogger();
    } catch (...) {  // an application's finder is not noexcept
    }
    if (logger != nullptr) {
        logger->log(nvinfer1::ILogger::Severity::kERROR, text);
    } else {
        std::fprintf(stderr, "%s\n", text);
    }
}

}  // namespace plugins
}  // namespace edgesynth
