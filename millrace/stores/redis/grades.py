"""Live grades summed per version and arm, so that a commit touches each live hash once."""

from collections.abc import Iterable

from millrace.stores.redis.values import LiveGrade

# events, hits, ndcg, popularity_hits, popularity_ndcg
LiveSums = tuple[int, int, float, int, float]


def summed(grades: Iterable[LiveGrade]) -> dict[tuple[str, str], LiveSums]:
    """Return the sums (events, hits, ndcg, popularity hits, popularity ndcg) by (version, arm)."""
    sums: dict[tuple[str, str], LiveSums] = {}
    for grade in grades:
        events, hits, ndcg, popularity_hits, popularity_ndcg = sums.get((grade.version, grade.arm), (0, 0, 0.0, 0, 0.0))
        sums[grade.version, grade.arm] = (
            events + 1,
            hits + grade.hit,
            ndcg + grade.ndcg,
            popularity_hits + grade.popularity_hit,
            popularity_ndcg + grade.popularity_ndcg,
        )
    return sums
