#include "exit_gate/reference.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace edgesynth {
namespace {

std::vector<double> Softmax(std::vector<double> const& logits) {
    double const largest = *std::max_element(logits.begin(), logits.end());
    std::vector<double> probabilities;
    double sum = 0.0;
    for (double const logit : logits) {
        probabilities.push_back(std::exp(logit - largest));
        sum += probabilities.back();
    }
    for (double& probability : probabilities) probability /= sum;
    return probabilities;
}

double Entropy(std::vector<double> const& probabilities) {
    double entropy = 0.0;
    for (double const p : probabilities) {
        if (p > 0.0) entropy -= p * std::log(p);
    }
    return entropy;
}

}  // namespace

ExitDecision ReferenceExitGate(ExitPolicy policy, std::vector<double> const& logits,
                               std::vector<double> const& gate_weights, double gate_bias) {
    for (double const logit : logits) {
        if (std::isnan(logit)) return ExitDecision{-1, std::nan("")};
    }
    auto const label = std::max_element(logits.begin(), logits.end()) - logits.begin();
    ExitDecision decision{static_cast<int32_t>(label), std::nan("")};
    std::vector<double> p = Softmax(logits);
    for (double const probability : p) {
        if (std::isnan(probability)) return decision;  // infinity - infinity
    }
    std::sort(p.begin(), p.end(), std::greater<double>());
    switch (policy) {
        case ExitPolicy::kMaxProbability:
            decision.confidence = p[0];
            break;
        case ExitPolicy::kEntropy:
            decision.confidence = Entropy(p);
            break;
        case ExitPolicy::kMargin:
            decision.confidence = p[0] - (p.size() > 1 ? p[1] : 0.0);
            break;
        case ExitPolicy::kLinearGate: {
            double evidence = gate_bias;
            for (size_t i = 0; i < p.size(); ++i) evidence += gate_weights[i] * p[i];
            decision.confidence = 1.0 / (1.0 + std::exp(-evidence));
            break;
        }
    }
    return decision;
}

bool ReferenceExits(ExitPolicy policy, double confidence, double threshold) {
    return policy == ExitPolicy::kEntropy ? confidence <= threshold : confidence >= threshold;
}

}  // namespace edgesynth
