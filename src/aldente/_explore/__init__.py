"""Runs of whole programs.

``standalone``
    `aldente.run`: a program without pytest.
"""
