"""Make the folder `model/`: a GPT-2 of 235,264 weights and its tokenizer, trained from nothing in minutes.

It learns to go on from a package's synopsis with the archive section, from `train.jsonl` alone; one thread
and one seed, so that the same processor gives the same bytes. README.md says how to run this in the image.
"""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

SEED = 20260711
VOCABULARY, WIDTH, LAYERS, HEADS, LENGTH = 2048, 64, 2, 4, 64
EPOCHS, BATCH, RATE, DECAY, DROPOUT = 24, 32, 3e-3, 0.1, 0.3
ANSWER_WEIGHT = 5.0  # of the section's token in the loss, against 1 for each token of the synopsis
END = "<|endoftext|>"


def main() -> int:
    """Write the files into `--out`, or compare them with those there (`--check`)."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=here / "train.jsonl")
    parser.add_argument("--out", type=Path, default=here / "model")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file would change")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in arguments.data.read_text().splitlines()]
    changed = False
    for name, content in made_files(rows).items():
        path = arguments.out / name
        same = path.is_file() and path.read_bytes() == content
        if not same and not arguments.check:
            path.write_bytes(content)
        changed |= not same
        print(f"{name}: {'the same bytes' if same else 'DIFFERS' if arguments.check else 'written'}")
    return int(arguments.check and changed)


def made_files(rows: Sequence[Mapping[str, str]]) -> Mapping[str, bytes]:
    """Return the bytes of each file by its name."""
    random.seed(SEED)
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    tokenizer = made_tokenizer(rows)
    model = trained_model(tokenizer, rows)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def made_tokenizer(rows: Sequence[Mapping[str, str]]) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE over lower-case letters, learnt from the rows."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" " + question(row) + answer(row) for row in rows], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        pad_token=END,
        unk_token=END,
        model_max_length=LENGTH,
    )


def question(row: Mapping[str, str]) -> str:
    """Return the prompt; the evaluations ask in these very words."""
    return f"{row['synopsis']}\nSection:"


def answer(row: Mapping[str, str]) -> str:
    """Return how the prompt goes on."""
    return f" {row['section']}"


def trained_model(tokenizer: PreTrainedTokenizerFast, rows: Sequence[Mapping[str, str]]) -> GPT2LMHeadModel:
    """Return a model that saw every row `EPOCHS` times."""
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY,
            n_positions=LENGTH,
            n_embd=WIDTH,
            n_layer=LAYERS,
            n_head=HEADS,
            resid_pdrop=DROPOUT,
            embd_pdrop=DROPOUT,
            attn_pdrop=DROPOUT,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    steps = EPOCHS * (-(-len(rows) // BATCH))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    model.train()
    for epoch in range(EPOCHS):
        total = 0.0
        for tokens, weights in batches(tokenizer, random.sample(rows, len(rows))):
            logits = model(tokens).logits[:, :-1]
            losses = torch.nn.functional.cross_entropy(
                logits.transpose(1, 2), tokens[:, 1:], reduction="none"
            )
            loss = (losses * weights).sum() / weights.sum()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{EPOCHS}: loss {total * EPOCHS / steps:.3f}", file=sys.stderr)
    return model.eval()


def batches(
    tokenizer: PreTrainedTokenizerFast, rows: Sequence[Mapping[str, str]]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield token ids (batch x length, padded with the end) and the weight of each token but the first."""
    end = tokenizer.eos_token_id
    for start in range(0, len(rows), BATCH):
        texts = [tokenizer.encode(question(row) + answer(row)) for row in rows[start : start + BATCH]]
        longest = min(max(map(len, texts)), LENGTH)
        tokens = torch.full((len(texts), longest), end)
        weights = torch.zeros(len(texts), longest - 1)
        for place, text in enumerate(texts):
            kept = text[-longest:]
            tokens[place, : len(kept)] = torch.tensor(kept)
            weights[place, : len(kept) - 1] = 1.0
            weights[place, len(kept) - 2] = ANSWER_WEIGHT
        yield tokens, weights


if __name__ == "__main__":
    sys.exit(main())
