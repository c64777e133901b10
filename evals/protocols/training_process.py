"""Run as a program, by an interpreter that has TRL: trains an adapter on records.

It imports nothing of Laconic. Input, one line of JSON, as `training.py` writes it. Output: what TRL prints, and as its
last line `{steps, loss, packages}`. The end of the input, which comes with the end of the caller however that happens,
ends the process.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from importlib.metadata import version
from typing import Any


def main() -> None:
    """Train, and say how it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the caller's to handle, who then ends us
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_caller, daemon=True).start()
    try:
        said = train(asked)
    except Exception:  # whatever it is, the caller is waiting to be told
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    sys.stdout.write("\n" + json.dumps(said) + "\n")
    sys.stdout.flush()
    os._exit(0)


def train(asked: dict[str, Any]) -> dict[str, Any]:
    """An adapter of low rank for all linear layers, saved with the tokenizer."""
    import torch
    from datasets import load_dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    columns = ["prompt", "completion"] if asked["kind"] == "sft" else ["prompt", "chosen", "rejected"]
    records = load_dataset("json", data_files=asked["records"], split="train").select_columns(columns)
    on_gpu = torch.cuda.is_available()
    kind = torch.bfloat16 if on_gpu and torch.cuda.is_bf16_supported() else torch.float32
    model = AutoModelForCausalLM.from_pretrained(asked["model"], dtype=kind)
    tokenizer = AutoTokenizer.from_pretrained(asked["model"])
    how: dict[str, Any] = {
        "output_dir": asked["out"],
        "num_train_epochs": asked["epochs"],
        "max_steps": asked["most_steps"],
        "learning_rate": asked["learning_rate"],
        "per_device_train_batch_size": asked["batch"],
        "max_length": asked["most_tokens"],
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "bf16": kind == torch.bfloat16,
        "disable_tqdm": True,
        "use_cpu": not on_gpu,
        "seed": 17,
    }
    adapter = LoraConfig(
        r=asked["rank"], lora_alpha=2 * asked["rank"], target_modules="all-linear", task_type="CAUSAL_LM"
    )
    sft = asked["kind"] == "sft"
    trainer = (SFTTrainer if sft else DPOTrainer)(
        model=model,
        args=(SFTConfig if sft else DPOConfig)(**how),
        train_dataset=records,
        processing_class=tokenizer,
        peft_config=adapter,
    )
    result = trainer.train()
    trainer.save_model(asked["out"])
    names = ("trl", "peft", "datasets", "torch", "transformers")
    return {
        "steps": result.global_step,
        "loss": result.training_loss,
        "packages": {name: version(name) for name in names},
    }


def _end_with_the_caller() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
