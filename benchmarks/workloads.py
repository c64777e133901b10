"""Prompts for the benchmarks with a real server: common beginnings of the usual kinds, in shuffled order.

The texts come from the encyclopedia that ships with Laconic.
"""

from __future__ import annotations

import json
import random
from typing import Any

from laconic.workflows import folder

Prompts = list[dict[str, Any]]
"""Prompts as a flow takes them: `system`, `question`, and `most`, the most tokens to answer with."""

QUESTIONS = (
    "Which year is mentioned first?",
    "Which place is mentioned first?",
    "Who is mentioned first?",
    "Which number is the largest?",
    "What is it all about, in three words?",
    "Which of the places lies furthest north?",
    "What happened last?",
    "Which word is the most technical?",
)
TOOLS = (
    "search[words]: finds a passage of the encyclopedia, best with two or three names",
    "calculator[formula]: works out numbers, with + - * / and brackets",
    "sql[query]: asks the table `places` with the columns name, country, population and founded",
    "calendar[dates]: says how many days lie between two dates",
)


def texts() -> list[tuple[str, str]]:
    """Title and text of every article."""
    lines = (folder() / "data" / "encyclopedia.jsonl").read_text(encoding="utf-8").splitlines()
    return [(entry["title"], entry["text"]) for entry in map(json.loads, lines)]


def shared(documents: int, questions: int, *, seed: int = 1) -> Prompts:
    """Prompts with common beginnings, shuffled.

    `documents` of four articles each with `questions` questions; and half as many prompts again from three system
    prompts with tools and worked examples, each with a question of its own.
    """
    chance, articles = random.Random(seed), texts()
    made: Prompts = []
    for number in range(documents):
        parts = chance.sample(articles, 4)
        document = f"Document {number}.\n\n" + "\n\n".join(f"{title}\n{text}" for title, text in parts)
        made += [{"system": document, "question": QUESTIONS[asked], "most": 8} for asked in range(questions)]
    assistants = [_assistant(chance, articles, name) for name in ("Ada", "Grace", "Hedy")]
    for number in range(documents * questions // 2):
        title, _ = articles[number % len(articles)]
        made.append({"system": assistants[number % 3], "question": f"{number}. What is {title}?", "most": 24})
    chance.shuffle(made)
    return made


def apart(number: int, *, seed: int = 2) -> Prompts:
    """Prompts without any common beginning."""
    chance, articles = random.Random(seed), texts()
    made = []
    for n in range(number):
        parts = chance.sample(articles, 3)
        text = " ".join(text for _, text in parts)
        made.append({"system": f"{n} {chance.random()} {text}", "question": chance.choice(QUESTIONS), "most": 16})
    return made


def _assistant(chance: random.Random, articles: list[tuple[str, str]], name: str) -> str:
    """A system prompt with tools and worked examples."""
    examples = "\n\n".join(f"Question: What is {title}?\nAnswer: {text}" for title, text in chance.sample(articles, 4))
    tools = "\n".join(chance.sample(TOOLS, len(TOOLS)))
    return f"You are {name}, who answers in one sentence.\n\nTools:\n{tools}\n\n{examples}"
