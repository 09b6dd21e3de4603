"""From the raw outputs of a detection network to objects, by the bundle's settings (Python 3.6).

Host, ONNX Runtime and board all decide here, so that a box found on one is found on the others.
"""

from edgesynth_rt.detection_coverage import decode_coverage
from edgesynth_rt.detection_region import decode_region
from edgesynth_rt.errors import UserError

#: what "kind" of the settings may be -> function of (outputs, settings, threshold)
DECODERS = {"coverage": decode_coverage, "region": decode_region}


def decode(outputs, postprocessing, threshold):
    """The objects of each image of a batch, best first.

    outputs: list of arrays, the first axis of each the images, in the order of the bundle's
    outputs. postprocessing: the manifest's settings; "kind" names the decoder. threshold: least
    score. Returns a list of (corners (k, 4) in pixels, classes (k,), scores (k,)), one per image.
    Raises UserError when the kind is unknown or outputs and settings do not fit.
    """
    kind = postprocessing.get("kind")
    if kind not in DECODERS:
        raise UserError(
            'no decoder of detections for "%s", known are %s; update edgesynth'
            % (kind, ", ".join(sorted(DECODERS)))
        )
    return DECODERS[kind](outputs, postprocessing, threshold)
