"""The manifest of a bundle: every field checked before anything believes it (Python 3.6).

Format `edgesynth.bundle/1`, see ARCHITECTURE.md. Keys that this version does not know are left
alone, so that a newer exporter can add facts; keys that it knows must be right.
"""

from edgesynth_rt.fields import Field
from edgesynth_rt.policy import read_policy

SCHEMA = "edgesynth.bundle/1"
MANIFEST = "manifest.json"
DYNAMIC_BATCH = "N"
MAX_MANIFEST_BYTES = 16 << 20
REMEDY = "export the bundle again"

#: dtype name in a manifest -> bytes of one element; the names are numpy's
DTYPES = {
    "float32": 4,
    "float16": 2,
    "float64": 8,
    "int8": 1,
    "uint8": 1,
    "int32": 4,
    "int64": 8,
    "bool": 1,
}
_MAX_DIMENSIONS = 8
_MAX_EXTENT = 2**31 - 1
_MAX_ELEMENTS = 2**31 - 1
_MAX_COUNT = 2**63 - 1


def check_manifest(document, where):
    """Raise UserError naming the first field of `document` that is wrong.

    document: the parsed manifest.json; where: the file's name for messages.
    """
    root = Field(document, where, REMEDY)
    root["schema"].one_of([SCHEMA])
    check_name(root["name"])
    root["task"].text(100)
    root["target"].text(100)
    _check_stages(root["stages"])
    _check_policy(root)
    _check_golden(root["golden"])
    _check_preprocessing(root)
    _check_postprocessing(root)
    for label in root["labels"].items():
        label.text(200)
    _check_accuracy(root["accuracy"])
    cost = root["cost"]
    for key in ("params", "macs", "size_bytes"):
        if cost.given(key):
            cost[key].integer(0, _MAX_COUNT)
    _check_provenance(root["provenance"])


def check_name(field):
    """A name that can also name a file: one line, no slash, no leading dot."""
    name = field.text(100)
    if name.startswith(".") or "/" in name or "\\" in name:
        raise field.refuse("a name without slash, backslash or leading dot")
    return name


def check_relative(field):
    """A path with forward slashes that stays below the folder it is written in."""
    path = field.text(500)
    parts = path.split("/")
    if "\\" in path or ":" in path or "" in parts or "." in parts or ".." in parts:
        raise field.refuse('a relative path inside the bundle, without ".."')
    return path


def _check_stages(field):
    names = set()
    for stage in field.items(least=1, most=64):
        name = check_name(stage["id"])
        if name in names:
            raise stage["id"].refuse("an id of its own")
        names.add(name)
        check_relative(stage["onnx"])
        stage["sha256"].sha256()
        batches = _check_tensors(stage["inputs"]) | _check_tensors(stage["outputs"])
        if stage.given("gate"):
            _check_gate(stage)
        if len(batches) != 1:
            raise stage["inputs"].refuse("tensors that all have the same batch (first dimension)")


def _check_gate(stage):
    """The exit-gate operator that ends a stage: an input for the threshold, and two outputs."""
    stage["gate"]["threshold"].text(200)
    outputs = {tensor["name"] for tensor in stage.value["outputs"]}
    for key in ("exit", "confidence"):
        stage["gate"][key].one_of(outputs)


def _check_tensors(field):
    """Check a list of tensors; returns the set of their batches."""
    names, batches = set(), set()
    for tensor in field.items(least=1, most=64):
        name = tensor["name"].text(200)
        if name in names:
            raise tensor["name"].refuse("a tensor name of its own")
        names.add(name)
        tensor["dtype"].one_of(DTYPES)
        batches.add(_check_shape(tensor["shape"]))
    return batches


def _check_shape(field):
    """Check dimensions, the first may be "N"; returns the first."""
    elements = 1
    dimensions = field.items(least=1, most=_MAX_DIMENSIONS)
    for axis, dimension in enumerate(dimensions):
        if axis == 0 and dimension.value == DYNAMIC_BATCH:
            continue
        elements *= dimension.integer(1, _MAX_EXTENT)
    if elements > _MAX_ELEMENTS:
        raise field.refuse("a shape of at most %d elements" % _MAX_ELEMENTS)
    return dimensions[0].value


def _check_policy(root):
    if root.given("policy") is not None:
        read_policy(root["policy"], [stage["id"] for stage in root.value["stages"]])
    for operator in root["operators"].items(most=1000):
        operator["type"].text(100)
        operator["version"].text(20)
    if root.given("operator_layers"):
        for layer in root["operator_layers"].items(most=10000):
            layer["node"].text(1000)
            layer["estimate"].one_of(["plugin", "dense"])


def _check_golden(field):
    check_relative(field["file"])
    field["sha256"].sha256()
    field["samples"].integer(1, 100000)
    field["atol"].number(0, 1e6)
    field["rtol"].number(0, 1e6)


def _check_preprocessing(root):
    """`null` says that the exporter did not know it; then nothing can be evaluated."""
    field = root.given("preprocessing")
    if field is None:
        root["preprocessing"]  # the key itself must be there
        return
    field["layout"].one_of(["NCHW"])
    field["dtype"].one_of(["uint8"])
    field["scale"].number(1e-12, 1e12)
    means, deviations = field["mean"].items(1, 64), field["std"].items(1, 64)
    for mean in means:
        mean.number(-1e12, 1e12)
    for deviation in deviations:
        deviation.number(1e-12, 1e12)
    if len(means) != len(deviations):
        raise field["std"].refuse("as long as mean (%d)" % len(means))


def _check_postprocessing(root):
    """How a detection network's outputs become objects; each decoder checks the rest of it."""
    field = root.given("postprocessing")
    if field is None:
        return
    kind = field["kind"].text(100)
    field["classes"].integer(1, _MAX_EXTENT)
    if kind in _HEADS:
        field["stride"].integer(1, 1 << 16)
        _HEADS[kind](field)
    for share in ("nms_iou", "least_coverage"):
        if field.given(share):
            field[share].number(0, 1)


def _check_region(field):
    for anchor in field["anchors"].items(least=1, most=1000):
        for side in anchor.items(least=2, most=2):
            side.number(1e-6, 1e6)


def _check_coverage(field):
    if field.given("clustering"):
        field["clustering"].one_of(["nms", "group"])
    if field.given("eps"):
        field["eps"].number(0, 10)
    if field.given("min_boxes"):
        field["min_boxes"].integer(0, 1000)


_HEADS = {"region": _check_region, "coverage": _check_coverage}


def _check_accuracy(field):
    field.object()
    for split in ("validation", "test"):
        if field.given(split):
            field[split].number(0, 1)
    if field.given("data"):
        field["data"].text()


def _check_provenance(field):
    if field.given("parent"):
        field["parent"].sha256()
    field["command"].text(empty=True)
    if field.given("seed"):
        field["seed"].integer(0, _MAX_COUNT)
    for _, version in field["versions"].members():
        version.text(200)
