"""torch to ONNX: at exactly the opset of every target, plain, and the same bytes every time."""

import copy

import onnx
import pytest
import torch
from torch import nn

import small_networks
from edgesynth.core.errors import CheckError, UserError
from edgesynth.export.onnx_file import assert_opset, export_module, opset_of, serialize
from edgesynth.export.rules import check_model
from edgesynth.export.session import Session
from edgesynth.hardware.target import load_target, target_names
from small_models import Branching, TwoHeads, classifier

EXAMPLE = torch.zeros(1, *small_networks.SHAPE)


def exported(module, opset=13, **options):
    return export_module(module, EXAMPLE, opset=opset, ir_version=7, **options)


def outputs_in_onnxruntime(model, batch):
    return Session(serialize(model), "model").run({"input": batch.numpy()})


@pytest.mark.parametrize("target", target_names())
@pytest.mark.parametrize("kind", small_networks.ALL)
@pytest.mark.parametrize("dynamic", [False, True])
def test_every_network_at_every_target(kind, target, dynamic):
    wanted = load_target(target)
    module = small_networks.network(kind).module
    model = export_module(
        module,
        EXAMPLE,
        opset=wanted.opset.export,
        ir_version=wanted.ir.export,
        dynamic_batch=dynamic,
    ).model
    onnx.checker.check_model(model, full_check=True)
    assert (opset_of(model), model.ir_version) == (wanted.opset.export, wanted.ir.export)
    assert check_model(model, wanted) == []
    batch = torch.rand(3 if dynamic else 1, *small_networks.SHAPE)
    found = outputs_in_onnxruntime(model, batch)["logits"]
    torch.testing.assert_close(torch.from_numpy(found), module(batch), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", small_networks.ALL)
def test_the_same_weights_give_the_same_bytes(kind):
    first = serialize(exported(small_networks.network(kind).module).model)
    again = serialize(exported(small_networks.network(kind).module).model)
    other = serialize(exported(small_networks.network(kind, seed=1).module).model)
    assert first == again
    assert first != other


@pytest.mark.parametrize("dynamic", [False, True])
def test_flattening_leaves_no_integers_behind(dynamic):
    """`x.view(x.size(0), -1)` becomes a Flatten, without shape arithmetic in INT64."""
    model = exported(small_networks.network(small_networks.Plain).module, dynamic_batch=dynamic)
    operators = [node.op_type for node in model.model.graph.node]
    assert "Flatten" in operators
    assert not {"Shape", "Gather", "Reshape", "Constant", "Identity"} & set(operators)
    kinds = {tensor.data_type for tensor in model.model.graph.initializer}
    assert kinds == {onnx.TensorProto.FLOAT}


def test_batchnorm_is_folded_where_a_convolution_stands_before():
    network = small_networks.network(small_networks.Residual)
    operators = [node.op_type for node in exported(network.module).model.graph.node]
    assert "BatchNormalization" not in operators


def test_no_text_of_this_machine_is_in_the_file():
    model = exported(small_networks.network(small_networks.Residual).module).model
    assert not model.metadata_props
    assert not model.doc_string
    assert all(not node.doc_string and not node.metadata_props for node in model.graph.node)
    assert b"/tests/" not in serialize(model)


def test_every_submodule_keeps_its_mode():
    module = small_networks.network(small_networks.Residual).module.train()
    module.norm.eval()
    exported(module)
    assert module.training
    assert module.norm2.training
    assert not module.norm.training


def test_outputs_of_a_dictionary_are_named_by_its_keys():
    model = exported(TwoHeads()).model
    assert [output.name for output in model.graph.output] == ["boxes", "scores"]


def test_outputs_are_named_as_asked():
    network = small_networks.network(small_networks.Plain)
    model = exported(network.module, output_names=["classes"]).model
    assert [output.name for output in model.graph.output] == ["classes"]
    with pytest.raises(UserError, match="2 output names for a network with 1 outputs"):
        exported(network.module, output_names=["a", "b"])


def test_a_branch_on_the_data_is_told_with_its_place():
    (warning,) = exported(Branching()).warnings
    assert warning.startswith("small_models.py, line ")
    assert "Python boolean" in warning


def test_an_ordinary_network_gives_no_warning():
    assert exported(small_networks.network(small_networks.Residual).module).warnings == ()


def test_the_silent_change_of_opset_is_caught():
    """What torch's newer exporter does when asked for 13: it writes 18 and only logs it."""
    with pytest.raises(CheckError, match="wrote opset 18 instead of 13"):
        assert_opset(classifier(opset=18, ir_version=8), 13)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_newer_exporter_is_why_the_opset_is_verified(tmp_path):
    pytest.importorskip("onnxscript", reason="torch's newer exporter needs onnxscript")
    module = small_networks.network(small_networks.Mobile).module
    path = tmp_path / "new.onnx"
    torch.onnx.export(module, (EXAMPLE,), path, opset_version=13, dynamo=True, verbose=False)
    with pytest.raises(CheckError, match=r"wrote opset \d+ instead of 13"):
        assert_opset(onnx.load(path), 13)


def test_wrong_input_size_is_answered_with_the_option():
    with pytest.raises(UserError, match=r"cannot run an input of 3x12x12: .*--input-shape"):
        exported(nn.Sequential(nn.Flatten(), nn.Linear(7, 2)))


def test_an_operator_that_torch_cannot_write_is_named():
    class Fourier(nn.Module):
        def forward(self, x):
            return torch.fft.fft2(x).real

    with pytest.raises(UserError, match=r"cannot write Fourier at opset 13: .*fft"):
        exported(Fourier())


def test_other_outputs_than_tensors_are_refused():
    class Odd(nn.Module):
        def forward(self, x):
            return {"boxes": x, "count": 3}

    with pytest.raises(UserError, match="returns a int where a tensor is needed"):
        exported(Odd())


def test_the_module_itself_is_not_changed():
    module = small_networks.network(small_networks.Mobile).module
    before = copy.deepcopy(module.state_dict())
    exported(module)
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name]), name
