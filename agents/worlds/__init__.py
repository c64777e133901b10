"""Worlds to measure teams in: robots that must act together, seeded, self-scoring, and solvable.

Written from the description of the tasks in Chen et al. 2023 (arXiv 2309.15943); rules and instances are our own.
"""
