"""The ONNX graphs of a model directory: operators that onnxruntime has fast kernels for.

One block is `MatMulNBits` (4 or 8 bits, integer arithmetic by `accuracy_level` 4) around
`GroupQueryAttention`, which rotates q and k itself and keeps its cache in place. The graphs share
what they can: the output matrix stands apart from the trunk, so that prompt rows never pay for it
and the drafter's graph reads the same file; the embedding lies in a file that both map.

Inputs and outputs (H hidden size, n new tokens, C length of the caches, all of batch 1)::

    trunk.onnx  input_ids int64 [1, n], seqlens_k int32 [1] (length after this run, less 1),
                total_sequence_length int32 [] (that length), past_key_I and past_value_I float32
                [1, kv_heads, C, head_size]
             -> hidden float32 [1, n, H] (the residual before the final norm), normed float32
                [1, n, H] (after it), present_key_I, present_value_I (the same buffers)
    head.onnx   normed float32 [n, H] -> logits float32 [n, vocabulary]
    draft.onnx  the same for the first SHORTLIST tokens alone, which a draft is chosen from
    mtp.onnx    as the trunk, with one layer, and hidden_in float32 [1, n, H]: row t is the trunk's
                `hidden` at position t, and input_ids the token at t + 1. From its `normed` the
                output matrix makes the logits of the token at t + 2.

Operators: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md. MTP:
XiaomiMiMo/MiMo, "MiMo: Unlocking the Reasoning Potential of Language Model", section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import onnx
from onnx import TensorProto, helper

from assistant.llm.architecture import Architecture
from assistant.llm.layout import ROTARY, SHORTLIST, Part, Stored, layout
from assistant.llm.quantisation import Quantisation

_OPSET: Final = 21
_MICROSOFT: Final = "com.microsoft"
_INTEGERS: Final = 4
"""`accuracy_level` that lets kernels compute with 8-bit integers: twice as fast on a CPU."""


def build_graph(
    part: Part, architecture: Architecture, quantisation: Quantisation
) -> onnx.ModelProto:
    """The graph of one part. Its arrays are external: those of `layout`, in the same folder."""
    drawing = _Drawing(architecture, quantisation)
    build = {Part.TRUNK: _trunk, Part.HEAD: _head, Part.DRAFT: _draft, Part.MTP: _mtp}[part]
    inputs, outputs = build(drawing)
    graph = helper.make_graph(drawing.nodes, part.value, inputs, outputs, drawing.arrays)
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="mimo-voice")


class _Drawing:
    """Nodes and arrays of a graph as they accumulate."""

    def __init__(self, architecture: Architecture, quantisation: Quantisation) -> None:
        self.a = architecture
        self.nodes: list[onnx.NodeProto] = []
        self.arrays: list[onnx.TensorProto] = []
        self._stored = {s.name: s for s in layout(architecture, quantisation)}
        self._there: set[str] = set()

    def node(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        domain: str = _MICROSOFT,
        **attributes: Any,
    ) -> str:
        """Add a node; returns its first output."""
        self.nodes.append(
            helper.make_node(kind, inputs, outputs, outputs[0], domain=domain, **attributes)
        )
        return outputs[0]

    def stored(self, name: str) -> Stored:
        """Where the layout puts `name`."""
        return self._stored[name]

    def array(
        self, name: str, kind: int, shape: Sequence[int], file: str, offset: int, size: int
    ) -> str:
        """Refer to an array in a data file; returns its name."""
        if name not in self._there:
            self._there.add(name)
            tensor = TensorProto(
                name=name, data_type=kind, dims=shape, data_location=TensorProto.EXTERNAL
            )
            for key, value in (("location", file), ("offset", offset), ("length", size)):
                tensor.external_data.add(key=key, value=str(value))
            self.arrays.append(tensor)
        return name

    def floats(self, name: str, rows: int | None = None) -> str:
        """A vector, or a matrix of 32 bits, or its first `rows`."""
        s = self._stored[name]
        rows = rows or s.rows
        shape = [rows, s.columns] if s.columns else [rows]
        return self.array(name, TensorProto.FLOAT, shape, s.file, s.offset, rows * s.row_bytes)

    def codes(self, name: str, shape: Sequence[int]) -> tuple[str, str]:
        """Codes, in the shape an operator wants, and scales of the first rows of a matrix."""
        s = self._stored[name]
        rows = shape[0]
        return (
            self.array(name, TensorProto.UINT8, shape, s.file, s.offset, rows * s.row_bytes),
            self.array(
                f"{name}.scales",
                TensorProto.FLOAT,
                [rows, s.blocks],
                s.file,
                s.scales_offset,
                4 * rows * s.blocks,
            ),
        )

    def matmul(self, name: str, x: str, output: str = "", rows: int | None = None) -> str:
        """`x` times the transpose of the stored matrix `name`, or of its first `rows`."""
        s = self._stored[name]
        rows = rows or s.rows
        output = output or f"{name}/out"
        if s.bits == 32:
            return self.node("FusedMatMul", [x, self.floats(name, rows)], [output], transB=1)
        width = s.block * s.bits // 8
        codes, scales = self.codes(name, [rows, s.blocks, width])
        return self.node(
            "MatMulNBits",
            [x, codes, scales],
            [output],
            K=s.columns,
            N=rows,
            bits=s.bits,
            block_size=s.block,
            accuracy_level=_INTEGERS,
        )

    def embedded(self) -> str:
        """The embeddings of `input_ids`."""
        s = self._stored["embedding"]
        if s.bits == 32:
            return self.node("Gather", [self.floats("embedding"), "input_ids"], ["embedded"], "")
        codes, scales = self.codes("embedding", [s.rows, s.row_bytes])
        whole = s.blocks * s.block == s.columns
        rows = self.node(
            "GatherBlockQuantized",
            [codes, "input_ids", scales],
            ["embedded" if whole else "embedded/padded"],
            bits=s.bits,
            block_size=s.block,
            gather_axis=0,
            quantize_axis=1,
        )
        if whole:
            return rows
        parts = [s.columns, s.blocks * s.block - s.columns]
        self.arrays.append(helper.make_tensor("embedded/parts", TensorProto.INT64, [2], parts))
        outputs = ["embedded", "embedded/padding"]
        return self.node("Split", [rows, "embedded/parts"], outputs, "", axis=-1)

    def norm(self, name: str, x: str, output: str) -> str:
        """RMS norm with the stored weights `name`."""
        return self.node(
            "SimplifiedLayerNormalization",
            [x, self.floats(name)],
            [output],
            "",
            axis=-1,
            epsilon=self.a.rms_eps,
        )

    def add_norm(self, name: str, x: str, change: str, total: str, output: str) -> None:
        """`total` = x + change, and `output` its RMS norm."""
        self.node(
            "SkipSimplifiedLayerNormalization",
            [x, change, self.floats(name)],
            [output, "", "", total],
            epsilon=self.a.rms_eps,
        )

    def layer(self, name: str, cache: int, x: str, normed: str) -> tuple[str, str]:
        """One layer; the residual after attention, and what the MLP adds to it."""
        a = self.a
        qkv = self.matmul(f"{name}.qkv", normed)
        if a.qkv_bias:
            qkv = self.node("Add", [qkv, self.floats(f"{name}.qkv_bias")], [f"{name}/qkv"], "")
        rotary = [self.floats(table) for table in ROTARY]
        past = [f"past_key_{cache}", f"past_value_{cache}"]
        lengths = ["seqlens_k", "total_sequence_length"]
        attention = self.node(
            "GroupQueryAttention",
            [qkv, "", "", *past, *lengths, *rotary],
            [f"{name}/attention", f"present_key_{cache}", f"present_value_{cache}"],
            num_heads=a.heads,
            kv_num_heads=a.kv_heads,
            do_rotary=1,
            rotary_interleaved=int(a.rope_interleaved),
        )
        attention = self.matmul(f"{name}.o", attention)
        self.add_norm(f"{name}.post_norm", x, attention, f"{name}/middle", f"{name}/mlp_in")
        both = self.matmul(f"{name}.gate_up", f"{name}/mlp_in")
        halves = [f"{name}/gate", f"{name}/up"]
        self.node("Split", [both], halves, "", axis=-1, num_outputs=2)
        gate = self.node("QuickGelu", halves[:1], [f"{name}/silu"], alpha=1.0)
        product = self.node("Mul", [gate, halves[1]], [f"{name}/product"], "")
        return f"{name}/middle", self.matmul(f"{name}.down", product)

    def cached_io(self, layers: int) -> tuple[list[onnx.ValueInfoProto], list[onnx.ValueInfoProto]]:
        """The inputs and outputs that trunk and drafter have in common."""
        a = self.a
        inputs = [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "n"]),
            helper.make_tensor_value_info("seqlens_k", TensorProto.INT32, [1]),
            helper.make_tensor_value_info("total_sequence_length", TensorProto.INT32, []),
        ]
        outputs = [_floats(name, [1, "n", a.hidden]) for name in ("hidden", "normed")]
        shape = [1, a.kv_heads, "C", a.head_size]
        for layer in range(layers):
            inputs += [_floats(f"past_{kind}_{layer}", shape) for kind in ("key", "value")]
            outputs += [_floats(f"present_{kind}_{layer}", shape) for kind in ("key", "value")]
        return inputs, outputs


_Ends = tuple[list[onnx.ValueInfoProto], list[onnx.ValueInfoProto]]


def _trunk(d: _Drawing) -> _Ends:
    x = d.embedded()
    normed = d.norm("layers.0.input_norm", x, "layers.0/in")
    for layer in range(d.a.layers):
        last = layer == d.a.layers - 1
        following = "norm" if last else f"layers.{layer + 1}.input_norm"
        total = "hidden" if last else f"layers.{layer}/residual"
        output = "normed" if last else f"layers.{layer + 1}/in"
        middle, change = d.layer(f"layers.{layer}", layer, x, normed)
        d.add_norm(following, middle, change, total, output)
        x, normed = total, output
    return d.cached_io(d.a.layers)


def _head(d: _Drawing) -> _Ends:
    d.matmul("head", "normed", "logits")
    return [_floats("normed", ["n", d.a.hidden])], [_floats("logits", ["n", d.a.vocabulary])]


def _draft(d: _Drawing) -> _Ends:
    rows = min(SHORTLIST, d.a.vocabulary)
    d.matmul("head", "normed", "logits", rows)
    return [_floats("normed", ["n", d.a.hidden])], [_floats("logits", ["n", rows])]


def _mtp(d: _Drawing) -> _Ends:
    hidden = d.norm("mtp.hidden_layernorm", "hidden_in", "mtp/hidden_normed")
    token = d.norm("mtp.token_layernorm", d.embedded(), "mtp/token_normed")
    both = d.node("Concat", [hidden, token], ["mtp/both"], "", axis=-1)
    x = d.matmul("mtp.input", both)
    normed = d.norm("mtp.input_norm", x, "mtp/in")
    middle, change = d.layer("mtp", 0, x, normed)
    d.add_norm("mtp.final_layernorm", middle, change, "hidden", "normed")
    inputs, outputs = d.cached_io(1)
    return [*inputs, _floats("hidden_in", [1, "n", d.a.hidden])], outputs


def _floats(name: str, shape: Sequence[Any]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
