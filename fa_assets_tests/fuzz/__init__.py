"""Fuzzing of the intake: mutated audio files and CSV tables, each accepted or refused by name, whatever is in them.

`python -m fa_assets_tests.fuzz` (`make fuzz`) runs a whole campaign, `test_fuzz.py` a fast one. A case is made from the
seed and its number alone, so that one that was found is made again by naming it.
"""
