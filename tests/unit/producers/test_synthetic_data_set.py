from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from millrace.kernel.errors import ConfigurationError
from millrace.producers.movielens import load_movielens
from millrace.producers.synthetic import SyntheticOptions
from millrace.producers.synthetic.__main__ import main
from millrace.producers.synthetic.world import World, make_world
from millrace.producers.synthetic.write import write_folder

OPTIONS = SyntheticOptions(events=12_000, users=120, items=400, seed=5)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(OPTIONS)


def test_the_sizes_are_as_wanted_and_no_pair_occurs_twice(world: World) -> None:
    assert len(world.users) == OPTIONS.events
    assert len(np.unique(world.users)) == OPTIONS.users
    assert len(np.unique(world.users.astype(np.int64) * OPTIONS.items + world.movies)) == OPTIONS.events


def test_the_same_seed_makes_the_same_world(world: World) -> None:
    again, other = make_world(OPTIONS), make_world(replace(OPTIONS, seed=6))
    assert np.array_equal(world.movies, again.movies)
    assert np.array_equal(world.times_s, again.times_s)
    assert not np.array_equal(world.movies, other.movies)


def test_time_runs_forward_with_many_equal_seconds(world: World) -> None:
    assert (np.diff(world.times_s) >= 0).all()
    same = []
    for user in range(OPTIONS.users):
        same.append(np.diff(world.times_s[world.users == user]) == 0)
    assert 0.35 < np.concatenate(same).mean() < 0.65


def test_popularity_is_skewed_and_liked_items_get_more_stars(world: World) -> None:
    counts = np.sort(np.bincount(world.movies, minlength=OPTIONS.items))[::-1]
    assert counts[:40].sum() > 2.0 * counts.mean() * 40
    liking = np.einsum("nf,nf->n", world.people.taste[world.users], world.items.taste[world.movies])
    assert np.corrcoef(liking, world.stars)[0, 1] > 0.1
    assert set(np.unique(world.stars)) == {1, 2, 3, 4, 5}


def test_what_follows_an_item_comes_after_it_far_more_often_than_by_chance(world: World) -> None:
    order = np.lexsort((np.arange(len(world.users)), world.users))
    users, movies = world.users[order], world.movies[order]
    same_user = users[1:] == users[:-1]
    follows = (world.items.followers[movies[:-1]] == movies[1:, None]).any(axis=1)[same_user].mean()
    shuffled = np.random.default_rng(0).permutation(movies)
    by_chance = (world.items.followers[movies] == shuffled[:, None]).any(axis=1).mean()
    assert follows > 2.0 * by_chance


def test_the_folder_is_read_as_ml_1m(world: World, tmp_path: Path) -> None:
    write_folder(world, tmp_path)
    data = load_movielens(tmp_path)
    assert len(data) == OPTIONS.events
    assert data.items == world.items.catalogue()
    assert sum(event.value or 0 for event in data.events()) == world.stars.sum()
    gender, age = (tmp_path / "users.dat").read_text().splitlines()[0].split("::")[1:3]
    assert gender in {"F", "M"}
    assert int(age) == world.people.age[0]


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="events do not fit"):
        make_world(SyntheticOptions(events=1_000_000, users=10, items=100))
    with pytest.raises(ConfigurationError, match="at least one event, one user and 50 items"):
        make_world(SyntheticOptions(events=10, users=10, items=49))


def test_the_command_takes_the_sizes_as_replay_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(tmp_path / "made"), "users=30,items=100,events=800,seed=1"])
    assert len(load_movielens(tmp_path / "made")) == 800
    assert capsys.readouterr().out == f"Wrote 800 ratings of 30 users to {tmp_path / 'made'}\n"


@pytest.mark.parametrize(
    ("sizes", "said"), [("events=5,users=50", "events do not fit"), ("movies=5", "'movies=5' of the sizes is unusable")]
)
def test_the_command_refuses_unusable_sizes(
    sizes: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), sizes])
    assert said in capsys.readouterr().err
