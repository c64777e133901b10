"""Choosing how a team talks, without training: conversations are held, ranked by a reward, and the best way is kept.

The idea is that of Optima's generate, rank and select (Chen et al. 2024, arXiv 2410.08115), with a race in place of
training; what was said can be exported for whoever wants to train.
"""
