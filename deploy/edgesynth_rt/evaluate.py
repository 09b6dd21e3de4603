"""Accuracy of a bundle on labelled images, with the manifest's own preprocessing (Python 3.6)."""

import numpy as np

from edgesynth_rt.errors import UserError
from edgesynth_rt.exits import count_left
from edgesynth_rt.samples import run_samples
from edgesynth_rt.staged import STAGE
from edgesynth_rt.statistics import wilson

PIECE = 64


def evaluate(runner, bundle, images, labels, watch=lambda done: None):
    """Top-1 accuracy of a classifier.

    images: function from an int64 array of indices to uint8 images (len, channels, height, width).
    labels: class index of every image, shape (n,). watch: called with the number of images done.
    Returns {"value": share right, "n", "right", "ci95": [low, high] (Wilson)}, and for a bundle
    with a policy "left": {stage id: number of images that left there}.
    Raises UserError when the bundle is no classifier of such images or there is no image.
    """
    _check_classifier(bundle)
    labels = np.asarray(labels)
    if not len(labels):
        raise UserError("the data set has no images to evaluate bundle %s on" % bundle.path)
    classes = bundle.outputs[0]["shape"][1]
    if labels.min() < 0 or labels.max() >= classes:
        raise UserError(
            "bundle %s has %d classes, the data set labels up to %d; give the data it was made for"
            % (bundle.path, classes, labels.max())
        )
    right, left = 0, []
    for first in range(0, len(labels), PIECE):
        indices = np.arange(first, min(first + PIECE, len(labels)))
        inputs = preprocessed(bundle, images(indices))
        found = run_samples(runner, inputs, PIECE)
        logits = found[bundle.outputs[0]["name"]]
        left.append(found.get(STAGE))
        right += int((logits.argmax(axis=1) == labels[indices]).sum())
        watch(len(indices))
    n = len(labels)
    facts = {"value": right / n, "n": n, "right": right, "ci95": list(wilson(right, n))}
    if bundle.policy is not None:
        facts["left"] = count_left(bundle, np.concatenate(left))
    return facts


def preprocessed(bundle, pixels):
    """The bundle's input for uint8 images (n, channels, height, width), as a dict by its name.

    Raises UserError when the bundle has several inputs or takes images of another shape.
    """
    if len(bundle.inputs) != 1:
        raise UserError(
            "bundle %s has %d inputs, images make one" % (bundle.path, len(bundle.inputs))
        )
    wanted = bundle.inputs[0]["shape"][1:]
    if list(pixels.shape[1:]) != list(wanted):
        raise UserError(
            "bundle %s takes images of shape %s, the data set has %s; "
            "give the data it was made for" % (bundle.path, wanted, list(pixels.shape[1:]))
        )
    return {bundle.inputs[0]["name"]: bundle.preprocess(pixels)}


def _check_classifier(bundle):
    fits = len(bundle.inputs) == len(bundle.outputs) == 1 and len(bundle.outputs[0]["shape"]) == 2
    if bundle.manifest["task"] != "classification" or not fits:
        raise UserError(
            "accuracy is known for classifiers with one input and one output (batch, classes); "
            "bundle %s is for %s" % (bundle.path, bundle.manifest["task"])
        )
