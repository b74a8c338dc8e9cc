"""Our graphs as onnxruntime-genai wants them: one graph, an attention mask, and a description.

The weights are those of the folder as they are; only `model.onnx` and `genai_config.json` come
to lie beside them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import onnx
from onnx import TensorProto, helper

from assistant.llm.architecture import Architecture

_INT64: Final = TensorProto.INT64


def write_genai_model(
    folder: Path, a: Architecture, *, threads: int, context: int, spinning: bool
) -> None:
    """Write both files. Only the last row of a pass has logits, as with our prompts."""
    trunk = onnx.load(folder / "trunk.onnx", load_external_data=False)
    head = onnx.load(folder / "head.onnx", load_external_data=False)
    graph = trunk.graph
    names = {f"past_{kind}_{i}": f"past_key_values.{i}.{kind}" for i in range(a.layers)
             for kind in ("key", "value")}  # fmt: skip
    names |= {old.replace("past_", "present_"): new.replace("past_key_values", "present")
              for old, new in names.items()}  # fmt: skip
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    inputs = [v for v in graph.input if v.name not in ("seqlens_k", "total_sequence_length")]
    outputs = [v for v in graph.output if v.name not in ("hidden", "normed")]
    inputs.append(helper.make_tensor_value_info("attention_mask", _INT64, ["batch", "total"]))
    outputs.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 1, a.vocabulary]))
    del graph.input[:], graph.output[:]
    graph.input.extend(inputs)
    graph.output.extend(outputs)
    # Of the mask's length both lengths that the attention asks for.
    lengths = [
        _node("ReduceSum", ["attention_mask", "bench/one"], "bench/sum", keepdims=0),
        _node("Sub", ["bench/sum", "bench/one"], "bench/last"),
        _node("Cast", ["bench/last"], "seqlens_k", to=TensorProto.INT32),
        _node("Shape", ["attention_mask"], "bench/shape"),
        _node("Gather", ["bench/shape", "bench/axis"], "bench/total", axis=0),
        _node("Cast", ["bench/total"], "total_sequence_length", to=TensorProto.INT32),
    ]
    rest = [*lengths, *graph.node]
    rest.append(_node("Slice", ["normed", "bench/from", "bench/to", "bench/one"], "bench/row"))
    for node in head.graph.node:
        node.input[:] = ["bench/row" if name == "normed" else name for name in node.input]
        rest.append(node)
    del graph.node[:]
    graph.node.extend(rest)
    graph.initializer.extend(head.graph.initializer)
    constants = {"one": [1], "from": [-1], "to": [1 << 62]}
    for name, value in constants.items():
        graph.initializer.append(_constant(f"bench/{name}", value))
    graph.initializer.append(helper.make_tensor("bench/axis", _INT64, [], [1]))
    onnx.save(trunk, folder / "model.onnx")
    config = _config(a, threads=threads, context=context, spinning=spinning)
    (folder / "genai_config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


def _node(kind: str, inputs: list[str], output: str, **attributes: int) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], output, **attributes)


def _constant(name: str, value: list[int]) -> onnx.TensorProto:
    return helper.make_tensor(name, _INT64, [len(value)], value)


def _config(
    a: Architecture, *, threads: int, context: int, spinning: bool
) -> dict[str, dict[str, object]]:
    options = {
        "intra_op_num_threads": threads,
        "session.intra_op.allow_spinning": str(int(spinning)),
        "log_severity_level": 3,
        "provider_options": [],
    }
    decoder = {
        "session_options": options,
        "filename": "model.onnx",
        "head_size": a.head_size,
        "hidden_size": a.hidden,
        "num_attention_heads": a.heads,
        "num_hidden_layers": a.layers,
        "num_key_value_heads": a.kv_heads,
        "inputs": {
            "input_ids": "input_ids",
            "attention_mask": "attention_mask",
            "past_key_names": "past_key_values.%d.key",
            "past_value_names": "past_key_values.%d.value",
        },
        "outputs": {
            "logits": "logits",
            "present_key_names": "present.%d.key",
            "present_value_names": "present.%d.value",
        },
    }
    model = {
        "type": "qwen2",
        "bos_token_id": 0,
        "eos_token_id": a.vocabulary - 1,
        "pad_token_id": a.vocabulary - 1,
        "context_length": a.context,
        "vocab_size": a.vocabulary,
        "decoder": decoder,
    }
    search = {"max_length": context, "past_present_share_buffer": True, "do_sample": False}
    return {"model": model, "search": search}
