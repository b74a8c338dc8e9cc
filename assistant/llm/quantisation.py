"""How weights are stored: bits, blocks, and which matrices keep more of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from assistant.errors import ModelError

BITS: Final = (4, 8, 32)
BLOCKS: Final = (32, 64, 128)


@dataclass(frozen=True, slots=True)
class Quantisation:
    """Symmetric block quantisation: each run of `block` weights of a row shares one scale.

    4 bits are codes 0..15 with zero point 8, 8 bits are codes 0..255 with zero point 128, 32 bits
    are float32, not quantised. `head_bits`, `embedding_bits` and `mtp_input_bits` are those of the
    matrices that errors hurt most: the output matrix, the embedding, the MTP layer's input.
    `search`: each scale is the one of several with the least squared error.
    """

    bits: int = 4
    block: int = 64
    head_bits: int = 4
    embedding_bits: int = 4
    mtp_input_bits: int = 4
    search: bool = True

    def __post_init__(self) -> None:
        for bits in (self.bits, self.head_bits, self.embedding_bits, self.mtp_input_bits):
            if bits not in BITS:
                raise ModelError(f"weights of {bits} bits can't be run; choose of {BITS}")
        if self.block not in BLOCKS:
            raise ModelError(f"blocks of {self.block} weights can't be run; choose of {BLOCKS}")
