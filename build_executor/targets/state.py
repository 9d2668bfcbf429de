"""What a target remembers of one service, and the decisions that follow from it, without effects.

The state is written before and after each step that changes something, so whoever finds it after a
crash knows what may have been left behind.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Self

from build_executor.models import Value


class InstalledRelease(Value):
    """A release that is, or is about to be, on the target."""

    id: str
    build_id: str
    digest: str
    port: int
    deployed_at: datetime
    replaced: str | None = None
    url: str | None = None


class ServiceState(Value):
    """One service on one target: its releases (oldest first), which is live, which are proven.

    `switching` is the release that traffic was being moved to when the state was written; `fence`
    grows with every lock taken, so a late writer can be recognised.
    """

    service: str
    fence: int = 0
    live: str | None = None
    switching: str | None = None
    proven: tuple[str, ...] = ()
    releases: tuple[InstalledRelease, ...] = ()

    @property
    def live_release(self) -> InstalledRelease | None:
        """The release that takes traffic."""
        return self.find(self.live)

    def find(self, release_id: str | None) -> InstalledRelease | None:
        """The installed release of this id."""
        return next((release for release in self.releases if release.id == release_id), None)

    def of_build(self, build_id: str) -> tuple[InstalledRelease, ...]:
        """What this build brought here, the live release not counted."""
        return tuple(r for r in self.releases if r.build_id == build_id and r.id != self.live)

    def superseded(self) -> tuple[InstalledRelease, ...]:
        """All releases but the live one."""
        return tuple(release for release in self.releases if release.id != self.live)

    def fallbacks(self) -> tuple[InstalledRelease, ...]:
        """Where to go back to, best first: the other proven ones, newest first.

        After them comes the release that the live one replaced before anybody could prove it: it
        was live, and is better than nothing.
        """
        live = self.live_release
        unproven = [live.replaced] if live and live.replaced not in self.proven else []
        ids = [*(id_ for id_ in reversed(self.proven) if id_ != self.live), *unproven]
        return tuple(release for id_ in ids if (release := self.find(id_)))

    def prunable(self, keep: int) -> tuple[InstalledRelease, ...]:
        """What may be removed.

        Kept are the live one, the `keep` youngest proven ones and, if proven, its forerunner.
        """
        live = self.live_release
        kept = {self.live, *self.proven[-keep:]}
        if live is not None and live.replaced in self.proven:
            kept.add(live.replaced)
        return tuple(release for release in self.releases if release.id not in kept)

    def with_release(self, release: InstalledRelease) -> Self:
        """The same with `release` as the youngest one; an older record of its id is replaced."""
        others = tuple(other for other in self.releases if other.id != release.id)
        return self.model_copy(update={"releases": (*others, release)})

    def without(self, release_ids: Collection[str]) -> Self:
        """The same, without any trace of these releases."""
        gone = set(release_ids)
        return self.model_copy(
            update={
                "live": None if self.live in gone else self.live,
                "switching": None if self.switching in gone else self.switching,
                "proven": tuple(id_ for id_ in self.proven if id_ not in gone),
                "releases": tuple(r for r in self.releases if r.id not in gone),
            }
        )

    def about_to_switch(self, release_id: str) -> Self:
        """The same, with the intent to move traffic to this release."""
        return self.model_copy(update={"switching": release_id})

    def switched(self, release_id: str, url: str) -> Self:
        """The same with this release live at `url`."""
        releases = tuple(
            r.model_copy(update={"url": url}) if r.id == release_id else r for r in self.releases
        )
        return self.model_copy(update={"live": release_id, "switching": None, "releases": releases})

    def settled(self) -> Self:
        """The same without an intent to move traffic."""
        return self.model_copy(update={"switching": None})

    def proved(self, release_id: str, build_id: str) -> Self:
        """The same with this release as the last proven one, answered for by `build_id`.

        A release that was proven before stays the responsibility of the build that brought it.
        """
        others = tuple(id_ for id_ in self.proven if id_ != release_id)
        claimed = tuple(
            r.model_copy(update={"build_id": build_id}) if r.id == release_id else r
            for r in self.releases
        )
        return self.model_copy(
            update={
                "proven": (*others, release_id),
                "releases": self.releases if release_id in self.proven else claimed,
            }
        )

    def disproved(self, release_id: str) -> Self:
        """The same, with this release no place to go back to."""
        proven = tuple(id_ for id_ in self.proven if id_ != release_id)
        return self.model_copy(update={"proven": proven})
