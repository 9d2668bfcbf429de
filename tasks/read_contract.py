"""Phase 1, first half: what the SPEC demands, frozen before anybody writes code."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from build_executor import artifacts
from build_executor.errors import GenerationFailed, SpecRefused, SpecUnreadable
from build_executor.models import BuildRecord
from build_executor.phases import Phase
from build_executor.settings import Settings
from build_executor.spec.contract import Contract
from build_executor.spec.derivation import derive_contract
from build_executor.spec.report import refusal_report, report_on
from build_executor.spec.source import SpecSource, load_source, read_source
from tasks import wiring


@task(
    name=Phase.CODE_GENERATION,
    task_run_name="code_generation: contract",
    cache_policy=NO_CACHE,
    timeout_seconds=60,
)
def read_contract(build_id: str, spec_path: str, spec_digest: str | None) -> Contract:
    """The contract of the submitted SPEC; GenerationFailed if there is none to be had."""
    try:
        source = _source(spec_path, spec_digest, wiring.settings())
        contract = derive_contract(source.text)
    except SpecUnreadable as error:
        raise GenerationFailed(f"{Path(spec_path).name}: {error}") from error
    except SpecRefused as error:
        refusal = refusal_report(error)
        wiring.store().write_value(build_id, artifacts.COMPILABILITY_REPORT, refusal)
        raise GenerationFailed(f"{Path(spec_path).name}: {error}") from error
    _keep(build_id, source, contract)
    return contract


def _source(spec_path: str, spec_digest: str | None, settings: Settings) -> SpecSource:
    if spec_digest is None:
        return read_source(spec_path, settings.spec_roots)
    return load_source(spec_digest, settings.specs)


def _keep(build_id: str, source: SpecSource, contract: Contract) -> None:
    store = wiring.store()
    store.write(build_id, artifacts.SPEC, source.text.encode())
    store.write_value(build_id, artifacts.CONTRACT, contract)
    store.write_value(build_id, artifacts.COMPILABILITY_REPORT, report_on(contract))
    record = store.read_value(build_id, artifacts.BUILD_RECORD, BuildRecord)
    if record is not None:
        known = {"service": contract.service, "spec_digest": source.digest}
        store.write_value(build_id, artifacts.BUILD_RECORD, record.model_copy(update=known))
