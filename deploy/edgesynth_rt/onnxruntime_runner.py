"""Running a bundle with ONNX Runtime on the processor (Python 3.6, onnxruntime 1.8 or newer)."""

from edgesynth_rt.chain import check_chain
from edgesynth_rt.errors import MissingError, UserError
from edgesynth_rt.host import usable_cores
from edgesynth_rt.staged import (
    STAGE,
    check_stages,
    gate_inputs,
    run_every,
    run_policy,
    thresholds,
)

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}


class OnnxRuntimeRunner(object):
    """One session for each stage of a bundle, which run one after the other, or as a policy says.

    `batch` is the bundle's fixed batch, None when dynamic; `precision` None, as the file says.

    threads: how many threads one inference uses; 0 takes every core this process may use.
    shared: other sessions run in the same process; then idle threads of this one sleep at once,
    because by default they spin on and take the cores from the others' inferences.

    Raises MissingError without onnxruntime, UserError when the ONNX file does not load or has
    other tensors than the manifest says.
    """

    name = "onnxruntime"
    precision = None
    facts = {}

    def __init__(self, bundle, threads=1, shared=False):
        onnxruntime = import_onnxruntime()
        self.batch = bundle.batch
        self.threads = threads or usable_cores()
        self.version = onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what it prints goes into the exception as well
        if shared:
            options.add_session_config_entry("session.force_spinning_stop", "1")
        self._stages = check_chain(bundle)
        self._policy = None if bundle.policy is None else check_stages(bundle)
        self._sessions = [self._open(onnxruntime, options, stage) for stage in self._stages]
        self._thresholds = thresholds(bundle)
        self._names = [[tensor["name"] for tensor in stage.outputs] for stage in self._stages]
        self._outputs = [tensor["name"] for tensor in bundle.outputs]

    def run(self, inputs):
        """Outputs for `inputs`; both are dicts from tensor name to array, first axis the batch.

        With a policy these are the answers, and `STAGE` holds the index of the stage that gave
        each, int64 (batch,).
        """
        if self._policy is not None:
            answers, left = run_policy(
                self._policy, self._stages, self._run_stage, inputs, self.batch
            )
            return {self._outputs[0]: answers, STAGE: left}
        known = run_every(self._stages, self._run_stage, inputs)
        return {name: known[name] for name in self._outputs}

    def run_every(self, inputs):
        """Outputs of all stages for all of `inputs`, whatever a policy says."""
        return run_every(self._stages, self._run_stage, inputs)

    def _run_stage(self, index, taken):
        stage = self._stages[index]
        names = self._names[index]
        if stage.gate is not None:
            taken = dict(taken, **{stage.gate["threshold"]: self._thresholds[index]})
        try:
            return dict(zip(names, self._sessions[index].run(names, taken)))
        except Exception as error:  # onnxruntime's exceptions share no base but Exception
            raise UserError("%s does not run: %s" % (stage.what, _one_line(error)))

    def prepared(self, inputs):
        """A callable without arguments that runs the next of `inputs`, a list that it cycles."""
        state, count = [0], len(inputs)
        if len(self._sessions) == 1 and self._policy is None:
            run, outputs = self._sessions[0].run, self._outputs
        else:
            run, outputs = lambda _, arrays: self.run(arrays), None

        def call():
            run(outputs, inputs[state[0]])
            state[0] = (state[0] + 1) % count

        return call

    def _open(self, onnxruntime, options, stage):
        """A session for one stage, its tensors checked."""
        try:
            session = onnxruntime.InferenceSession(
                stage.read(), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # as above
            raise UserError(
                "%s does not load in onnxruntime %s: %s; export the bundle again"
                % (stage.what, self.version, _one_line(error))
            )
        _check_tensors(stage, "input", stage.inputs + gate_inputs(stage), session.get_inputs())
        _check_tensors(stage, "output", stage.outputs, session.get_outputs())
        return session


def _check_tensors(stage, side, stated, found):
    """The session's tensors must be the manifest's: name, dtype and fixed dimensions."""
    actual = {tensor.name: tensor for tensor in found}
    missing = sorted(set(actual) ^ {tensor["name"] for tensor in stated})
    if missing:
        raise UserError(
            "%s: %s %s stands only in the manifest or only in the ONNX file; "
            "export the bundle again" % (stage.what, side, _one_line(missing[0]))
        )
    for tensor in stated:
        value = actual[tensor["name"]]
        fits = len(value.shape) == len(tensor["shape"]) and all(
            not isinstance(there, int) or there == here
            for there, here in zip(value.shape, tensor["shape"])
        )
        if _DTYPES.get(value.type) != tensor["dtype"] or not fits:
            raise UserError(
                "%s: %s %s is %s %s, the manifest says %s %s; export the bundle again"
                % (stage.what, side, tensor["name"], value.type, value.shape,
                   tensor["dtype"], tensor["shape"])
            )  # fmt: skip


def import_onnxruntime():
    """The onnxruntime module; raises MissingError with the command that installs it."""
    try:
        import onnxruntime
    except ImportError:
        raise MissingError(
            "onnxruntime is not installed; get it with `python3 -m pip install onnxruntime`"
        )
    return onnxruntime


def _one_line(error):
    return " ".join(str(error).split())[:300]
