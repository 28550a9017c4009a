from millrace.kernel.contracts import CatalogueItem
from millrace.streams.catalogue import Catalogue, title_words


def test_titles_lose_year_alternative_title_and_stop_words():
    assert title_words("Matrix, The (1999)") == ["matrix"]
    assert title_words("City of Lost Children, The (Cité des enfants perdus, La) (1995)") == [
        "city",
        "lost",
        "children",
    ]
    assert title_words("Schindler's List (1993)") == ["schindlers", "list"]
    assert title_words("") == []


def test_an_upsert_replaces_and_forgets_the_old_words():
    catalogue = Catalogue()
    catalogue.upsert(3, CatalogueItem(item_id="a", title="Alien (1979)", genres=("Horror",), year=1979))
    alien = int(catalogue.tokens[3, 0])
    catalogue.upsert(3, CatalogueItem(item_id="a", title="Brazil", genres=("Drama", "Horror"), available=False))
    assert alien not in catalogue.tokens
    assert catalogue.token_items[alien] == 0
    assert (catalogue.title(3), catalogue.years[3], catalogue.available[3]) == ("Brazil", 0, False)
    assert catalogue.genres[3, :3].tolist() == [2, 1, 0]
    assert (len(catalogue), catalogue.max_index, catalogue.arrivals) == (1, 3, [3])


def test_arrays_grow_with_the_indexes():
    catalogue = Catalogue()
    catalogue.upsert(5_000, CatalogueItem(item_id="far"))
    assert catalogue.available[5_000]
    assert not catalogue.available[4_999]
    assert catalogue.title(5_000) == "far"
    assert catalogue.title(4_999) == ""


def test_a_cleared_catalogue_is_as_a_new_one_and_tells_that_it_has_changed():
    catalogue = Catalogue()
    catalogue.upsert(3, CatalogueItem(item_id="a", title="Alien (1979)", genres=("Horror",), year=1979))
    before = catalogue.sequence
    catalogue.clear()
    assert (len(catalogue), catalogue.max_index, catalogue.arrivals, catalogue.item(3)) == (0, 0, [], None)
    for array in (catalogue.known, catalogue.available, catalogue.years, catalogue.genres, catalogue.tokens):
        assert not array.any()
    assert not catalogue.token_items.any()
    assert catalogue.sequence > before
    catalogue.upsert(3, CatalogueItem(item_id="b", title="Alien"))
    assert catalogue.token_items[catalogue.tokens[3, 0]] == 1
