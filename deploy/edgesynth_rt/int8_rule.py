"""Which Jetson GPUs compute in half precision and in 8 bits (Python 3.6)."""

from edgesynth_rt.errors import UserError

QUANTIZING = frozenset(["QuantizeLinear", "DequantizeLinear"])


def refuse_int8(sm, precision, operator_types, what):
    """Raise UserError, with the reason, where 8-bit integers gain nothing or do not build.

    sm: compute capability as (major, minor); precision: what the engine is wanted in;
    operator_types: types of the graph's operators; what: the ONNX file's name.
    Compute capability 6.1 brought the instruction that multiplies four 8-bit integers (dp4a); 5.3
    (Tegra X1, Nano) and 6.2 (Tegra X2) lack it. ptxas accepts it for 6.2 and emits twelve
    instructions in its place; TensorRT refuses networks with quantizing layers there
    (github:NVIDIA/TensorRT issues 3157 and 3399).
    """
    quantized = QUANTIZING.intersection(operator_types)
    lacking = tuple(sm) < (6, 1) or tuple(sm) == (6, 2)
    if lacking and precision == "int8":
        raise UserError(
            "INT8 is refused on this GPU (sm_%d%d): it has no 8-bit multiply, so an INT8 engine is "
            "slower than FP16 there; build with --precision fp16" % tuple(sm)
        )
    if lacking and quantized:
        raise UserError(
            "%s holds %s, which TensorRT does not build on this GPU (sm_%d%d) without INT8 "
            "hardware; export it without quantization" % ((what, sorted(quantized)[0]) + tuple(sm))
        )
    if precision == "int8" and not quantized:
        raise UserError(
            "%s holds no QuantizeLinear, so nothing says which values INT8 stands for; export a "
            "quantized bundle, or build with --precision fp16" % what
        )
