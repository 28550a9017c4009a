"""The baseline of predicted ratings."""

import pytest

from millrace.model.rating.bias import ITEM_PRIOR, USER_PRIOR, BiasModel


def test_nothing_known_gives_a_neutral_rating() -> None:
    assert BiasModel().predict("anyone", "anything") == 3.5


def test_one_rating_moves_user_and_item_by_their_shrunk_residual() -> None:
    model = BiasModel()
    model.learn("a", "x", 5.0)
    mean = (35.0 + 5.0) / 11
    assert model.mean == pytest.approx(mean)
    assert model.predict("a", "y") == pytest.approx(mean + 1.5 / (1 + USER_PRIOR))
    assert model.predict("b", "x") == pytest.approx(mean + 1.5 / (1 + ITEM_PRIOR))


def test_asking_learns_nothing_and_predictions_stay_within_the_stars() -> None:
    model = BiasModel()
    for item in range(200):
        model.learn("fan", item, 5.0)
        model.learn("critic", item, 0.5)
    before = model.predict("fan", "new")
    assert 0.5 <= model.predict("critic", 0) <= model.predict("fan", 0) <= 5.0
    model.predict("stranger", "unknown")
    assert model.predict("fan", "new") == before
