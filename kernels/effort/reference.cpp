#include "effort/reference.h"

#include <algorithm>
#include <cmath>

namespace edgesynth {
namespace {

struct Place {
    int64_t sample, filter, row, column;
};

// One output's sum over the first `channels` of the layer's order.
class Output {
  public:
    Output(EffortConv const& layer, EffortAttributes const& attributes,
           std::vector<double> const& x, Place const& place)
        : layer_(layer), attributes_(attributes), x_(x), place_(place) {}

    double value = 0.0, magnitude = 0.0;
    int64_t products = 0, checks = 0;

    void AddChannel(int64_t rank) {
        ConvShape const& shape = layer_.shape;
        int64_t const per_group = shape.channels / shape.group;
        int64_t const channel = attributes_.channel_order[rank];
        float const* const weights = attributes_.weights + (place_.filter * per_group + channel) *
                                                               shape.kernel[0] * shape.kernel[1];
        std::vector<double> const window =
            Window(place_.filter / (shape.filters / shape.group) * per_group + channel);
        bool const similar = IsSimilar(window);
        double mean = 0.0;
        for (double const number : window) mean += number / static_cast<double>(window.size());
        for (size_t i = 0; i < window.size(); ++i) {
            double const product = (similar ? mean : window[i]) * double{weights[i]};
            value += product;
            magnitude += std::fabs(product);
        }
        products += similar ? 1 : static_cast<int64_t>(window.size());
    }

  private:
    bool IsSimilar(std::vector<double> const& window) {
        if (!TakesMeans(layer_.shape, layer_.knobs)) return false;
        auto const ends = std::minmax_element(window.begin(), window.end());
        double const range = *ends.second - *ends.first;
        checks += 3 * static_cast<int64_t>(window.size()) + 2;
        for (double const number : window) {
            if (!std::isfinite(number)) return false;
        }
        return range <= double{layer_.knobs.similarity};
    }

    std::vector<double> Window(int64_t channel) const {
        ConvShape const& shape = layer_.shape;
        std::vector<double> window;
        for (int64_t i = 0; i < int64_t{shape.kernel[0]} * shape.kernel[1]; ++i) {
            int64_t const row = place_.row * shape.strides[0] - shape.pads[0] +
                                i / shape.kernel[1] * shape.dilations[0];
            int64_t const column = place_.column * shape.strides[1] - shape.pads[1] +
                                   i % shape.kernel[1] * shape.dilations[1];
            bool const inside =
                row >= 0 && row < shape.height && column >= 0 && column < shape.width;
            int64_t const map = place_.sample * shape.channels + channel;
            double const number =
                inside ? x_[static_cast<size_t>((map * shape.height + row) * shape.width + column)]
                       : 0.0;
            bool const small = std::fabs(number) < double{layer_.knobs.input_threshold};
            window.push_back(small ? 0.0 : number);
        }
        return window;
    }

    EffortConv const& layer_;
    EffortAttributes const& attributes_;
    std::vector<double> const& x_;
    Place const place_;
};

// The layer, output by output.
class Evaluation {
  public:
    Evaluation(EffortConv const& layer, EffortAttributes const& attributes,
               std::vector<double> const& bias, std::vector<double> const& x, int32_t effort)
        : layer_(layer), attributes_(attributes), bias_(bias), x_(x) {
        int64_t const top = attributes.levels - 1;
        channels_ = attributes.level_channels[std::min<int64_t>(std::max(effort, 0), top)];
    }

    EffortReference Run() {
        ConvShape const& shape = layer_.shape;
        rows_ = OutputSide(shape, 0);
        columns_ = OutputSide(shape, 1);
        size_t const size = static_cast<size_t>(shape.samples * shape.filters * rows_ * columns_);
        result_ =
            EffortReference{std::vector<double>(size), std::vector<double>(size), INFINITY, 0, 0};
        ForEach([this](Place const& place) { return IsSample(place); });
        ForEach([this](Place const& place) { return !IsSample(place); });
        return result_;
    }

  private:
    bool IsSample(Place const& place) const {
        int64_t const period = layer_.knobs.sample_period;
        return place.row % period == 0 && place.column % period == 0;
    }

    int64_t Index(Place const& place) const {
        return ((place.sample * layer_.shape.filters + place.filter) * rows_ + place.row) *
                   columns_ +
               place.column;
    }

