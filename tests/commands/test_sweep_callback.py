"""The end of a multirun."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from unlearning.commands.sweep_callback import CompareRuns
from unlearning.runs.status import write_status


def test_jobs_that_cannot_be_compared_end_with_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hydra would only warn of an error at the end of a multirun, also where all jobs finished."""
    job = tmp_path / "0"
    job.mkdir()
    (job / "config.yaml").write_text("method: npo\n")
    (job / "metrics.json").write_text("half a file")
    write_status(job, "finished", None, "")
    with pytest.raises(SystemExit) as ended:
        CompareRuns().on_multirun_end(OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}}))
    assert ended.value.code == 1
    assert f"error: {tmp_path}: the jobs cannot be compared: " in capsys.readouterr().err
