"""`kind: batch`: many small questions in few prompts, with votes that keep the accuracy."""
