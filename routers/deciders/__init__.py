"""Ways to decide: each file is one."""
