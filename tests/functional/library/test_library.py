"""A library's catalogue and loans: headings with JSON examples."""

import httpx
import pytest

AUSTEN = {
    "isbn": "111",
    "title": "Emma",
    "author": "J. Austen",
    "year": 1815,
    "tags": ["a", "b"],
    "publisher": {"name": "Murray", "city": "Bath"},
}


@pytest.fixture(scope="module")
def emma(api: httpx.Client) -> dict[str, object]:
    created = api.post("/books", json=AUSTEN)
    assert created.status_code == 201, created.text
    return dict(created.json())


def another(api: httpx.Client, **changes: object) -> dict[str, object]:
    created = api.post("/books", json=AUSTEN | changes)
    assert created.status_code == 201, created.text
    return dict(created.json())


def test_a_book_is_kept_as_it_was_sent(api: httpx.Client, emma: dict[str, object]) -> None:
    read = api.get(f"/books/{emma['book_id']}").json()

    assert {key: read[key] for key in AUSTEN} == AUSTEN
    assert read["book_id"] == emma["book_id"]
    assert read["created_at"].startswith("20")


@pytest.mark.usefixtures("emma")
def test_a_second_book_with_the_same_isbn_is_refused(api: httpx.Client) -> None:
    assert api.post("/books", json=AUSTEN | {"title": "Copy"}).status_code == 409


def test_two_books_are_two_books(api: httpx.Client, emma: dict[str, object]) -> None:
    other = another(api, isbn="222", title="Ulysses", author="J. Joyce")

    assert other["book_id"] != emma["book_id"]
    assert api.get(f"/books/{other['book_id']}").json()["title"] == "Ulysses"
    assert api.get(f"/books/{emma['book_id']}").json()["title"] == "Emma"


@pytest.mark.usefixtures("emma")
def test_the_list_grows_with_each_book(api: httpx.Client) -> None:
    before = api.get("/books").json()["total"]

    another(api, isbn="333")

    after = api.get("/books").json()
    assert after["total"] == before + 1
    assert "333" in {book["isbn"] for book in after["books"]}


@pytest.mark.usefixtures("emma")
def test_the_list_is_filtered_by_author(api: httpx.Client) -> None:
    another(api, isbn="444", author="Ludwig Wittgenstein")

    found = api.get("/books", params={"author": "Ludwig Wittgenstein"}).json()

    assert [book["isbn"] for book in found["books"]] == ["444"]
    assert found["total"] == 1


@pytest.mark.usefixtures("emma")
def test_pages_do_not_overlap_and_the_total_stays(api: httpx.Client) -> None:
    for number in range(3):
        another(api, isbn=f"page-{number}", author="Pager")

    first = api.get("/books", params={"author": "Pager", "limit": 2}).json()
    second = api.get("/books", params={"author": "Pager", "limit": 2, "offset": 2}).json()

    assert (len(first["books"]), len(second["books"])) == (2, 1)
    assert first["total"] == second["total"] == 3
    ids = {book["book_id"] for book in first["books"] + second["books"]}
    assert len(ids) == 3


@pytest.mark.usefixtures("emma")
def test_search_is_not_taken_for_a_book_id(api: httpx.Client) -> None:
    another(api, isbn="555", title="The Zebra Hunt", author="Nobody")

    found = api.get("/books/search", params={"q": "zebra"})

    assert found.status_code == 200
    assert [book["title"] for book in found.json()["books"]] == ["The Zebra Hunt"]


def test_search_needs_its_words(api: httpx.Client) -> None:
    assert api.get("/books/search").status_code == 422


def test_put_replaces_a_book(api: httpx.Client) -> None:
    book = another(api, isbn="666")
    replaced = AUSTEN | {"isbn": "666", "title": "Emma II", "year": 1999, "tags": []}

    answer = api.put(f"/books/{book['book_id']}", json=replaced)

    assert answer.status_code == 200
    read = api.get(f"/books/{book['book_id']}").json()
    assert (read["title"], read["year"], read["tags"]) == ("Emma II", 1999, [])


def test_a_deleted_book_is_gone(api: httpx.Client) -> None:
    book = another(api, isbn="777")

    assert api.delete(f"/books/{book['book_id']}").status_code == 204
    assert api.get(f"/books/{book['book_id']}").status_code == 404
    assert api.delete(f"/books/{book['book_id']}").status_code == 404


def test_an_unknown_book_is_not_found(api: httpx.Client) -> None:
    assert api.get("/books/b-9999").status_code == 404
    assert api.put("/books/b-9999", json=AUSTEN).status_code == 404
    assert api.get("/books/b-9999/loans").status_code == 404
    loan = {"member": "m-1", "due_date": "2026-01-01"}
    assert api.post("/books/b-9999/loans", json=loan).status_code == 404


@pytest.mark.parametrize(
    "wrong", [{"title": None}, {"year": "long ago"}, {"title": 5}, {"tags": "novel"}]
)
def test_a_body_of_the_wrong_shape_is_refused(api: httpx.Client, wrong: dict[str, object]) -> None:
    assert api.post("/books", json=AUSTEN | {"isbn": "888"} | wrong).status_code == 422


def test_a_book_without_a_title_is_refused(api: httpx.Client) -> None:
    untitled = {key: value for key, value in AUSTEN.items() if key != "title"}

    assert api.post("/books", json=untitled | {"isbn": "889"}).status_code == 422


def test_loans_belong_to_their_book(api: httpx.Client, emma: dict[str, object]) -> None:
    other = another(api, isbn="999")
    path = f"/books/{emma['book_id']}/loans"

    lent = api.post(path, json={"member": "m-9", "due_date": "2026-05-06"})

    assert lent.status_code == 201
    assert lent.json()["status"] == "active"
    assert lent.json()["book_id"] == emma["book_id"]
    assert [loan["member"] for loan in api.get(path).json()["loans"]] == ["m-9"]
    assert api.get(f"/books/{other['book_id']}/loans").json()["loans"] == []


def test_a_loan_is_returned_once(api: httpx.Client, emma: dict[str, object]) -> None:
    path = f"/books/{emma['book_id']}/loans"
    loan = api.post(path, json={"member": "m-10", "due_date": "2026-05-06"}).json()

    returned = api.post(f"/loans/{loan['loan_id']}/return")

    assert returned.status_code == 200
    assert returned.json()["status"] == "returned"
    assert returned.json()["loan_id"] == loan["loan_id"]
    assert api.post(f"/loans/{loan['loan_id']}/return").status_code == 409
    assert api.post("/loans/l-0/return").status_code == 404


def test_special_characters_survive(api: httpx.Client) -> None:
    title = 'O\'Brien "x"; DROP TABLE books;-- <b>æøå 日本 🙂</b> {{7*7}} %s'

    book = another(api, isbn="spécial/1", title=title)

    assert api.get(f"/books/{book['book_id']}").json()["title"] == title


def test_the_health_tells_the_name_and_version(api: httpx.Client) -> None:
    health = api.get("/health").json()

    assert (health["status"], health["service"], health["version"]) == (
        "active",
        "library",
        "2.1.0",
    )
