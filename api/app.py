"""The adapter: SPEC.md's endpoints over Prefect's API. `create_app(settings)` makes it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from fastapi import FastAPI

from api import builds, claude, errors, messages, peers, stream, udc
from api.counting import Counts
from api.feed import Hub
from api.gateway import open_gateway
from api.limits import Limits
from api.reading import read_active_builds, read_median_seconds
from api.reconciler import Reconciler
from api.schemas import SERVICE, VERSION
from api.state import Adapter, Counted, Remembered, Telemetry
from build_executor.artifacts import ArtifactStore
from build_executor.settings import Settings

_MEDIAN_SECONDS = 10.0
_ACTIVE_SECONDS = 1.0

_log = logging.getLogger(__name__)


def create_app(settings: Settings, prefect_api_url: str | None = None) -> FastAPI:
    """The application; it reaches Prefect where Prefect's own settings say, or at the URL given.

    Prefect may be away when it starts: what needs Prefect answers 503 until it is there.
    """
    telemetry = Telemetry()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            open_gateway(prefect_api_url) as gateway,
            peers.open_http() as http,
            claude.open_http() as provider,
        ):
            watch = claude.Watch(settings, provider)
            store = ArtifactStore(settings.artifacts)
            app.state.adapter = Adapter(
                settings=settings,
                gateway=gateway,
                store=store,
                telemetry=telemetry,
                http=http,
                claude=watch,
                median_seconds=Remembered(lambda: read_median_seconds(gateway), _MEDIAN_SECONDS),
                counts=Counts(gateway),
                active_builds=Remembered(lambda: read_active_builds(gateway), _ACTIVE_SECONDS),
            )
            app.state.hub = Hub(gateway)
            reconciling = asyncio.create_task(Reconciler(gateway, store).run())
            yield
            await watch.close()
            reconciling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reconciling

    app = FastAPI(title=SERVICE, version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    errors.install(app)
    for part in (udc, messages, builds, stream):
        app.include_router(part.router)
    app.add_middleware(Limits)
    app.add_middleware(Counted, telemetry=telemetry)
    return app
