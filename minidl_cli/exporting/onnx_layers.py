"""The layers as nodes of an ONNX graph, where samples are rows: `[samples, features]`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor


class Graph:
    """The nodes and constants of an ONNX graph, as they come about.

    All names in it have a dot, so that inputs and outputs of the whole graph, which have none, differ from them.

    Args:
        dtype: the type of all numbers.

    Attributes:
        nodes: the nodes, each after those that it depends on.
        constants: the constants.
        element: the type of all numbers, as ONNX numbers types.
    """

    def __init__(self, dtype: torch.dtype):
        self.dtype = dtype
        self.element: int = TensorProto.DOUBLE if dtype == torch.float64 else TensorProto.FLOAT
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a node, and return the name of its output.

        Args:
            operator: what it does, as ONNX calls it.
            inputs: the names of what it takes.
            attributes: its settings.
        """
        output = f"{operator}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def give(self, name: str, output: str) -> None:
        """Give an output of a node to the outside, under a name without a dot."""
        self.nodes.append(helper.make_node("Identity", [output], [name], name=f"{name}.output"))

    def constant(self, name: str, values: Tensor) -> str:
        """Append a constant, and return its name."""
        return self.keep(numpy_helper.from_array(values.contiguous().numpy(), name))

    def texts(self, name: str, texts: Sequence[str]) -> str:
        """Append a constant row of texts `[1, texts]`, and return its name."""
        return self.keep(numpy_helper.from_array(np.array([texts], dtype=object), name))

    def keep(self, constant: TensorProto) -> str:
        """Append a constant that ONNX has made, and return its name."""
        self.constants.append(constant)
        return constant.name


@dataclass(frozen=True)
class Placed:
    """A layer where it stands in a network.

    Attributes:
        name: what its constants' names start with: its place.
        width: the number of its inputs.
        arguments: those of the config.
        state: the constants that hold its parameters and buffers, by the names that it has for them, such as `weight`.
    """

    name: str
    width: int
    arguments: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, str] = field(default_factory=dict)


# Appends the nodes of a layer, given the name of its input, and returns the name of its output.
Nodes = Callable[[Graph, str, Placed], str]


def _unchanged(graph: Graph, x: str, layer: Placed) -> str:
    return x


def _single(operator: str, **attributes: Any) -> Nodes:
    """Return what appends one node, always with the same attributes."""
    return lambda graph, x, _: graph.add(operator, x, **attributes)


def _in_single_precision(operator: str, **attributes: str) -> Nodes:
    """Return what appends one node of an operator that onnxruntime knows in single precision only.

    Args:
        operator: the operator.
        attributes: the layer's argument for each of its attributes.
    """

    def nodes(graph: Graph, x: str, layer: Placed) -> str:
        values = {name: layer.arguments[argument] for name, argument in attributes.items()}
        if graph.element == TensorProto.FLOAT:
            return graph.add(operator, x, **values)
        y = graph.add(operator, graph.add("Cast", x, to=TensorProto.FLOAT), **values)
        return graph.add("Cast", y, to=graph.element)

    return nodes


def _linear(graph: Graph, x: str, layer: Placed) -> str:
    return graph.add("Gemm", x, *(layer.state[name] for name in ("weight", "bias") if name in layer.state), transB=1)


def _silu(graph: Graph, x: str, layer: Placed) -> str:
    return graph.add("Mul", x, graph.add("Sigmoid", x))


def _batch_norm(graph: Graph, x: str, layer: Placed) -> str:
    statistics = layer.state["running_mean"], layer.state["running_var"]
    eps = layer.arguments["eps"]
    return graph.add("BatchNormalization", x, *_weight_and_bias(graph, layer), *statistics, epsilon=eps)


def _layer_norm(graph: Graph, x: str, layer: Placed) -> str:
    return graph.add("LayerNormalization", x, *_weight_and_bias(graph, layer), epsilon=layer.arguments["eps"])


def _weight_and_bias(graph: Graph, layer: Placed) -> tuple[str, str]:
    """Return the names of γ and β; ONNX asks for them even where a layer has none."""
    if "weight" in layer.state:
        return layer.state["weight"], layer.state["bias"]
    ones = torch.ones(layer.width, dtype=graph.dtype)
    return graph.constant(f"{layer.name}.ones", ones), graph.constant(f"{layer.name}.zeros", torch.zeros_like(ones))


LAYERS: dict[str, Nodes] = {
    "linear": _linear,
    "identity": _unchanged,
    "dropout": _unchanged,
    "tanh": _single("Tanh"),
    "sigmoid": _single("Sigmoid"),
    "relu": _single("Relu"),
    "leaky_relu": _in_single_precision("LeakyRelu", alpha="negative_slope"),
    "elu": _in_single_precision("Elu", alpha="alpha"),
    "gelu": _in_single_precision("Gelu", approximate="approximate"),
    "silu": _silu,
    "softmax": _single("Softmax", axis=1),
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
}
