"""A trained round as an ONNX model, which takes a table's own numbers and texts."""

import json
import re
from collections.abc import Mapping

import numpy as np
import torch
from onnx import ModelProto, TensorProto, ValueInfoProto, checker, helper, numpy_helper
from torch import Tensor

from .. import __version__
from ..data.columns import Column, Columns, Label
from .onnx_layers import LAYERS, Graph, Placed
from .trained import TrainedRound

# The first with Gelu; and the version of the file format that came with it.
OPSET, IR_VERSION = 20, 9

INPUTS, PREDICTION, LABEL = "inputs", "prediction", "label"


def onnx_model(trained: TrainedRound) -> ModelProto:
    """Return the model of a trained round.

    Inputs, for N samples: `inputs`, `[N, columns]`, the numbers, booleans (0 and 1) and dates (days since 1970-01-01)
    of a table, NaN where one is missing; and for each column of categories a text, `[N, 1]`, empty where it is
    missing, under the name that `category_inputs` gives it. The model's metadata tell in JSON which columns they are:
    `inputs` is a list of names, `categories` has the column and its known values for the name of each text.

    Outputs: `prediction`, `[N, outputs]`, on the scale of the targets and in their own units; and where there are
    classes, `label`, `[N]`: the predicted class, as the table has it.

    Raises:
        InputError: a layer or the loss cannot be exported.
    """
    graph = Graph(trained.dtype)
    x = _features(graph, trained.columns)
    x = _scaled(graph, x, trained.scaling)
    x = _through_layers(graph, x, trained)
    x = trained.link(LAYERS)(graph, x, Placed("link", trained.widths[-1]))
    x = _unscaled(graph, x, trained.scaling)
    graph.give(PREDICTION, x)
    if trained.columns.classes is not None:
        labels = graph.keep(_labels(trained.columns.classes))
        graph.give(LABEL, graph.add("Gather", labels, _recognized(graph, x, trained)))
    body = helper.make_graph(
        graph.nodes, trained.config.name, _inputs(graph, trained.columns), _outputs(graph, trained), graph.constants
    )
    model = helper.make_model(
        body,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="minidl",
        producer_version=__version__,
    )
    helper.set_model_props(model, _metadata(trained.columns))
    checker.check_model(model, full_check=True)
    return model


def category_inputs(columns: Columns) -> dict[str, str]:
    """Return the name of the input for each column of categories: the column's, with `_` for unusual characters.

    Where two would have the same name, the second one ends with `_2`.
    """
    names: dict[str, str] = {}
    for column in columns.inputs:
        if column.kind == "category":
            plain = name = re.sub(r"^(?=\d|$)", "_", re.sub(r"\W", "_", column.name, flags=re.ASCII))
            number = 1
            while name in {INPUTS, PREDICTION, LABEL, *names.values()}:
                number += 1
                name = f"{plain}_{number}"
            names[column.name] = name
    return names


def _inputs(graph: Graph, columns: Columns) -> list[ValueInfoProto]:
    numbers, names = _plain_columns(columns), category_inputs(columns)
    doc = f"One column for each of: {', '.join(column.name for column in numbers)}"
    plain = [helper.make_tensor_value_info(INPUTS, graph.element, ["N", len(numbers)], doc)] if numbers else []
    return plain + [
        helper.make_tensor_value_info(name, TensorProto.STRING, ["N", 1], f"The column {column}, a text")
        for column, name in names.items()
    ]


def _outputs(graph: Graph, trained: TrainedRound) -> list[ValueInfoProto]:
    columns = trained.columns
    doc = f"The prediction of: {', '.join(columns.targets)}"
    outputs = [helper.make_tensor_value_info(PREDICTION, graph.element, ["N", trained.widths[-1]], doc)]
    if columns.classes is not None:
        doc = f"The class of highest prediction, a value of: {columns.targets[0]}"
        outputs.append(helper.make_tensor_value_info(LABEL, _labels(columns.classes).data_type, ["N"], doc))
    return outputs


def _metadata(columns: Columns) -> dict[str, str]:
    values = {column.name: column.categories for column in columns.inputs}
    names = category_inputs(columns)
    facts = {
        "inputs": [column.name for column in _plain_columns(columns)],
        "categories": {name: {"column": column, "values": values[column]} for column, name in names.items()},
        "targets": columns.targets,
        "classes": columns.classes,
    }
    return {name: json.dumps(fact, ensure_ascii=False) for name, fact in facts.items()}


