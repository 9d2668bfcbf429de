import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_executor import ports
from build_executor.errors import DeploymentFailed
from build_executor.targets.ports import PortBook, is_free, private_port
from tests.ports import free_port


@pytest.fixture
def book(tmp_path: Path) -> PortBook:
    return PortBook(tmp_path / "ports.json")


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_somebody_listens_on_is_not_free(taken: int) -> None:
    assert not is_free(taken)


def test_a_wanted_port_is_given_if_it_is_free(book: PortBook) -> None:
    port = free_port()

    assert book.reserve("shop", port, {}) == port


def test_a_service_may_keep_the_port_that_the_switch_serves_for_it(
    book: PortBook, taken: int
) -> None:
    assert book.reserve("shop", taken, {"shop": taken}) == taken


def test_a_port_of_a_foreign_process_is_refused_by_name(book: PortBook, taken: int) -> None:
    with pytest.raises(DeploymentFailed, match=f"port {taken} is taken by another process"):
        book.reserve("shop", taken, {})


def test_a_port_of_another_service_is_refused_by_name(book: PortBook) -> None:
    with pytest.raises(DeploymentFailed, match="is taken by the service bank"):
        book.reserve("shop", 8350, {"bank": 8350})


def test_services_that_want_no_port_get_different_ones_and_keep_them(book: PortBook) -> None:
    shop, bank = book.reserve("shop", None, {}), book.reserve("bank", None, {})

    assert shop in range(8300, 9000)
    assert shop != bank
    assert book.reserve("shop", None, {}) == shop


def test_a_kept_port_that_was_lost_to_another_process_is_replaced(
    book: PortBook, taken: int
) -> None:
    book.reserve("shop", taken, {"shop": taken})

    assert book.reserve("shop", None, {}) in range(8300, 9000)


def test_it_is_an_error_if_no_public_port_is_left(
    book: PortBook, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "_PUBLIC", range(taken, taken + 1))

    with pytest.raises(DeploymentFailed, match="no free public port"):
        book.reserve("shop", None, {})


def test_a_private_port_is_none_that_another_instance_was_told() -> None:
    assert private_port(taken=()) in range(20_000, 30_000)


def test_it_is_an_error_if_no_private_port_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_PRIVATE", range(20_000, 20_200))

    with pytest.raises(DeploymentFailed, match="no free port in 20000-20199"):
        private_port(taken=range(20_000, 20_200))
