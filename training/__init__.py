"""Drawn scenes, and the small networks that are trained on them. Not part of the installed package."""