    template <typename Wanted>
    void ForEach(Wanted const& wanted) {
        for (int64_t i = 0; i < static_cast<int64_t>(result_.y.size()); ++i) {
            Place const place{i / columns_ / rows_ / layer_.shape.filters,
                              i / columns_ / rows_ % layer_.shape.filters, i / columns_ % rows_,
                              i % columns_};
            if (!wanted(place) || Fill(place)) continue;
            Compute(place);
            if (layer_.knobs.sample_period > 1 && IsSample(place)) result_.checks += 13;
        }
    }

    // Takes an output from the samples around it, if they agree.
    bool Fill(Place const& place) {
        if (IsSample(place)) return false;
        int64_t const period = layer_.knobs.sample_period;
        Place corner = place;
        double around[2][2];
        double largest = 0.0;
        for (int64_t i = 0; i < 4; ++i) {
            corner.row = place.row - place.row % period + i / 2 * period;
            corner.column = place.column - place.column % period + i % 2 * period;
            if (corner.row >= rows_) corner.row -= period;
            if (corner.column >= columns_) corner.column -= period;
            size_t const index = static_cast<size_t>(Index(corner));
            around[i / 2][i % 2] = result_.y[index];
            largest = std::max(largest, result_.magnitude[index]);
        }
        double const most = std::max({around[0][0], around[0][1], around[1][0], around[1][1]});
        double const least = std::min({around[0][0], around[0][1], around[1][0], around[1][1]});
        double const below = double{layer_.knobs.sample_below} - most;
        double const within = double{layer_.knobs.sample_within} - (most - least);
        Decide(below, largest);
        Decide(within, largest);
        bool numbers = true;
        for (auto const& line : around)
            numbers = numbers && line[0] == line[0] && line[1] == line[1];
        if (!numbers || !(below > 0.0 && within > 0.0)) return false;
        result_.checks += 6;
        double const down = static_cast<double>(place.row % period) / static_cast<double>(period);
        double const over =
            static_cast<double>(place.column % period) / static_cast<double>(period);
        double const first = around[0][0] + over * (around[0][1] - around[0][0]);
        double const second = around[1][0] + over * (around[1][1] - around[1][0]);
        size_t const index = static_cast<size_t>(Index(place));
        result_.y[index] = first + down * (second - first);
        result_.magnitude[index] = largest;
        return true;
    }

    void Compute(Place const& place) {
        Output output(layer_, attributes_, x_, place);
        double const bias = bias_.empty() ? 0.0 : bias_[static_cast<size_t>(place.filter)];
        bool const predicts = layer_.knobs.saturation == Saturation::kPredicted;
        size_t const index = static_cast<size_t>(Index(place));
        bool saturated = false;
        for (int64_t rank = 0; rank < channels_ && !saturated; ++rank) {
            if (predicts && rank == layer_.knobs.prefix_channels) {
                int64_t const filter = attributes_.threshold_count == 1 ? 0 : place.filter;
                double const above = output.value + bias - double{attributes_.thresholds[filter]};
                Decide(above, output.magnitude + std::fabs(bias));
                ++output.checks;
                saturated = above < 0.0;
            }
            if (!saturated) output.AddChannel(rank);
        }
        double const y = output.value + bias;
        bool const cut = layer_.activation == Activation::kRelu && y < 0.0;
        result_.y[index] = saturated || cut ? 0.0 : y;
        result_.magnitude[index] = output.magnitude + std::fabs(bias);
        result_.products += output.products;
        result_.checks += output.checks;
    }

    void Decide(double distance, double magnitude) {
        result_.margin = std::min(result_.margin, std::fabs(distance) / (magnitude + 1.0));
    }

    EffortConv const& layer_;
    EffortAttributes const& attributes_;
    std::vector<double> const& bias_;
    std::vector<double> const& x_;
    int64_t channels_, rows_, columns_;
    EffortReference result_;
};

}  // namespace

EffortReference ReferenceEffortConv(EffortConv const& layer, EffortAttributes const& attributes,
                                    std::vector<double> const& bias, std::vector<double> const& x,
                                    int32_t effort) {
    return Evaluation(layer, attributes, bias, x, effort).Run();
}

}  // namespace edgesynth
