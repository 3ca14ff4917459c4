"""Tiny encoders of text, made by the tests."""

import os
from importlib.util import find_spec

import pytest
import torch

SENTENCES = [
    "disk failure on node seven",
    "the user logged in from a new address",
    "login of the user failed",
    "memory is full",
    "node seven restarted after the failure of its disk and came back",
]


def needed(*packages):
    """Skip the test where packages are missing, but fail where they must be there."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"not installed: {', '.join(missing)}")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def trained(network):
    """Return a network whose biases and norms have moved, as training moves them."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim == 1:
                weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    return network


def tiny_bert(folder, seed=0, train=True):
    """Write a BERT of two layers with a vocabulary of letters and digits, and return its folder."""
    needed("transformers", "tokenizers")
    import transformers

    letters = [*"abcdefghijklmnopqrstuvwxyz0123456789"]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    torch.manual_seed(seed)
    network = transformers.BertModel(config, add_pooling_layer=False)
    (trained(network) if train else network).save_pretrained(folder)
    return folder


def tiny_gpt2(folder):
    """Write a GPT-2 of two layers over bytes, and return its folder."""
    needed("transformers", "tokenizers")
    import tokenizers
    import transformers

    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    end = "<|endoftext|>"
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=[end], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=end, eos_token=end
    )
    wrapped.save_pretrained(folder)
    config = transformers.GPT2Config(
        vocab_size=len(wrapped),
        n_positions=64,
        n_embd=16,
        n_layer=2,
        n_head=2,
        bos_token_id=0,
        eos_token_id=0,
    )
    torch.manual_seed(0)
    trained(transformers.GPT2LMHeadModel(config)).save_pretrained(folder)
    return folder
