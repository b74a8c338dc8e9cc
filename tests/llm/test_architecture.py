"""What a config.json says of a model, and what it says that can't be run."""

from __future__ import annotations

from typing import Any

import pytest

from assistant.errors import ModelError
from assistant.llm.architecture import LONGEST, Family, from_config
from tests.llm.fake import config

# The entries of XiaomiMiMo/MiMo-7B-RL-0530's config.json that matter here.
MIMO = {
    "architectures": ["MiMoForCausalLM"],
    "attention_bias": True,
    "attention_dropout": 0.0,
    "auto_map": {
        "AutoConfig": "configuration_mimo.MiMoConfig",
        "AutoModelForCausalLM": "modeling_mimo.MiMoForCausalLM",
    },
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "head_dim": 128,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "max_position_embeddings": 65536,
    "max_window_layers": 36,
    "model_type": "mimo",
    "num_attention_heads": 32,
    "num_hidden_layers": 36,
    "num_key_value_heads": 8,
    "num_nextn_predict_layers": 1,
    "rms_norm_eps": 1e-5,
    "rope_scaling": None,
    "rope_theta": 640000,
    "sliding_window": 65536,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "use_mrope": False,
    "use_sliding_window": False,
    "vocab_size": 151680,
}


def test_mimo_s_own_configuration_is_read() -> None:
    a = from_config(MIMO)
    assert (a.family, a.hidden, a.layers, a.intermediate) == (Family.MIMO, 4096, 36, 11008)
    assert (a.heads, a.kv_heads, a.head_size) == (32, 8, 128)
    assert (a.vocabulary, a.context) == (151680, 65536)
    assert (a.rope_theta, a.rms_eps) == (640_000.0, 1e-5)
    assert (a.qkv_bias, a.tied, a.mtp_layers) == (True, False, 1)


def test_a_context_that_no_hub_has_memory_for_is_cut() -> None:
    assert from_config(config(context=1_010_000)).context == LONGEST


@pytest.mark.parametrize(
    ("changes", "theta"),
    [
        ({}, 640_000.0),
        ({"rope_scaling": {"rope_type": "default"}}, 640_000.0),
        # As transformers writes it since version 5.
        ({"rope_theta": None, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}, 5e5),
        ({"rope_parameters": {"rope_type": "default"}}, 640_000.0),
        ({"rope_parameters": {"rope_theta": 1e6, "partial_rotary_factor": 1.0}}, 1e6),
        ({"layer_types": ["full_attention", "full_attention"]}, 640_000.0),
    ],
)
def test_rotary_settings_are_found_wherever_they_are_kept(
    changes: dict[str, Any], theta: float
) -> None:
    assert from_config(config() | changes).rope_theta == theta


def test_of_several_mtp_layers_the_first_is_used() -> None:
    assert from_config(config() | {"num_nextn_predict_layers": 3}).mtp_layers == 1
    assert from_config(config(mtp=False)).mtp_layers == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_type": "mimo_v2_flash"}, "'mimo_v2_flash' can't be run.*get a checkpoint of one"),
        ({"model_type": None}, "model_type None can't be run"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "scaled rotary positions"),
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, "scaled rotary positions"),
        ({"rope_parameters": {"rope_type": "llama3", "factor": 8.0}}, "scaled rotary positions"),
        ({"rope_parameters": {"full_attention": {"rope_theta": 1e6}}}, "from layer to layer"),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "a part of each head"),
        ({"partial_rotary_factor": 0.5}, "a part of each head"),
        ({"rope_scaling": "yarn"}, "rope_scaling is 'yarn'"),
        ({"rope_scaling": [1]}, r"rope_scaling is \[1\]"),
        ({"rope_theta": "fast"}, "rope_theta is 'fast'; a number above 0 is needed"),
        ({"rope_theta": None}, "rope_theta is None"),
        ({"rope_theta": True}, "rope_theta is True"),
        ({"rope_theta": 0}, "rope_theta is 0;"),
        ({"rope_theta": float("nan")}, "rope_theta is nan"),
        ({"rope_theta": float("inf")}, "rope_theta is inf"),
        ({"rope_theta": 10**400}, "rope_theta is 10"),
        ({"rms_norm_eps": []}, r"rms_norm_eps is \[\]"),
        ({"rms_norm_eps": -1e-5}, "rms_norm_eps is -1e-05"),
        ({"use_sliding_window": True}, "sliding-window"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "sliding-window"),
        ({"layer_types": 5}, "sliding-window"),
        ({"hidden_act": "gelu"}, "activation 'gelu'"),
        ({"quantization_config": {"quant_method": "fp8"}}, "quantised already.*is not quantised"),
        ({"quantization": {"bits": 4, "group_size": 64}}, "quantised already"),
        ({"hidden_size": None}, "hidden_size is None; a whole number is needed"),
        ({"hidden_size": 64.5}, "hidden_size is 64.5"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
        ({"num_hidden_layers": 1 << 20}, "layers=1048576.* can't be a model"),
        ({"num_hidden_layers": "36"}, "num_hidden_layers is '36'"),
        ({"num_key_value_heads": 3}, "4 attention heads can't share 3 KV heads"),
        ({"head_dim": 20}, "head size 20 can't be run"),
    ],
)
def test_what_can_t_be_run_is_said(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        from_config(config() | changes)


def test_a_llama_with_biases_is_refused() -> None:
    for bias in ("attention_bias", "mlp_bias"):
        with pytest.raises(ModelError, match="a Llama with biases"):
            from_config(config(family="llama") | {bias: True})
