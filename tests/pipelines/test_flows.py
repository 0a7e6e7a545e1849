from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import camvib.jobs
from camvib.errors import LabelsError, ModelError
from camvib.registry import tracking

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_api")]


def published(key: str) -> str:
    """Return what the newest artifact of this key shows."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
    from prefect.client.schemas.sorting import ArtifactSort

    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])), sort=ArtifactSort.CREATED_DESC
        )
    return str(found[0].data)


def test_a_retry_goes_on_in_the_same_mlflow_run(plant: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from camvib.pipelines.train import train

    whole = camvib.jobs.train
    tries = []

    def dies_once_after_an_epoch(*args: Any, on_epoch: Callable[..., None], **options: Any) -> Any:
        def then_die(epoch: int, metrics: dict[str, float]) -> None:
            on_epoch(epoch, metrics)
            if len(tries) == 1:
                raise OSError("the disk went away")

        tries.append(args)
        return whole(*args, on_epoch=then_die, **options)

    monkeypatch.setattr(camvib.jobs, "train", dies_once_after_an_epoch)
    summary = train(plant / "fleet", tmp_path / "run", plant / "settings.toml")
    assert len(tries) == 2
    client = tracking.mlflow_client()
    mine = f"tags.`camvib.run_folder` = '{tmp_path / 'run'}'"
    runs = client.search_runs([tracking.ensure_database()], filter_string=mine)
    assert [(run.info.run_id, run.info.status) for run in runs] == [(summary["run_id"], "FINISHED")]
    assert [point.step for point in client.get_metric_history(summary["run_id"], "validation_loss")] == [0, 1]


def test_what_camvib_refuses_is_not_tried_again(plant: Path, tmp_path: Path) -> None:
    from camvib.pipelines.diagnose import diagnose
    from camvib.pipelines.train import train

    (tmp_path / "empty").mkdir()
    with pytest.raises(LabelsError):
        train(tmp_path / "empty", tmp_path / "run", plant / "settings.toml")
    with pytest.raises(ModelError, match="999"):
        diagnose(plant / "inbox", "models:/camvib/999")
