from build_executor.deployment import roll_back
from tests.deploying import PUBLIC, SHOP, live
from tests.fakes.target import FakeTarget


class Unsteady(FakeTarget):
    """The restored release answers a few times in public, and then no more."""

    good_answers = 3

    def answering(self, url: str) -> str | None:
        found = super().answering(url)
        if url != PUBLIC or found != "1" or "switch 2" not in self.did:
            return found
        self.good_answers -= 1
        return found if self.good_answers >= 0 else None


def test_a_release_that_answers_only_at_first_is_not_gone_back_to() -> None:
    target = Unsteady()
    live(target, releases=("1", "2"))

    (report,) = roll_back(SHOP, "build-2", [target])

    assert report.rollback_status == "failed"
    assert target.routes == {SHOP: "2"}
