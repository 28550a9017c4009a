"""Candidates, their features, the linear fusion and the rules of a list: pure, the same in serving and training."""

from streams.ranking.batch import CandidateBatch
from streams.ranking.candidates import CandidateStep
from streams.ranking.features import CONTEXT_NAMES, FEATURE_NAMES
from streams.ranking.fusion import FusionWeights
from streams.ranking.grading import Grade, grade
from streams.ranking.rules import ListedItem, ListRules, RankedItems, select_list

__all__ = [
    "CONTEXT_NAMES",
    "FEATURE_NAMES",
    "CandidateBatch",
    "CandidateStep",
    "FusionWeights",
    "Grade",
    "ListRules",
    "ListedItem",
    "RankedItems",
    "grade",
    "select_list",
]
