"""The same models in torch, in float32: transformers' own Qwen2 and Llama, and MiMo's MTP layer
written down plainly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from assistant.llm.architecture import Architecture, Family
from assistant.llm.layout import MTP

Arrays = Mapping[str, NDArray[np.float32]]


class Reference:
    """A model in torch with the given weights, named as in its checkpoint."""

    def __init__(self, a: Architecture, weights: Arrays) -> None:
        self._a = a
        self._weights = {name: torch.from_numpy(np.array(w)) for name, w in weights.items()}
        dimensions = {
            "hidden_size": a.hidden,
            "num_hidden_layers": a.layers,
            "num_attention_heads": a.heads,
            "num_key_value_heads": a.kv_heads,
            "head_dim": a.head_size,
            "intermediate_size": a.intermediate,
            "vocab_size": a.vocabulary,
            "max_position_embeddings": a.context,
            "rope_parameters": {"rope_type": "default", "rope_theta": a.rope_theta},
            "rms_norm_eps": a.rms_eps,
            "tie_word_embeddings": a.tied,
            "attn_implementation": "eager",
        }
        llama = a.family is Family.LLAMA
        model = LlamaForCausalLM(LlamaConfig(**dimensions)) if llama else None
        self.model = model or Qwen2ForCausalLM(Qwen2Config(**dimensions))
        trunk = {k: w for k, w in self._weights.items() if "mtp_layers" not in k}
        missing = self.model.load_state_dict(trunk, strict=False)
        assert not missing.unexpected_keys
        assert set(missing.missing_keys) <= ({"lm_head.weight"} if a.tied else set())
        self.model.eval()

    def logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Logits [n, vocabulary] after each token."""
        with torch.no_grad():
            found: NDArray[np.float32] = self.model(torch.tensor([tokens])).logits[0].numpy()
        return found

    def mtp_logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Logits [n - 1, vocabulary] that the MTP layer gives of the token after the next.

        XiaomiMiMo/MiMo's description of the layer: the trunk's residual before its final norm and
        the embedding of the next token, each normed, joined, projected; one layer; a norm; lm_head.
        """
        with torch.no_grad():
            return self._mtp(tokens)

    def _mtp(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        kept: list[torch.Tensor] = []
        norm = self.model.model.norm
        hook = norm.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
        self.model(torch.tensor([tokens]))
        hook.remove()
        hidden, following = kept[0][:, :-1], torch.tensor([tokens[1:]])
        embedded = self.model.model.embed_tokens(following)
        joined = torch.cat(
            [self._norm(hidden, "hidden_layernorm"), self._norm(embedded, "token_layernorm")], -1
        )
        x = joined @ self._weights[f"{MTP}.input_proj.weight"].T
        x = x + self._attention(self._norm(x, "input_layernorm"))
        y = self._norm(x, "post_attention_layernorm")
        gated = torch.nn.functional.silu(self._linear(y, "mlp.gate_proj"))
        x = x + self._linear(gated * self._linear(y, "mlp.up_proj"), "mlp.down_proj")
        found: NDArray[np.float32] = self.model.lm_head(self._norm(x, "final_layernorm"))[0].numpy()
        return found

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self._a.rms_eps)
        return x * scale * self._weights[f"{MTP}.{name}.weight"]

    def _linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        bias = self._weights.get(f"{MTP}.{name}.bias")
        return torch.nn.functional.linear(x, self._weights[f"{MTP}.{name}.weight"], bias)

    def _attention(self, x: torch.Tensor) -> torch.Tensor:
        a, n = self._a, x.shape[1]
        q, k, v = (
            self._linear(x, f"self_attn.{part}_proj").view(n, -1, a.head_size).transpose(0, 1)
            for part in "qkv"
        )
        angles = torch.arange(n)[:, None] * a.rope_theta ** (
            -torch.arange(0, a.head_size, 2) / a.head_size
        )
        cos, sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)

        def rotated(y: torch.Tensor) -> torch.Tensor:
            first, second = y.chunk(2, -1)
            return y * cos + torch.cat([-second, first], -1) * sin

        shared = a.heads // a.kv_heads
        k, v = rotated(k).repeat_interleave(shared, 0), v.repeat_interleave(shared, 0)
        out = torch.nn.functional.scaled_dot_product_attention(rotated(q), k, v, is_causal=True)
        return self._linear(out.transpose(0, 1).reshape(1, n, -1), "self_attn.o_proj")
