"""Candidates, their features, the linear fusion and the rules of a list: pure, the same in serving and training."""

from millrace.streams.ranking.candidate_batch import CandidateBatch
from millrace.streams.ranking.candidates import CandidateStep
from millrace.streams.ranking.columns import CONTEXT_NAMES, FEATURE_NAMES
from millrace.streams.ranking.fusion import FusionWeights
from millrace.streams.ranking.grading import Grade, grade
from millrace.streams.ranking.rules import ListedItem, ListRules, RankedItems, select_list

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
