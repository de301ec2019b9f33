"""Asset checks: what a person would want to be told before believing a number.

Blocking where going on would waste hours or mislead, a warning otherwise; every failure says what to do.
"""

from fa_assets.checks.clips import clip_checks
from fa_assets.checks.embeddings import embedding_checks
from fa_assets.checks.evaluation import comparison_checks, evaluation_checks, leakage_checks
from fa_assets.checks.model import model_checks
from fa_assets.checks.reproduction import reproduction_checks
from fa_assets.checks.submission import submission_checks

__all__ = [
    "clip_checks",
    "comparison_checks",
    "embedding_checks",
    "evaluation_checks",
    "leakage_checks",
    "model_checks",
    "reproduction_checks",
    "submission_checks",
]
