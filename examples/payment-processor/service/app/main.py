"""Takes payments for the other services of the mesh a payment is authorised, captured."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from app.config import Settings
from app.endpoints import service, udc
from app.errors import ServiceError
from app.events import Hub
from app.metrics import Metrics, MetricsMiddleware
from app.repository import Repository
from app.utils.bodies import refuse_unusable
from app.utils.logger import configure_logging
from app.utils.registry import register


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open what the service needs, and close it again."""
    settings: Settings = app.state.settings
    app.state.repository = Repository(Path(settings.data_dir) / "payment-processor.sqlite3")
    app.state.hub = Hub()
    app.state.repository.subscribe(app.state.hub.publish)
    registration = asyncio.create_task(register(settings))
    yield
    registration.cancel()
    app.state.repository.close()


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; without settings, those of the environment."""
    settings = settings or Settings()
    configure_logging(settings.log_level)
    app = FastAPI(title="PAYMENT-PROCESSOR", version="1.0.0", lifespan=lifespan)
    app.state.settings = settings
    app.state.metrics = Metrics()
    app.add_middleware(MetricsMiddleware, metrics=app.state.metrics)
    app.add_exception_handler(ServiceError, refuse)
    app.add_exception_handler(RequestValidationError, reject)
    app.include_router(udc.router, dependencies=[Depends(refuse_unusable)])
    app.include_router(service.router, dependencies=[Depends(refuse_unusable)])
    return app


async def refuse(_request: Request, error: Exception) -> JSONResponse:
    """A refusal as JSON."""
    assert isinstance(error, ServiceError)
    return JSONResponse(error.content, status_code=error.status_code)


async def reject(_request: Request, error: Exception) -> JSONResponse:
    """A request that is not valid: where and why, without repeating what was sent."""
    assert isinstance(error, RequestValidationError)
    problems = [
        {"loc": list(problem["loc"]), "msg": problem["msg"], "type": problem["type"]}
        for problem in error.errors()
    ]
    return JSONResponse({"detail": problems}, status_code=422)


app = create_app()
