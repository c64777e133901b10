"""Training a router of tokens on labelled ones: which of the small model's tokens lead elsewhere.

The losses, rates and the rule for the threshold are those of R2R (arXiv 2505.21600). What is held out is whole
questions: tokens of one answer are too alike to judge each other.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable
from typing import Any

import msgspec

from ...errors import InputError
from ..token_router import About, Shape
from .labels import DIVERGENT, Labelled
from .router import build, forward

AT_ONCE = 4096
"""Tokens that are judged in one pass."""


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """How a router is trained; the defaults are R2R's."""

    width: int = 1024
    blocks: int = 6
    expansion: int = 4
    recall: float = 0.95
    """Share of the divergent tokens of the held-out questions that are to be above the threshold."""
    epochs: int = 50
    patience: int = 10
    """Epochs without a lower loss on held-out questions after which it ends."""
    batch: int = 1024
    rate: float = 5e-5
    decay: float = 5e-4
    held_out: float = 0.2
    """Share of the questions that are held out."""
    seed: int = 0


class Epoch(msgspec.Struct, frozen=True):
    """How far a training is. Losses are the mean over tokens, divergent ones weighing as much as all others."""

    number: int
    learned: float
    """Loss on what it learns from, while it did."""
    held_out: float
    """Loss on what was held out."""


def train(labelled: Labelled, how: Training, on_epoch: Callable[[Epoch], None] = lambda _: None) -> tuple[Any, About]:
    """The network with the least loss on questions that were held out, and its threshold. Blocks for long.

    Raises InputError for labels of which either part lacks divergent tokens, or others.
    """
    import torch

    learned, judged = divided(labelled, how.held_out, how.seed)
    shape = Shape(labelled.hidden.shape[1], how.width, how.blocks, how.expansion)
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    with torch.random.fork_rng():
        torch.manual_seed(how.seed)
        network = build(shape).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=how.rate, weight_decay=how.decay)
    shuffling = torch.Generator().manual_seed(how.seed)
    best, least, since = copy.deepcopy(network.state_dict()), math.inf, 0
    heavier = _heavier(learned)
    for number in range(1, how.epochs + 1):
        network.train()
        total = 0.0
        for rows in torch.randperm(len(learned.label), generator=shuffling).split(how.batch):
            loss = _loss(network, learned, rows.numpy(), heavier)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        network.eval()
        held_out = _loss_of(network, judged, heavier)
        on_epoch(Epoch(number, total / len(learned.label), held_out))
        if held_out < least:
            best, least, since = copy.deepcopy(network.state_dict()), held_out, 0
        elif (since := since + 1) == how.patience:
            break
    network.load_state_dict(best)
    threshold, recall, share = threshold_for(doubts(network, judged), judged, how.recall)
    first = labelled.questions[0]
    about = About(
        shape=shape,
        small=first.small,
        large=first.large,
        vocabulary=first.vocabulary,
        threshold=threshold,
        recall=recall,
        share=share,
        judge=first.judge,
        learned=tuple(sorted(set(learned.prompts.tolist()))),
        held_out=tuple(sorted(set(judged.prompts.tolist()))),
    )
    return network, about


def divided(labelled: Labelled, held_out: float, seed: int) -> tuple[Labelled, Labelled]:
    """What is learned from and what is held out, by question, questions with divergent tokens dealt to both.

    Raises InputError if either part lacks divergent tokens, or others.
    """
    import numpy as np

    prompts = labelled.prompts
    questions = sorted(set(prompts.tolist()))
    divergent = set(prompts[labelled.label == DIVERGENT].tolist())
    random.Random(seed).shuffle(questions)
    dealt = [question for question in questions if question in divergent] + [
        question for question in questions if question not in divergent
    ]
    every = max(2, round(1 / held_out))
    outside = np.isin(prompts, dealt[::every])
    parts = labelled.of(~outside), labelled.of(outside)
    for part in parts:
        if len({label == DIVERGENT for label in part.label.tolist()}) < 2:
            raise InputError(
                "what is learned from and what is held out both need divergent tokens and others; of "
                f"{len(questions)} questions {len(divergent)} have divergent ones: label more questions, or more "
                "mismatches of each (--most)"
            )
    return parts


def doubts(network: Any, labelled: Labelled) -> Any:
    """The router's doubt of each token, 0 to 1; a numpy array [n], as exact as a threshold is."""
    import numpy as np
    import torch

    found = []
    with torch.inference_mode():
        for begin in range(0, len(labelled.label), AT_ONCE):
            found.append(_odds(network, labelled.of(slice(begin, begin + AT_ONCE))).sigmoid().double().cpu().numpy())
    return np.concatenate(found)


def threshold_for(doubt: Any, labelled: Labelled, recall: float) -> tuple[float, float, float]:
    """The highest threshold with `recall` of the divergent tokens above it; that recall, and the share of all."""
    import numpy as np

    divergent = labelled.label == DIVERGENT
    order = np.argsort(-doubt[divergent], kind="stable")
    reached = np.cumsum(labelled.weight[divergent][order])
    last = int(np.searchsorted(reached, recall * reached[-1] * (1 - 1e-9)))
    threshold = float(np.nextafter(np.float64(doubt[divergent][order][last]), -np.inf))
    above = doubt > threshold
    caught = labelled.weight[above & divergent].sum() / reached[-1]
    return threshold, float(caught), float(labelled.weight[above].sum() / labelled.weight.sum())


def _odds(network: Any, part: Labelled) -> Any:
    import torch

    device = next(network.parameters()).device
    arrays = (part.logits, part.hidden, part.embedding)
    return forward(network, *(torch.from_numpy(array).to(device).float() for array in arrays))


def _loss(network: Any, labelled: Labelled, rows: Any, heavier: float) -> Any:
    import torch

    part = labelled.of(rows)
    odds = _odds(network, part)
    divergent = torch.from_numpy(part.label == DIVERGENT).to(odds)
    return torch.nn.functional.binary_cross_entropy_with_logits(
        odds,
        divergent,
        weight=torch.from_numpy(part.weight).to(odds),
        pos_weight=torch.tensor(heavier).to(odds),
    )


def _loss_of(network: Any, labelled: Labelled, heavier: float) -> float:
    import numpy as np
    import torch

    total = 0.0
    with torch.inference_mode():
        for begin in range(0, len(labelled.label), AT_ONCE):
            rows = np.arange(begin, min(begin + AT_ONCE, len(labelled.label)))
            total += _loss(network, labelled, rows, heavier).item() * len(rows)
    return total / len(labelled.label)


def _heavier(labelled: Labelled) -> float:
    """How much more a divergent token weighs than another, so that both sorts weigh the same in all."""
    divergent = labelled.weight[labelled.label == DIVERGENT].sum()
    return float((labelled.weight.sum() - divergent) / divergent)