def _plain_columns(columns: Columns) -> list[Column]:
    """Return the columns that are a feature each."""
    return [column for column in columns.inputs if column.kind != "category"]


def _features(graph: Graph, columns: Columns) -> str:
    """Append what makes features `[N, features]` of the inputs, in the order of the columns."""
    numbers, names = _plain_columns(columns), category_inputs(columns)
    categories = [column for column in columns.inputs if column.kind == "category"]
    pieces = [INPUTS] if numbers else []
    pieces += [_one_hot(graph, names[column.name], column.categories) for column in categories]
    x = graph.add("Concat", *pieces, axis=1) if len(pieces) > 1 else pieces[0]
    first, places = 0, {}
    for column in [*numbers, *categories]:
        places[column.name] = range(first, first + len(column.features))
        first += len(column.features)
    order = [place for column in columns.inputs for place in places[column.name]]
    if order == list(range(first)):
        return x
    return graph.add("Gather", x, graph.constant("features.order", torch.tensor(order)), axis=1)


def _one_hot(graph: Graph, name: str, categories: tuple[str, ...]) -> str:
    """Append what makes features `[N, categories]` of texts: all 0 for an unknown one, NaN for an empty one."""
    known = graph.add("Equal", name, graph.texts(f"{name}.categories", categories))
    present = graph.add("Cast", known, to=graph.element)
    if "" in categories:
        return present
    is_missing = graph.add("Equal", name, graph.texts(f"{name}.missing", [""]))
    nan = graph.constant(f"{name}.nan", torch.tensor(torch.nan, dtype=graph.dtype))
    return graph.add("Where", is_missing, nan, present)


def _scaled(graph: Graph, x: str, scaling: Mapping[str, Tensor]) -> str:
    """Append what the first layer sees: missing values filled, and (x − center) × scale."""
    if "inputs.fill" in scaling:
        fill = graph.constant("inputs.fill", scaling["inputs.fill"])
        x = graph.add("Where", graph.add("IsNaN", x), fill, x)
    if "inputs.scale" in scaling:
        x = graph.add("Sub", x, graph.constant("inputs.center", scaling["inputs.center"]))
        x = graph.add("Mul", x, graph.constant("inputs.scale", scaling["inputs.scale"]))
    return x


def _through_layers(graph: Graph, x: str, trained: TrainedRound) -> str:
    for place, layer in enumerate(trained.config.model):
        if layer.name not in LAYERS:
            problem = f"{layer.name} cannot be exported: minidl knows no ONNX nodes for it"
            raise trained.config.error(("model", place), problem)
        state = {name: graph.constant(f"{place}.{name}", each) for name, each in trained.layer_state(place).items()}
        x = LAYERS[layer.name](graph, x, Placed(str(place), trained.widths[place], layer.arguments, state))
    return x


def _unscaled(graph: Graph, y: str, scaling: Mapping[str, Tensor]) -> str:
    """Append what brings predictions into the targets' own units: y / scale + center."""
    if "targets.scale" in scaling:
        y = graph.add("Div", y, graph.constant("targets.scale", scaling["targets.scale"]))
        y = graph.add("Add", y, graph.constant("targets.center", scaling["targets.center"]))
    return y


def _recognized(graph: Graph, prediction: str, trained: TrainedRound) -> str:
    """Append the place of the predicted class, `[N]`: of the largest output, or what a single one says."""
    if trained.widths[-1] > 1:
        return graph.add("ArgMax", prediction, axis=1, keepdims=0)
    middle = graph.constant("label.middle", torch.tensor(trained.middle, dtype=graph.dtype))
    is_second = graph.add("Cast", graph.add("Greater", prediction, middle), to=TensorProto.INT64)
    return graph.add("Squeeze", is_second, graph.constant("label.axis", torch.tensor([1])))


def _labels(classes: tuple[Label, ...]) -> TensorProto:
    """Return the labels of all classes, of the type that they have in the table."""
    kind = object if isinstance(classes[0], str) else None
    return numpy_helper.from_array(np.array(classes, dtype=kind), "label.classes")
