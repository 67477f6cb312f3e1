"""Writes a language model that knows nothing, for tests of a real server: python tools/tiny_language_model.py OUT.gguf.

Network  Llama (Touvron et al. 2023, arXiv:2302.13971): 2 layers, 64 wide, weights drawn from a seed.
Words    The bytes, and the characters of ASCII, one token each; a chat template of one line a turn.
Use      A server that holds it to a JSON schema makes it answer in that schema, with whatever it draws.
Needs    The package `gguf`, which nothing else of the project does.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np

from hearthwatch.vision.image import Float

SEED = 20260901
WIDTH, LAYERS, HEADS, INNER = 64, 2, 4, 128
#: Tokens are characters here: a prompt of a few thousand and an answer of as many fit.
CONTEXT = 16384
#: Any small number: the weights are drawn so that logits differ and nothing overflows.
SPREAD = 0.3
TEMPLATE = "{% for turn in messages %}{{ turn['role'] }}: {{ turn['content'] }}\n{% endfor %}assistant: "
#: SentencePiece writes a space as this character.
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"


def write(path: Path, seed: int = SEED) -> None:
    """Write the file; the same seed gives the same bytes."""
    tokens, kinds = _tokens()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny-random")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(TEMPLATE)
    for name, values in _weights(len(tokens), seed).items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tokens() -> tuple[list[str], list[int]]:
    """Every token with its kind, in the order of their ids."""
    special = [("<unk>", gguf.TokenType.UNKNOWN), ("<s>", gguf.TokenType.CONTROL), ("</s>", gguf.TokenType.CONTROL)]
    # Bytes beyond ASCII are read and never written: drawn at random they are no UTF-8, which servers refuse to send.
    bytes_ = [
        (f"<0x{value:02X}>", gguf.TokenType.BYTE if value < 128 else gguf.TokenType.UNUSED) for value in range(256)
    ]
    characters = [(chr(code), gguf.TokenType.NORMAL) for code in range(ord("!"), ord("~") + 1)]
    rows = [*special, *bytes_, (SPACE, gguf.TokenType.NORMAL), *characters]
    return [text for text, _ in rows], [int(kind) for _, kind in rows]


def _weights(tokens: int, seed: int) -> dict[str, Float]:
    """Tensors by name, (rows out, columns in)."""
    shapes = {"token_embd.weight": (tokens, WIDTH), "output_norm.weight": (WIDTH,), "output.weight": (tokens, WIDTH)}
    for layer in range(LAYERS):
        shapes |= {f"blk.{layer}.{name}.weight": (WIDTH,) for name in ("attn_norm", "ffn_norm")}
        shapes |= {f"blk.{layer}.attn_{part}.weight": (WIDTH, WIDTH) for part in ("q", "k", "v", "output")}
        shapes |= {f"blk.{layer}.ffn_{part}.weight": (INNER, WIDTH) for part in ("gate", "up")}
        shapes[f"blk.{layer}.ffn_down.weight"] = (WIDTH, INNER)
    random = np.random.default_rng(seed)
    return {
        name: np.ones(shape, np.float32) if "norm" in name else random.normal(0, SPREAD, shape).astype(np.float32)
        for name, shape in shapes.items()
    }


if __name__ == "__main__":
    write(Path(sys.argv[1]))
