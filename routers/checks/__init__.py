"""Ways to check an answer: each file is one."""
