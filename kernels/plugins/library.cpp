// How TensorRT finds the plugins of this library.
//
// Before 8.6, loading the library registers them, as REGISTER_TENSORRT_PLUGIN does. From 8.6 on the
// registry loads the library itself and asks for the creators. Only one of the two can be: a
// registry refuses a library whose creators are registered already.
#include <NvInfer.h>

#include <deque>
#include <string>
#include <vector>

#include "plugins/log.h"
#include "plugins/operators.h"

// IPluginV3 exists from 10 on. A network finds a plugin by its name and version, so the library
// has the one or the other; the older form compiles with every version and can be asked for.
#if ES_TENSORRT >= 1000 && !defined(ES_PLUGINS_V2)
#define ES_PLUGINS_V3
#include "plugins/plugin_v3.h"
#else
#include "plugins/plugin_v2.h"
#endif

#define ES_EXPORTED extern "C" __attribute__((visibility("default")))

namespace edgesynth {
namespace plugins {
namespace {

#ifdef ES_PLUGINS_V3
using Creator = CreatorV3;
#else
using Creator = CreatorV2;
#endif
#if ES_TENSORRT >= 1000
using Interface = nvinfer1::IPluginCreatorInterface;
#else
using Interface = nvinfer1::IPluginCreator;
#endif

std::vector<Interface*> const& Creators() {
    static std::deque<Creator> made;  // whose elements never move
    static std::vector<Interface*> const creators = [] {
        std::vector<Interface*> found;
        for (OperatorKind const* const kind : Operators()) {
            made.emplace_back(*kind);
            found.push_back(&made.back());
        }
        return found;
    }();
    return creators;
}

#if ES_TENSORRT < 806
bool RegisterAll() {
    bool registered = true;
    for (Interface* const creator : Creators()) {
        registered = getPluginRegistry()->registerCreator(*creator, "") && registered;
    }
    return registered;
}

bool const registered = RegisterAll();
#endif

}  // namespace
}  // namespace plugins
}  // namespace edgesynth

#if ES_TENSORRT >= 806

ES_EXPORTED void setLoggerFinder(nvinfer1::ILoggerFinder* finder) {
    edgesynth::plugins::KeepLoggerFinder(finder);
}

#if ES_TENSORRT >= 1000
ES_EXPORTED nvinfer1::IPluginCreatorInterface* const* getCreators(int32_t& count) {
#else
ES_EXPORTED nvinfer1::IPluginCreator* const* getPluginCreators(int32_t& count) {
#endif
    auto const& creators = edgesynth::plugins::Creators();
    count = static_cast<int32_t>(creators.size());
    return creators.data();
}

#endif

// What `edgesynth doctor` prints, as JSON. The text lives as long as the library.
ES_EXPORTED char const* es_plugins_describe() {
    static std::string const text = [] {
        std::string found = "{\"creators\": [";
        for (auto const* const kind : edgesynth::plugins::Operators()) {
            if (found.back() != '[') found += ", ";
            found += std::string("\"") + kind->spec.type + "\"";
        }
        found += "], \"architectures\": \"" ES_BUILT_FOR "\", \"tensorrt\": \"";
        found += std::to_string(ES_TENSORRT / 100) + "." + std::to_string(ES_TENSORRT % 100);
#ifdef ES_PLUGINS_V3
        return found + "\", \"interface\": \"IPluginV3\"}";
#else
        return found + "\", \"interface\": \"IPluginV2DynamicExt\"}";
#endif
    }();
    return text.c_str();
}
