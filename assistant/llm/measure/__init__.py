"""Measuring: how fast a model runs on this machine, and how much memory it takes.

`speed.py` times the parts, `script.py` whole answers whose words are given in advance,
`untrained.py` makes models that nobody trained. What a trained model would answer depends on its
weights; how long that takes does not.
"""
